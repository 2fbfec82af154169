#pragma once

// Kinds of the zoo whose power the hardware-monitoring class or a battery's gauge shows, and dies that mirror
// each other.

#include "zoo_scene.h"

namespace wattle {

// Trees of hardware monitoring as kernels show them; tests/meter/hwmon_test.cc tells whose files they are.
inline std::string chip(Scene& s, int n, const std::string& name) {
  const std::string folder = fmt::format("/sys/class/hwmon/hwmon{}", n);
  s.machine->put(folder + "/name", name);
  return folder + "/";
}
inline void energy_file(Scene& s, const std::string& path, std::shared_ptr<TruePower> truth,
                        Instrument instrument) {
  SimulatedMachine* m = s.machine.get();
  s.machine->files[path] = [=] { return fmt::format("{}", instrument.counts(*truth, m->time)); };
}
inline void acpi_files(Scene& s, int n, const std::string& info, std::shared_ptr<TruePower> truth,
                       double seconds) {
  const std::string folder = chip(s, n, "power_meter") + "device/power1_";
  s.power_file(folder + "average", std::move(truth), s.counter(0.05, seconds, 1e-3, "acpi"), true, 1e6);
  s.machine->put(folder + "average_interval", fmt::format("{:.0f}", 1000 * seconds));
  s.machine->put(folder + "is_battery", "0");
  s.machine->put(folder + "oem_info", info);
}
inline void acpi_in_device(Scene& s) {
  acpi_files(s, 1, "", s.counted_power(100, 400), 0.5);
}
inline void grace_hopper(Scene& s) {
  acpi_files(s, 1, "Module Power Socket 0", s.counted_power(200, 700), 0.05);
  acpi_files(s, 2, "Grace Power Socket 0", s.power(100, 300), 0.05);
  acpi_files(s, 3, "CPU Power Socket 0", s.power(50, 200), 0.05);
  acpi_files(s, 4, "SysIO Power Socket 0", s.power(10, 30), 0.05);
}
inline void grace_superchip(Scene& s) {
  for (const int socket : {0, 1}) {
    acpi_files(s, 1 + 3 * socket, fmt::format("Grace Power Socket {}", socket), s.counted_power(100, 300),
               0.05);
    acpi_files(s, 2 + 3 * socket, fmt::format("CPU Power Socket {}", socket), s.power(50, 200), 0.05);
    acpi_files(s, 3 + 3 * socket, fmt::format("SysIO Power Socket {}", socket), s.power(10, 30), 0.05);
  }
}
/// One rail of an INA3221 with its shunt voltage, which is no rail.
inline void rail(Scene& s, const std::string& folder, int n, const std::string& name,
                 std::shared_ptr<TruePower> truth) {
  Instrument instrument = s.counter(0.02, 0.05, 1e-3, "rail");
  instrument.noise = 0.02;
  s.machine->put(folder + fmt::format("in{}_label", n), name);
  s.machine->put(folder + fmt::format("in{}_enable", n), "1");
  s.machine->put(folder + fmt::format("in{}_input", n), "5000");
  s.power_file(folder + fmt::format("curr{}_input", n), truth, instrument, false, 1000.0 / 5);
  s.power_file(folder + fmt::format("in{}_input", n + 3), truth, instrument, false, 1000.0);
}
inline void jetson_agx_orin(Scene& s) {
  const std::string first = chip(s, 1, "ina3221"), second = chip(s, 2, "ina3221");
  rail(s, first, 1, "VDD_GPU_SOC", s.counted_power(2, 20));
  rail(s, first, 2, "VDD_CPU_CV", s.counted_power(1, 15));
  rail(s, first, 3, "VIN_SYS_5V0", s.counted_power(4, 8));
  rail(s, second, 2, "VDDQ_VDD2_1V8AO", s.power(0.5, 2));
  s.machine->put(first + "curr4_input", "9000");
  s.machine->put(first + "in7_input", "45000");
  s.machine->put(first + "in7_label", "sum of shunt voltages");
}
inline void total_among_rails(Scene& s) {
  const auto shunt = [&](int n, const std::string& label, std::shared_ptr<TruePower> truth) {
    const std::string folder = chip(s, n, "ina226");
    s.machine->put(folder + "power1_label", label);
    s.power_file(folder + "power1_input", std::move(truth), s.counter(0.02, 0.1, 1e-3), false, 1e6);
  };
  shunt(1, "VDD_CORE", s.power(2, 20));
  shunt(2, "Total Power", s.counted_power(5, 40));
  shunt(3, "VDD_DDR", s.power(1, 4));
}
inline void amdgpu_files(Scene& s, int n, bool apu, std::shared_ptr<TruePower> truth, double accuracy) {
  const std::string folder = chip(s, n, "amdgpu");
  Instrument instrument = s.counter(accuracy, 0.05, 1e-3);
  instrument.noise = 0.01;
  s.machine->put(folder + "device/uevent", fmt::format("DRIVER=amdgpu\nPCI_SLOT_NAME=0000:0{}:00.0\n", n));
  if (apu) s.machine->put(folder + "in1_label", "vddnb");
  s.power_file(folder + (apu ? "power1_input" : "power1_average"), std::move(truth), instrument, false, 1e6);
}
inline void amdgpu_beside_rapl(Scene& s) {
  amd_powercap(s);
  amdgpu_files(s, 3, false, s.counted_power(20, 250), 0.05);
  amdgpu_files(s, 6, true, s.power(50, 280), 0.10);  // in the package
}
inline void apu_without_rapl(Scene& s) {
  amd_powercap(s);
  s.counted.clear();
  s.machine->forbidden.insert("/sys/class/powercap/intel-rapl:0/energy_uj");
  amdgpu_files(s, 6, true, s.counted_power(5, 45), 0.10);
}
inline void xe_beside_rapl(Scene& s) {
  powercap_with_dram(s);
  const std::string folder = chip(s, 4, "xe");
  s.machine->put(folder + "device/uevent", "PCI_SLOT_NAME=0000:04:00.0");
  s.machine->put(folder + "energy1_label", "card");
  s.machine->put(folder + "energy2_label", "pkg");
  energy_file(s, folder + "energy1_input", s.counted_power(20, 190), s.counter(0.05, 0.001, 1e-6));
  energy_file(s, folder + "energy2_input", s.power(10, 150), s.counter(0.05, 0.001, 1e-6));
}
inline void apple_smc(Scene& s) {
  const std::string folder = chip(s, 0, "macsmc_hwmon");
  const auto power = [&](int n, const std::string& label, std::shared_ptr<TruePower> truth) {
    s.machine->put(folder + fmt::format("power{}_label", n), label);
    s.power_file(folder + fmt::format("power{}_input", n), std::move(truth), s.counter(0.05, 0.25, 1e-3),
                 false, 1e6);
  };
  power(1, "Total System Power", s.counted_power(4, 40));
  power(2, "AC Input Power", s.power(10, 60));
  power(3, "3.8 V Rail Power", s.power(2, 25));
  power(4, "Heatpipe Power", s.power(2, 25));
}
inline void ibm_powernv(Scene& s) {
  const std::string folder = chip(s, 0, "ibmpowernv");
  const auto sensor = [&](int n, const std::string& label, std::shared_ptr<TruePower> truth) {
    for (const char* type : {"power", "energy"})
      s.machine->put(folder + fmt::format("{}{}_label", type, n), label);
    s.power_file(folder + fmt::format("power{}_input", n), truth, s.counter(0.05, 0.1, 1), false, 1e6);
    energy_file(s, folder + fmt::format("energy{}_input", n), truth, s.counter(0.05, 0.1, 1e-6));
  };
  sensor(1, "System", s.counted_power(300, 900));
  sensor(2, "Chip 0 ", s.power(50, 200));
  sensor(3, "Chip 0 Vdd", s.power(30, 150));
  sensor(4, "Chip 0 Memory", s.power(20, 60));
}
inline void ibm_occ(Scene& s) {
  const std::string folder = chip(s, 0, "occ");
  const auto truth = s.counted_power(300, 900);
  const Instrument system = s.counter(0.05, 1.0, 1);
  for (const auto& [n, label] : std::map<int, std::string>{{1, "0_system"}, {2, "0_proc"}, {5, "system"}}) {
    s.machine->put(folder + fmt::format("power{}_label", n), label);
    s.machine->put(folder + fmt::format("power{}_average", n), "1000000");
    s.power_file(folder + fmt::format("power{}_input", n), n == 2 ? s.power(50, 200) : truth, system, false,
                 1e6);
  }
}
inline void corsair_supply(Scene& s) {
  const std::string folder = chip(s, 0, "corsairpsu");
  int n = 0;
  for (const char* label : {"power total", "power +12v", "power +5v", "power +3.3v"}) {
    s.machine->put(folder + fmt::format("power{}_label", ++n), label);
    const auto truth = n == 1 ? s.counted_power(60, 400) : s.power(5, 100);
    s.power_file(folder + fmt::format("power{}_input", n), truth, s.counter(0.05, 0.25, 1), false, 1e6);
  }
}
inline void amd_energy_sockets(Scene& s) {
  s.amd();
  const std::string folder = chip(s, 0, "amd_energy");
  const auto counter = [&](int n, const std::string& label, std::shared_ptr<TruePower> truth) {
    s.machine->put(folder + fmt::format("energy{}_label", n), label);
    energy_file(s, folder + fmt::format("energy{}_input", n), std::move(truth),
                s.counter(0.10, 0.001, 1e-6, "package"));
  };
  counter(1, "Ecore000", s.power(1, 10));
  counter(2, "Esocket0", s.counted_power(50, 240));
  counter(3, "Esocket1", s.counted_power(50, 240));
}
/// A gauge that tells what is left, in `joules_of_unit`, and no power.
inline void gauge(Scene& s, const std::string& leaf, double joules_of_unit) {
  const std::string device = "/sys/class/power_supply/BAT0";
  s.machine->put(device + "/type", "Battery");
  s.machine->put(device + "/status", "Discharging");
  s.machine->put(device + "/voltage_now", "12000000");
  SimulatedMachine* m = s.machine.get();
  const auto truth = s.counted_power(8, 60);
  Instrument instrument = s.counter(0.05, 1.0, 1000 * joules_of_unit);  // steps of a thousand
  instrument.offset_counts = 0;
  m->files[device + "/" + leaf] = [=] {
    return fmt::format("{}", 50'000'000 - 1000 * static_cast<int64_t>(instrument.counts(*truth, m->time)));
  };
}
inline void battery_energy(Scene& s) {
  gauge(s, "energy_now", 3.6e-3);
}
inline void battery_charge(Scene& s) {
  gauge(s, "charge_now", 3.6e-3 * 12);
}
/// Mirrored dies whose counts stand apart, as two registers that began at different times do.
inline void dies_apart(Scene& s, double refresh) {
  s.intel();
  const auto truth = s.counted_power(30, 200);
  Instrument instrument = s.counter(0.05, refresh, 1e-6);
  s.zone("intel-rapl:0", "package-0-die-0", truth, instrument);
  instrument.offset_counts += std::floor(s.uniform(1, 1e9));
  s.zone("intel-rapl:1", "package-0-die-1", truth, instrument);
}
inline void mirrored_dies_apart(Scene& s) {
  dies_apart(s, 0.001);
}
inline void mirrored_dies_apart_slow(Scene& s) {
  dies_apart(s, s.uniform(0.1, 0.6));
}
inline void two_dies(Scene& s) {
  s.intel();
  s.zone("intel-rapl:0", "package-0-die-0", s.counted_power(30, 200),
         s.counter(0.05, 0.001, 1e-6, "package"));
  s.zone("intel-rapl:1", "package-0-die-1", s.counted_power(33, 200),  // they leak differently
         s.counter(0.05, 0.001, 1e-6, "package"));
}

inline const Kind kSensorKinds[] = {{"acpi_in_device", acpi_in_device},
                                    {"grace_hopper", grace_hopper},
                                    {"grace_superchip", grace_superchip},
                                    {"jetson_agx_orin", jetson_agx_orin},
                                    {"total_among_rails", total_among_rails},
                                    {"amdgpu_beside_rapl", amdgpu_beside_rapl},
                                    {"apu_without_rapl", apu_without_rapl},
                                    {"xe_beside_rapl", xe_beside_rapl},
                                    {"apple_smc", apple_smc},
                                    {"ibm_powernv", ibm_powernv},
                                    {"ibm_occ", ibm_occ},
                                    {"corsair_supply", corsair_supply},
                                    {"amd_energy_sockets", amd_energy_sockets},
                                    {"battery_energy", battery_energy},
                                    {"battery_charge", battery_charge},
                                    {"mirrored_dies_apart", mirrored_dies_apart},
                                    {"mirrored_dies_apart_slow", mirrored_dies_apart_slow},
                                    {"two_dies", two_dies}};

}  // namespace wattle
