#include "pull/hub_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/output_file.h"

namespace wattle::inline pull {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) {
    fail("{}: cannot be made ({}); set HF_HUB_CACHE to a directory that can be written", folder.string(),
         code.message());
  }
}

}  // namespace

bool is_hex(const std::string& text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

HubCache::HubCache(const fs::path& cache, const std::string& repository) {
  std::string name = "models--" + repository;
  for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/'))
    name.replace(slash, 1, "--");
  folder_ = cache / name;
  locks_ = cache / ".locks" / name;
}

std::string HubCache::commit_of(const std::string& revision) const {
  if (is_hex(revision, 40)) return revision;
  std::string commit;
  std::ifstream(folder_ / "refs" / revision) >> commit;
  return is_hex(commit, 40) ? commit : std::string();
}

void HubCache::set_commit(const std::string& revision, const std::string& commit) const {
  if (revision == commit || commit_of(revision) == commit) return;
  const fs::path ref = folder_ / "refs" / revision;
  make_folder(ref.parent_path());
  OutputFile file(ref);
  file.write(commit);
  file.commit();
}

fs::path HubCache::snapshot(const std::string& commit) const {
  return folder_ / "snapshots" / commit;
}

fs::path HubCache::blob(const std::string& etag) const {
  make_folder(folder_ / "blobs");
  return folder_ / "blobs" / etag;
}

bool HubCache::has(const std::string& commit, const std::string& path) const {
  std::error_code code;
  return fs::is_regular_file(snapshot(commit) / path, code);
}

void HubCache::link(const std::string& commit, const std::string& path, const std::string& etag) const {
  const fs::path place = snapshot(commit) / path;
  make_folder(place.parent_path());
  std::error_code code;
  fs::remove(place, code);
  const fs::path target = fs::relative(blob(etag), place.parent_path(), code);
  if (!code) fs::create_symlink(target, place, code);
  if (!code) return;
  fs::rename(blob(etag), place, code);
  if (code) fail("{}: cannot be written ({}); free some space", place.string(), code.message());
}

std::vector<HubFile> HubCache::files(const std::string& commit) const {
  std::vector<HubFile> found;
  const fs::path root = snapshot(commit);
  std::error_code code;
  for (fs::recursive_directory_iterator entry(root, code), end; !code && entry != end;
       entry.increment(code)) {
    std::error_code broken;
    if (!entry->is_regular_file(broken)) continue;
    HubFile file;
    file.path = entry->path().lexically_relative(root).generic_string();
    file.bytes = entry->file_size(broken);
    found.push_back(std::move(file));
  }
  std::sort(found.begin(), found.end(), [](const HubFile& a, const HubFile& b) { return a.path < b.path; });
  return found;
}

HubCache::Lock::Lock(const HubCache& cache, const std::string& etag, const std::function<void()>& on_wait) {
  make_folder(cache.locks_);
  const fs::path path = cache.locks_ / (etag + ".lock");
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) {
    fail("{}: cannot be written ({}); set HF_HUB_CACHE to a directory that can", path.string(),
         std::strerror(errno));
  }
  bool said = false;
  while (::flock(file_, LOCK_EX | LOCK_NB) != 0 && (errno == EWOULDBLOCK || errno == EINTR)) {
    if (!said && on_wait) on_wait();
    said = true;
    if (interrupted()) ::close(file_);
    throw_if_interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

HubCache::Lock::~Lock() {
  ::close(file_);
}

}  // namespace wattle::inline pull
