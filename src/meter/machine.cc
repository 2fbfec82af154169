#include "meter/machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/stat.h>
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

#include <fmt/format.h>
#include <wattle/error.h>

namespace wattle::inline meter {
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
    const int file = open_file(path);
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
    const int file = open_file(path);
    if (file >= 0) return ::close(file), Access::kFine;
    if (errno == EACCES || errno == EPERM) return Access::kForbidden;
    return errno == ENOENT || errno == ENOTDIR ? Access::kMissing : Access::kBroken;
  }

  std::optional<uint64_t> read_word(const std::string& path, uint64_t offset) override {
    const int file = open_file(path);
    if (file < 0) return std::nullopt;
    uint64_t word = 0;
    const ssize_t size = ::pread(file, &word, sizeof word, static_cast<off_t>(offset));
    ::close(file);
    if (size != sizeof word) return std::nullopt;
    return word;
  }

  int open_event(uint32_t type, uint64_t config, int cpu) override {
    return open_counter(type, config, -1, cpu, false);
  }
  int open_thread_event(uint32_t type, uint64_t config, long thread) override {
    return open_counter(type, config, static_cast<pid_t>(thread), -1, true);
  }
  std::optional<uint64_t> read_event(int handle) override {
    uint64_t count = 0;
    if (::read(handle, &count, sizeof count) != sizeof count) return std::nullopt;
    return count;
  }
  void close_event(int handle) override { ::close(handle); }

  std::vector<std::string> library_paths(const std::string& name) override { return {name}; }

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
  bool simulated() const override { return false; }

 protected:
  /// A file below the root, or -1 with errno.
  virtual int open_file(const std::string& path) {
    return ::open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  }
  std::string root_;

 private:
  static int open_counter(uint32_t type, uint64_t config, pid_t thread, int cpu, bool with_later_threads) {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = type;
    attributes.config = config;
    attributes.inherit = with_later_threads;
    attributes.inherit_thread = with_later_threads;
    const long handle = ::syscall(SYS_perf_event_open, &attributes, thread, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    return handle < 0 ? -errno : static_cast<int>(handle);
  }
};

/// A directory that stands for a machine, whose performance events are files too.
class SimulatedTree : public RootedMachine {
 public:
  using RootedMachine::RootedMachine;

  int open_event(uint32_t type, uint64_t config, int cpu) override {
    constexpr double kEveryProcess = 0;
    return open_counter(fmt::format("/dev/perf_event/{}/{}/cpu{}", type, config, cpu), kEveryProcess);
  }
  int open_thread_event(uint32_t type, uint64_t config, long thread) override {
    constexpr double kOwnProcesses = 1;
    return open_counter(fmt::format("/dev/perf_event/{}/{}/thread{}", type, config, thread), kOwnProcesses);
  }
  std::optional<uint64_t> read_event(int handle) override {
    const Counter& counter = counters_[static_cast<size_t>(handle)];
    const auto count = count_in(counter.path);
    if (!count) return std::nullopt;
    return *count - counter.at_opening;
  }
  void close_event(int) override {}

  std::vector<std::string> library_paths(const std::string& name) override {
    return {root_ + "/usr/lib/" + name, root_ + "/usr/lib/x86_64-linux-gnu/" + name};
  }
  bool simulated() const override { return true; }

 protected:
  int open_file(const std::string& path) override {
    const int file = RootedMachine::open_file(path);
    struct stat about {};
    if (file < 0 || ::fstat(file, &about) != 0 || (about.st_mode & 0444) != 0) return file;
    ::close(file);
    errno = EACCES;
    return -1;
  }

 private:
  struct Counter {
    std::string path;
    uint64_t at_opening = 0;
  };

  int open_counter(const std::string& path, double allowed_paranoia) {
    if (read_number("/proc/sys/kernel/perf_event_paranoid").value_or(0) > allowed_paranoia) return -EACCES;
    const Access readable = access(path);
    if (readable == Access::kForbidden) return -EACCES;
    const auto count = count_in(path);
    if (!count) return readable == Access::kMissing ? -ENOENT : -EINVAL;
    counters_.push_back({path, *count});
    return static_cast<int>(counters_.size()) - 1;
  }

  /// All 64 bits, of which a double would keep 53.
  std::optional<uint64_t> count_in(const std::string& path) {
    const auto text = read(path);
    if (!text || text->empty()) return std::nullopt;
    char* end = nullptr;
    const uint64_t count = std::strtoull(text->c_str(), &end, 10);
    return *end == '\0' ? std::optional(count) : std::nullopt;
  }

  std::vector<Counter> counters_;
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
  if (std::filesystem::equivalent(root, "/")) return std::make_unique<RootedMachine>("/");
  return std::make_unique<SimulatedTree>(root);
}

}  // namespace wattle::inline meter
