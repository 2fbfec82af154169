#include "meter/calibrate.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <ctime>
#include <thread>

#include <fmt/format.h>
#include <wattle/error.h>

namespace wattle::inline meter {
namespace {

/// Integer and floating arithmetic with some memory traffic: what an average program does.
void burn(const std::atomic<bool>& stop) {
  std::vector<double> values(1 << 16, 1.000001);
  double sum = 0;
  for (size_t i = 0; !stop.load(std::memory_order_relaxed); i = (i * 5 + 1) & (values.size() - 1)) {
    sum = sum * 0.999 + values[i];
    values[i] = 1 + 1e-9 * sum;
  }
  static std::atomic<double> sink;
  sink = sum;
}

Energy loaded(MachineMeter& meter, int threads, double seconds) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) workers.emplace_back([&] { burn(stop); });
  meter.machine().sleep(std::min(0.3, seconds / 3));  // clocks and voltages settle
  const auto begin = meter.begin();
  meter.machine().sleep(seconds);
  const Energy energy = meter.end_settled(begin, nullptr);
  stop = true;
  for (std::thread& worker : workers) worker.join();
  return energy;
}

void check(const Energy& energy, const char* what) {
  if (!energy.invalid.empty())
    fail("calibrate: the window at {} is invalid: {}; mend the counter and try again", what, energy.invalid);
}

}  // namespace

PowerProfile calibrate(MachineMeter& meter, double seconds) {
  const ProcessorId processor = describe_processor(meter.machine());
  const int threads = processor.threads;
  const Energy idle = meter.measure_idle(seconds);
  check(idle, "idle");
  PowerProfile profile = find_profile(processor);
  const double idle_watts = idle.joules / idle.seconds;
  profile.idle_watts_per_thread = {idle.low / idle.seconds / threads, idle_watts / threads,
                                   idle.high / idle.seconds / threads};
  // One thread alone draws more than its part of all of them: the range holds both.
  double low = INFINITY, high = 0, all = 0;
  for (const int n : {threads, std::max(1, threads / 2), 1}) {
    const Energy energy = loaded(meter, n, seconds);
    check(energy, fmt::format("{} threads", n).c_str());
    const auto per_thread = [&](double joules) {
      return idle_watts / threads + (joules / energy.seconds - idle_watts) / n;
    };
    low = std::min(low, per_thread(energy.low));
    high = std::max(high, per_thread(energy.high));
    if (n == threads) all = per_thread(energy.joules);
  }
  profile.full_watts_per_thread = {std::max(0.0, std::min(low, all)), std::max(0.0, all),
                                   std::max(high, all)};
  const std::time_t now = std::time(nullptr);
  std::tm date{};
  ::gmtime_r(&now, &date);
  profile.year = date.tm_year + 1900;
  profile.name = "calibrated-" + profile.name;
  profile.source = "wattle meter calibrate by " + meter.source();
  return profile;
}

}  // namespace wattle::inline meter
