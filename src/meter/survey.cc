#include "meter/survey.h"

#include <atomic>
#include <thread>

#include <fmt/format.h>

#include "meter/find_sources.h"
#include "meter/recorder.h"

namespace wattle {
namespace {

/// One busy thread, as long as the object lives.
class Load {
 public:
  Load()
      : thread_([this] {
          double x = 1;
          while (!stop_.load(std::memory_order_relaxed)) x = x * 1.0000001 + 1e-9;
          sink_ = x;
        }) {}
  ~Load() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<double> sink_ = 0;
  std::thread thread_;
};

std::string fault_of(const Channel& channel, const WindowEnergy& window) {
  if (!window.invalid.empty()) return window.invalid;
  const double watts = window.joules / window.seconds;
  if (window.joules == 0) return fmt::format("stood still for {:.2f} s under load", window.seconds);
  if (watts > channel.max_watts) return fmt::format("{:.4g} W cannot be", watts);
  return "";
}

}  // namespace

std::vector<SourceCheck> survey_sources(Machine& machine, double seconds) {
  std::vector<SourceCheck> checks;
  for (const KnownSource& known : known_sources()) {
    Probe probe = known.open(machine);
    SourceCheck check{known.name, known.kind, probe.obstacle, probe.cure, {}};
    if (probe.source) {
      Recorder recorder(machine, std::move(probe.source));
      recorder.infer_refresh(seconds / 4);
      const double begin = recorder.mark();
      {
        const Load load;
        while (machine.now() < begin + seconds) {
          machine.sleep(0.02);
          recorder.poll();
        }
      }
      const double end = recorder.mark();
      const std::vector<Channel>& channels = recorder.source().channels();
      for (size_t i = 0; i < channels.size(); ++i) {
        const WindowEnergy window = recorder.channel_between(i, begin, end);
        check.zones.push_back({channels[i], window.joules / window.seconds, window.refresh_seconds,
                               fault_of(channels[i], window)});
      }
    }
    checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace wattle
