#include "meter/machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include <wattle/error.h>

namespace wattle {
namespace {

constexpr size_t kLargestFile = size_t{4} << 20;  // /proc/cpuinfo of 1,000 threads has 2 MB

class RootedMachine : public Machine {
 public:
  explicit RootedMachine(std::string root) : root_(std::move(root)) {
    while (!root_.empty() && root_.back() == '/') root_.pop_back();
  }

  // Files are opened anew for each reading: a counter that was unplugged and came back is then the new one,
  // and a simulated tree may replace its files by renaming.
  std::optional<std::string> read(const std::string& path) override {
    const int file = ::open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return std::nullopt;
    std::string text;
    char block[16384];
    ssize_t size = 0;
    while ((size = ::read(file, block, sizeof block)) > 0 && text.size() < kLargestFile)
      text.append(block, size);
    ::close(file);
    if (size < 0) return std::nullopt;
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
  }

  std::vector<std::string> list(const std::string& path) override {
    std::vector<std::string> names;
    DIR* directory = ::opendir((root_ + path).c_str());
    if (directory == nullptr) return names;
    while (const dirent* entry = ::readdir(directory)) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    ::closedir(directory);
    std::sort(names.begin(), names.end());
    return names;
  }

  Access access(const std::string& path) override {
    const int file = ::open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file >= 0) return ::close(file), Access::kFine;
    if (errno == EACCES || errno == EPERM) return Access::kForbidden;
    return errno == ENOENT || errno == ENOTDIR ? Access::kMissing : Access::kBroken;
  }

  std::optional<uint64_t> read_word(const std::string& path, uint64_t offset) override {
    const int file = ::open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::nullopt;
    uint64_t word = 0;
    const ssize_t size = ::pread(file, &word, sizeof word, static_cast<off_t>(offset));
    ::close(file);
    if (size != sizeof word) return std::nullopt;
    return word;
  }

  int open_event(uint32_t type, uint64_t config, int cpu) override {
    if (simulated()) return -ENOENT;
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = type;
    attributes.config = config;
    const long handle = ::syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    return handle < 0 ? -errno : static_cast<int>(handle);
  }
  std::optional<uint64_t> read_event(int handle) override {
    uint64_t count = 0;
    if (::read(handle, &count, sizeof count) != sizeof count) return std::nullopt;
    return count;
  }
  void close_event(int handle) override { ::close(handle); }

  std::vector<std::string> library_paths(const std::string& name) override {
    if (!simulated()) return {name};
    return {root_ + "/usr/lib/" + name, root_ + "/usr/lib/x86_64-linux-gnu/" + name};
  }

  double now() override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  double suspended_seconds() override {
    const auto seconds = [](clockid_t clock) {
      timespec time{};
      ::clock_gettime(clock, &time);
      return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    };
    return seconds(CLOCK_BOOTTIME) - seconds(CLOCK_MONOTONIC);
  }
  void sleep(double seconds) override { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }
  bool simulated() const override { return !root_.empty(); }

 private:
  std::string root_;
};

}  // namespace

std::optional<double> Machine::read_number(const std::string& path) {
  std::optional<std::string> text = read(path);
  // A simulated tree writes its files anew; between emptying and writing one, a moment passes.
  for (int attempt = 0; attempt < 3 && text && text->empty(); ++attempt) {
    sleep(0.0005);
    text = read(path);
  }
  if (!text || text->empty()) return std::nullopt;
  char* end = nullptr;
  const double number = std::strtod(text->c_str(), &end);
  if (*end != '\0') return std::nullopt;
  return number;
}

std::unique_ptr<Machine> open_machine(const std::string& root) {
  if (!std::filesystem::is_directory(root)) {
    fail("--root {}: is not a directory; give one that holds sys/ and proc/ of a machine", root);
  }
  return std::make_unique<RootedMachine>(root);
}

}  // namespace wattle
