#pragma once

#include <dlfcn.h>

#include <algorithm>
#include <cmath>

#include "fake_nvml.h"
#include "zoo_scene.h"

namespace wattle {

inline FakeBoards* boards(Scene& scene) {
  scene.machine->libraries["libnvidia-ml.so.1"] = WATTLE_FAKE_NVML;
  void* library = ::dlopen(WATTLE_FAKE_NVML, RTLD_NOW | RTLD_LOCAL);
  auto* state = reinterpret_cast<FakeBoards* (*)()>(::dlsym(library, "fake_nvml_boards"))();
  *state = FakeBoards{};
  return state;
}

inline void perf_two_sockets(Scene& s) {
  s.intel();
  for (const int cpu : {0, 1}) {
    s.event("energy-pkg", 2, cpu, s.counted_power(30, 250), s.counter(0.05, 0.001, 1, "package"));
    s.event("energy-ram", 3, cpu, s.counted_power(5, 40), s.counter(0.05, 0.001, 1, "dram"));
    s.event("energy-cores", 1, cpu, s.power(5, 200), s.counter(0.05, 0.001, 1));
  }
}
inline void perf_mirrored_dies(Scene& s) {
  s.intel();
  const auto truth = s.counted_power(30, 200), platform = s.power(50, 260);
  const Instrument package = s.counter(0.05, 0.001, 1), psys = s.counter(0.05, 0.001, 1);
  s.machine->put("/sys/devices/system/cpu/cpu1/topology/physical_package_id", "0");
  for (const int cpu : {0, 1}) {
    s.event("energy-pkg", 2, cpu, truth, package);
    s.event("energy-psys", 5, cpu, platform, psys);
  }
}
inline void wrapping_powercap(Scene& s) {
  s.intel();
  Instrument instrument = s.counter(0.05, 0.001, 1e-6);
  instrument.offset_counts = 262143328851.0 - std::floor(s.uniform(3e8, 3.5e9));  // wraps within the scene
  s.zone("intel-rapl:0", "package-0", s.counted_power(50, 250), instrument);
}
inline void msr(Scene& s, const std::string& vendor, double unit) {
  SimulatedMachine* m = s.machine.get();
  const bool intel = vendor == "GenuineIntel";
  for (const int cpu : {0, 1}) {
    const std::string device = fmt::format("/dev/cpu/{}/msr", cpu);
    Instrument instrument = s.counter(intel ? 0.05 : 0.10, 0.001, unit, "package");
    instrument.wrap_counts = 4294967296.0;
    instrument.offset_counts = 4294967296.0 - std::floor(s.uniform(200, 1500) / unit);
    const auto truth = s.counted_power(20 + 3 * cpu, 200);  // two sockets that do not idle in step
    m->words[{device, intel ? 0x606u : 0xC0010299u}] = [=] {
      return static_cast<uint64_t>(-std::log2(unit)) << 8;
    };
    m->words[{device, intel ? 0x611u : 0xC001029Bu}] = [=] { return instrument.counts(*truth, m->time); };
  }
}
inline void msr_intel(Scene& s) {
  s.intel(), msr(s, "GenuineIntel", std::ldexp(1, -14));
}
inline void msr_amd(Scene& s) {
  s.amd(), msr(s, "AuthenticAMD", std::ldexp(1, -16));
}
inline void mirrored_dies(Scene& s) {
  s.intel();
  const auto truth = s.counted_power(30, 200);
  const Instrument instrument = s.counter(0.05, 0.001, 1e-6);
  s.zone("intel-rapl:0", "package-0-die-0", truth, instrument);
  s.zone("intel-rapl:1", "package-0-die-1", truth, instrument);
}
inline void psys_and_mmio(Scene& s) {
  s.intel();
  const auto truth = s.counted_power(10, 60);
  const Instrument instrument = s.counter(0.05, 0.001, 1e-6);
  s.zone("intel-rapl:0", "package-0", truth, instrument);
  s.zone("intel-rapl-mmio:0", "package-0", truth, s.counter(0.05, 0.001, 1e-6));
  s.zone("intel-rapl:1", "psys", s.power(20, 90), s.counter(0.05, 0.001, 1e-6));
}
inline void dram_inside_package(Scene& s) {
  s.processor("GenuineIntel", 6, 189);
  s.zone("intel-rapl:0", "package-0", s.counted_power(3, 30), s.counter(0.05, 0.001, 1e-6));
  s.zone("intel-rapl:0:0", "dram", s.power(1, 4), s.counter(0.05, 0.001, 1e-6));
}
inline void missing_permissions(Scene& s) {
  perf_two_sockets(s);
  s.machine->events_forbidden = true;
  s.counted.clear();
  s.zone("intel-rapl:0", "package-0", s.counted_power(20, 150), s.counter(0.05, 0.001, 1e-6, "zones"));
  s.zone("intel-rapl:1", "package-1", s.counted_power(20, 150), s.counter(0.05, 0.001, 1e-6, "zones"));
}
inline void hot_unplug(Scene& s) {
  powercap_with_dram(s);
  s.unplugged = "/sys/class/powercap/intel-rapl:0:1";
  s.unplugged_at = kStart + kLeadIn + s.uniform(1, 24);  // in half of the seeds after the window
}
inline void slow_counter(Scene& s) {
  s.intel();
  s.zone("intel-rapl:0", "package-0", s.counted_power(20, 150), s.counter(0.05, s.uniform(0.1, 0.6), 1e-6));
}
inline void coarse_counter(Scene& s) {
  SimulatedMachine* m = s.machine.get();
  const auto truth = s.counted_power(40, 200);
  const Instrument instrument = s.counter(0.02, 1.0, 3.6);  // milliwatt-hours, once a second
  m->files["/counter"] = [=] {
    return fmt::format("{:.3f} Wh", 1e-3 * static_cast<double>(instrument.counts(*truth, m->time)));
  };
  s.options.source = "file:/counter";
}
inline void gpu_energy(Scene& s) {
  amd_powercap(s);
  FakeBoards* state = boards(s);
  SimulatedMachine* m = s.machine.get();
  const auto truth = s.counted_power(70, 500);
  Instrument instrument = s.counter(0.05, 0.1, 1e-3);
  instrument.offset_counts = 0;
  state->joules = [=] { return 1e-3 * static_cast<double>(instrument.counts(*truth, m->time)); };
}
inline void gpu_power(Scene& s) {
  amd_powercap(s);
  FakeBoards* state = boards(s);
  state->counts_energy = false;
  SimulatedMachine* m = s.machine.get();
  const auto truth = s.counted_power(40, 250);
  Instrument instrument = s.counter(0.05, s.uniform(0.02, 0.1), 1e-3);
  instrument.noise = 0.02;
  state->watts = [=] { return instrument.watts(*truth, m->time, false); };
}
inline void ina_rail(Scene& s) {
  const std::string device = "/sys/class/hwmon/hwmon3";
  s.machine->put(device + "/name", "ina3221");
  Instrument instrument = s.counter(0.02, s.uniform(0.02, 0.2), 1e-3);
  instrument.noise = 0.03;
  s.machine->put(device + "/in1_label", "VDD_IN");
  s.machine->put(device + "/in1_input", "5000");
  s.machine->put(device + "/in2_label", "VDD_CPU");
  s.machine->put(device + "/in2_input", "5000");
  s.power_file(device + "/curr1_input", s.counted_power(4, 30), instrument, false, 1000.0 / 5);
  s.power_file(device + "/curr2_input", s.power(1, 10), instrument, false, 1000.0 / 5);
}
inline void acpi_meter(Scene& s) {
  const std::string device = "/sys/class/hwmon/hwmon0";
  s.machine->put(device + "/name", "power_meter");
  s.power_file(device + "/power1_average", s.counted_power(100, 400), s.counter(0.05, 1.0, 1), true, 1e6);
}
inline void battery(Scene& s) {
  const std::string device = "/sys/class/power_supply/BAT0";
  s.machine->put(device + "/type", "Battery");
  s.machine->put(device + "/status", "Discharging");
  s.power_file(device + "/power_now", s.counted_power(4, 40), s.counter(0.05, 0.5, 1e-3), true, 1e6);
}

inline const Kind kKinds[] = {{"powercap_with_dram", powercap_with_dram},
                              {"perf_two_sockets", perf_two_sockets},
                              {"perf_mirrored_dies", perf_mirrored_dies},
                              {"amd_powercap", amd_powercap},
                              {"wrapping_powercap", wrapping_powercap},
                              {"msr_intel", msr_intel},
                              {"msr_amd", msr_amd},
                              {"mirrored_dies", mirrored_dies},
                              {"psys_and_mmio", psys_and_mmio},
                              {"dram_inside_package", dram_inside_package},
                              {"missing_permissions", missing_permissions},
                              {"hot_unplug", hot_unplug},
                              {"slow_counter", slow_counter},
                              {"coarse_counter", coarse_counter},
                              {"gpu_energy", gpu_energy},
                              {"gpu_power", gpu_power},
                              {"ina_rail", ina_rail},
                              {"acpi_meter", acpi_meter},
                              {"battery", battery}};

inline void run_until(MachineMeter& meter, Scene& scene, SimulatedMachine& machine, double time) {
  while (machine.time < time) {
    machine.sleep(std::min(meter.seconds_to_next_poll() * scene.uniform(0.98, 1.05), time - machine.time));
    if (scene.unplugged_at > 0 && machine.time >= scene.unplugged_at) machine.remove(scene.unplugged);
    meter.poll();
  }
}

}  // namespace wattle
