#include "base/core_load.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>

namespace wattle::inline base {
namespace {

/// Takes the next number of a line; nullopt at its end.
std::optional<double> take_number(std::string_view& line) {
  const size_t digits = line.find_first_of("0123456789");
  if (digits == std::string_view::npos) return std::nullopt;
  line.remove_prefix(digits);
  unsigned long long number = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  line.remove_prefix(static_cast<size_t>(end - line.data()));
  if (error != std::errc()) return std::nullopt;
  return static_cast<double>(number);
}

std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::optional<std::string> text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

}  // namespace

std::optional<CoreTimes> core_times(std::string_view stat, const std::vector<int>& allowed) {
  // cpuN user nice system idle iowait irq softirq steal: a core that waits for a disk has nothing to run.
  constexpr size_t kIdle = 3, kWaiting = 4, kStolen = 7, kFields = 8;
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  CoreTimes times;
  bool found = false;
  while (stat.starts_with("cpu")) {
    std::string_view line = take_line(stat).substr(3);
    if (line.starts_with(' ')) continue;  // of all processors
    const std::optional<double> number = take_number(line);
    std::array<double, kFields> fields{};
    for (double& field : fields) field = take_number(line).value_or(0);
    if (!number) continue;
    if (!allowed.empty() && !std::ranges::binary_search(allowed, static_cast<int>(*number))) continue;
    times.idle += (fields[kIdle] + fields[kWaiting]) / ticks;
    times.stolen += fields[kStolen] / ticks;
    found = true;
  }
  return found ? std::optional(times) : std::nullopt;
}

std::optional<double> run_queue_delay(std::string_view schedstat) {
  const std::optional<double> running = take_number(schedstat), waiting = take_number(schedstat);
  if (!running || !waiting) return std::nullopt;
  return *waiting * 1e-9;
}

std::optional<double> throttled_seconds(std::string_view cpu_stat) {
  while (!cpu_stat.empty()) {
    std::string_view line = take_line(cpu_stat);
    const double unit = line.starts_with("throttled_usec ")   ? 1e-6
                        : line.starts_with("throttled_time ") ? 1e-9
                                                              : 0;
    if (unit == 0) continue;
    const std::optional<double> number = take_number(line);
    if (number) return *number * unit;
  }
  return std::nullopt;
}

RunQueueDelay::RunQueueDelay() : file_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}

RunQueueDelay::~RunQueueDelay() {
  if (file_ >= 0) ::close(file_);
}

std::optional<double> RunQueueDelay::seconds() const {
  std::array<char, 96> text{};
  const ssize_t length = file_ < 0 ? -1 : ::pread(file_, text.data(), text.size(), 0);
  if (length <= 0) return std::nullopt;
  return run_queue_delay({text.data(), static_cast<size_t>(length)});
}

std::optional<CoreTimes> core_times() {
  const std::optional<std::string> text = text_of("/proc/stat");
  return text ? core_times(*text, processor_limits().allowed) : std::nullopt;
}

std::optional<double> throttled_seconds(const ProcessorLimits& limits) {
  if (limits.quota_file.empty()) return std::nullopt;
  const std::string directory = limits.quota_file.substr(0, limits.quota_file.rfind('/'));
  const std::optional<std::string> text = text_of(directory + "/cpu.stat");
  return text ? throttled_seconds(std::string_view(*text)) : std::nullopt;
}

std::string_view name(Shrunk why) {
  switch (why) {
    case Shrunk::kOthers:
      return "others use its cores";
    case Shrunk::kStolen:
      return "the hypervisor takes its cores";
    case Shrunk::kQuota:
      return "its quota is used up";
    case Shrunk::kNo:
      break;
  }
  return "all of its cores are its own";
}

void TeamSize::shrink(int by, Shrunk why) {
  // Where growing was a mistake, it waits longer the next time.
  patience_ = has_grown_ && since_growth_ < 1 ? std::min(2 * patience_, kLongestPatience) : kFirstPatience;
  since_shrinking_ = lost_ = 0;
  size_ = std::max(1, size_ - by);
  why_ = why;
}

void TeamSize::grow(int by) {
  size_ = std::min(most_, size_ + by);
  since_growth_ = 0, has_grown_ = true;
  if (size_ == most_) why_ = Shrunk::kNo;
}

void TeamSize::note_delay(double seconds, CoreDelay delay, double worked) {
  since_growth_ += seconds;
  // A thread that waits holds up the others. One fewer works for size - 1 seconds a second, a little more
  // than that with what is lost at barriers: what the team does less, because a thread waits, adds up; what
  // it does more makes up for it.
  const double less = (size_ - 0.9) * seconds - worked;
  const bool waits = delay.largest > 0.2 * seconds;
  lost_ = std::max(0.0, lost_ + (waits ? std::min(less, delay.sum) : std::min(less, 0.0)));
  if (size_ == 1 || lost_ < kMostLost) return;
  shrink(std::max(1, static_cast<int>(std::lround(delay.sum / seconds))), Shrunk::kOthers);
}

void TeamSize::note_cores(double seconds, std::optional<CoreTimes> times, double throttled, double process) {
  const int of_quota = quota_ > 0 ? std::max(1, static_cast<int>(std::ceil(quota_ - 1e-9))) : most_;
  if (throttled > 0.05 * seconds && size_ > of_quota) return shrink(size_ - of_quota, Shrunk::kQuota);
  if (times && size_ > 1 && times->stolen > 0.6 / size_ * seconds) return shrink(1, Shrunk::kStolen);
  since_shrinking_ += seconds;
  const int largest = why_ == Shrunk::kQuota ? of_quota : most_;
  if (size_ >= largest) return;
  // Of the cores' idle time, what the team left idle itself is no other core's.
  const double spare = times ? times->idle - std::max(0.0, size_ * seconds - process) : 0;
  const int free = static_cast<int>(spare / seconds + 0.25);
  if (free > 0 && since_shrinking_ >= patience_ / 4) {
    grow(std::min(free, largest - size_));
  } else if (since_shrinking_ >= patience_) {
    grow(1);  // a core in use may still be had, by priority or by share
  }
}

}  // namespace wattle::inline base
