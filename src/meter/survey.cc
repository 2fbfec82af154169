#include "meter/survey.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include <fmt/format.h>

#include "meter/find_sources.h"
#include "meter/recorder.h"

namespace wattle::inline meter {
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

/// Reads the zones for `seconds`, half of them under load.
std::vector<ZoneCheck> test_zones(Machine& machine, Recorder& recorder, double seconds) {
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
  std::vector<ZoneCheck> zones;
  const std::vector<Channel>& channels = recorder.source().channels();
  for (size_t i = 0; i < channels.size(); ++i) {
    const WindowEnergy window = recorder.channel_between(i, begin, end);
    zones.push_back(
        {channels[i], window.joules / window.seconds, window.refresh_seconds, fault_of(channels[i], window)});
  }
  return zones;
}

bool works(const SourceCheck& check) {
  return std::ranges::any_of(
      check.zones, [](const ZoneCheck& zone) { return zone.channel.left_out.empty() && zone.fault.empty(); });
}

}  // namespace

std::vector<SourceCheck> survey_sources(Machine& machine, double seconds) {
  std::vector<SourceCheck> checks;
  std::vector<std::unique_ptr<Recorder>> recorders;
  std::vector<const Source*> counted;
  for (const KnownSource& known : known_sources()) {
    Probe probe = known.open(machine);
    checks.push_back({known.name, known.kind, probe.obstacle, probe.cure, {}});
    if (!probe.source) continue;
    const bool gpu = std::string_view(known.kind) == "gpu";
    if (gpu) leave_out_held(machine, counted, *probe.source);
    recorders.push_back(std::make_unique<Recorder>(machine, std::move(probe.source)));
    checks.back().zones = test_zones(machine, *recorders.back(), seconds);
    if ((gpu || counted.empty()) && works(checks.back())) counted.push_back(&recorders.back()->source());
  }
  return checks;
}

}  // namespace wattle::inline meter
