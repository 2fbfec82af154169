#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <random>

#include "meter/machine_meter.h"
#include "simulated_machine.h"

namespace wattle {

constexpr double kStart = 100, kLeadIn = 6;

/// One machine of the zoo with the power that should be counted, and what its window must be.
struct Scene {
  std::unique_ptr<SimulatedMachine> machine = std::make_unique<SimulatedMachine>();
  std::mt19937_64 random;
  std::vector<TruePower> counted;
  std::vector<std::shared_ptr<TruePower>> keep;
  MeterOptions options;
  double seconds = 12;
  double unplugged_at = -1;  ///< when a counter goes for good
  std::string unplugged;

  double uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  }
  /// Steps between idle and load at random moments, all through the scene.
  std::shared_ptr<TruePower> power(double idle, double full) {
    auto truth = std::make_shared<TruePower>();
    truth->step(0, idle);
    double time = kStart + kLeadIn + uniform(-1, 1);
    while (time < kStart + 60) {
      truth->step(time, uniform(idle, full));
      time += uniform(0.3, 4);
    }
    keep.push_back(truth);
    return truth;
  }
  std::shared_ptr<TruePower> counted_power(double idle, double full) {
    auto truth = power(idle, full);
    counted.push_back(*truth);
    return truth;
  }
  /// Instruments of one scope are of one maker and err alike.
  std::map<std::string, double> gains;
  Instrument counter(double accuracy, double refresh, double unit, const std::string& scope = "") {
    Instrument instrument;
    instrument.gain = 1 + accuracy / 1.96 * std::normal_distribution<double>()(random);
    if (!scope.empty()) instrument.gain = gains.emplace(scope, instrument.gain).first->second;
    instrument.refresh = refresh;
    instrument.phase = uniform(0, refresh);
    instrument.unit = unit;
    instrument.offset_counts = std::floor(uniform(0, 1e9));
    return instrument;
  }
  void processor(const std::string& vendor, int family, int model) {
    machine->put(
        "/proc/cpuinfo",
        fmt::format("processor\t: 0\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\nmodel name\t: Test\n"
                    "stepping\t: 4\nphysical id\t: 0\nflags\t\t: fpu\n\nprocessor\t: 1\nphysical id\t: 1\n",
                    vendor, family, model));
    for (const int cpu : {0, 1})
      machine->put(fmt::format("/sys/devices/system/cpu/cpu{}/topology/physical_package_id", cpu),
                   fmt::format("{}", cpu));
  }
  void intel() { processor("GenuineIntel", 6, 85); }
  void amd() { processor("AuthenticAMD", 25, 17); }
  void zone(const std::string& entry, const std::string& name, std::shared_ptr<TruePower> truth,
            Instrument instrument) {
    const std::string path = "/sys/class/powercap/" + entry;
    SimulatedMachine* m = machine.get();
    instrument.wrap_counts = 262143328851.0;
    m->put(path + "/name", name);
    m->put(path + "/max_energy_range_uj", "262143328850");
    m->files[path + "/energy_uj"] = [=] { return fmt::format("{}", instrument.counts(*truth, m->time)); };
  }
  void event(const std::string& name, uint64_t code, int cpu, std::shared_ptr<TruePower> truth,
             Instrument instrument) {
    const std::string pmu = "/sys/bus/event_source/devices/power";
    SimulatedMachine* m = machine.get();
    m->put(pmu + "/type", "20");
    m->put(pmu + "/cpumask", "0-1");
    m->put(pmu + "/events/" + name, fmt::format("event=0x{:02x}", code));
    m->put(pmu + "/events/" + name + ".scale", "2.3283064365386962890625e-10");
    instrument.unit = 2.3283064365386962890625e-10;
    instrument.offset_counts = 0;
    m->events[{code, cpu}] = [=] { return instrument.counts(*truth, m->time); };
  }
  void power_file(const std::string& path, std::shared_ptr<TruePower> truth, Instrument instrument,
                  bool averaged, double scale) {
    SimulatedMachine* m = machine.get();
    m->files[path] = [=] {
      return fmt::format("{:.0f}", scale * instrument.watts(*truth, m->time, averaged));
    };
  }
};

struct Kind {
  const char* name;
  void (*build)(Scene&);
};

inline void powercap_with_dram(Scene& s) {
  s.intel();
  s.zone("intel-rapl:0", "package-0", s.counted_power(20, 150), s.counter(0.05, 0.001, 1e-6));
  s.zone("intel-rapl:0:0", "core", s.power(5, 120), s.counter(0.05, 0.001, 1e-6));
  s.zone("intel-rapl:0:1", "dram", s.counted_power(3, 20), s.counter(0.05, 0.001, 1e-6));
}
inline void amd_powercap(Scene& s) {
  s.amd();
  s.zone("intel-rapl:0", "package-0", s.counted_power(50, 280), s.counter(0.10, 0.001, 1e-6));
  s.zone("intel-rapl:0:0", "core", s.power(1, 10), s.counter(0.10, 0.001, 1e-6));
}

}  // namespace wattle
