// Trees of /sys as kernels show them on machines of many kinds: which figure is counted, and why each other
// one is not. Names of files and labels follow the drivers named with each test.
#include <gtest/gtest.h>
#include <wattle/error.h>

#include "meter/find_sources.h"
#include "meter/hwmon.h"
#include "meter/machine_meter.h"
#include "meter/survey.h"
#include "simulated_machine.h"

namespace wattle {
namespace {

/// "a+ b-" of a source's channels: counted or left out.
std::string counted(const Source& source) {
  std::string text;
  for (const Channel& channel : source.channels())
    text += (text.empty() ? "" : ", ") + channel.name + (channel.left_out.empty() ? "+" : "-");
  return text;
}

std::string reason(const Source& source, const std::string& name) {
  for (const Channel& channel : source.channels())
    if (channel.name == name) return channel.left_out;
  return "no such channel";
}

/// A machine of files, at rest.
class Hwmon : public testing::Test {
 protected:
  Hwmon() : machine_(*owned_) {
    machine_.put("/proc/cpuinfo",
                 "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n");
  }
  /// Puts hwmonN/LEAF for each "LEAF" and text, and hwmonN/name.
  void chip(int n, const std::string& name, const std::map<std::string, std::string>& files) {
    const std::string folder = fmt::format("/sys/class/hwmon/hwmon{}/", n);
    machine_.put(folder + "name", name);
    for (const auto& [leaf, text] : files) machine_.put(folder + leaf, text);
  }
  void rapl(const std::string& name = "package-0") {
    machine_.put("/sys/class/powercap/intel-rapl:0/name", name);
    machine_.put("/sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850");
    machine_.files["/sys/class/powercap/intel-rapl:0/energy_uj"] = [this] {
      return fmt::format("{:.0f}", 1e9 + 5e7 * machine_.time);
    };
  }
  std::unique_ptr<MachineMeter> meter() {
    return std::make_unique<MachineMeter>(std::move(owned_), MeterOptions{}, false);
  }
  std::unique_ptr<SimulatedMachine> owned_ = std::make_unique<SimulatedMachine>();
  SimulatedMachine& machine_;
};

// drivers/hwmon/acpi_power_meter.c: attributes of the ACPI device, "name" among them until the driver gave
// one to the hwmon device.
TEST_F(Hwmon, AcpiFilesLieInTheDevice) {
  for (const char* place : {"", "device/"}) {
    SimulatedMachine machine;
    const std::string folder = "/sys/class/hwmon/hwmon2/";
    machine.put(folder + (*place == '\0' ? "name" : "device/name"), "power_meter");
    machine.put(folder + place + "power1_average", "212000000");
    machine.put(folder + place + "power1_average_interval", "1000");
    machine.put(folder + place + "power1_accuracy", "98.0%");
    machine.put(folder + place + "power1_is_battery", "0");
    machine.put(folder + place + "power1_model_number", "");
    machine.put(folder + place + "power1_oem_info", "");
    const Probe probe = open_acpi_meter(machine);
    ASSERT_TRUE(probe.source) << probe.obstacle;
    const Channel& channel = probe.source->channels()[0];
    EXPECT_EQ(channel.scope, "wall");
    EXPECT_TRUE(channel.averaged);
    EXPECT_DOUBLE_EQ(channel.stated_interval, 1);
    EXPECT_NEAR(channel.accuracy, 0.02, 1e-12);
    EXPECT_DOUBLE_EQ(probe.source->read()[0].watts, 212);
  }
}

TEST_F(Hwmon, AcpiMetersOfRootSayTheCure) {
  chip(0, "power_meter", {{"device/power1_average", "1"}});
  machine_.forbidden.insert("/sys/class/hwmon/hwmon0/device/power1_average");
  const Probe probe = open_acpi_meter(machine_);
  EXPECT_FALSE(probe.source);
  EXPECT_NE(probe.cure.find("chmod a+r"), std::string::npos);
}

class Grace : public Hwmon {
 protected:
  void meter_of(int n, const std::string& info, double watts) {
    chip(n, "power_meter",
         {{"device/power1_average", fmt::format("{:.0f}", 1e6 * watts)},
          {"device/power1_average_interval", "50"},
          {"device/power1_accuracy", "100.0%"},
          {"device/power1_is_battery", "0"},
          {"device/power1_oem_info", info}});
  }
};

TEST_F(Grace, OfFourNestedMetersOfAHopperModuleTheOutermostCounts) {
  meter_of(1, "Module Power Socket 0", 400);
  meter_of(2, "Grace Power Socket 0", 150);
  meter_of(3, "CPU Power Socket 0", 90);
  meter_of(4, "SysIO Power Socket 0", 20);
  const Probe probe = open_acpi_meter(machine_);
  ASSERT_TRUE(probe.source);
  EXPECT_EQ(counted(*probe.source),
            "Module Power Socket 0+, Grace Power Socket 0-, CPU Power Socket 0-, SysIO Power Socket 0-");
  EXPECT_EQ(reason(*probe.source, "CPU Power Socket 0"), "inside Module Power Socket 0, which is counted");
  EXPECT_EQ(probe.remark, "");
  EXPECT_EQ(probe.source->channels()[0].scope, "module");
  EXPECT_DOUBLE_EQ(probe.source->channels()[0].accuracy, 0.05);  // 100 % is no claim
}

TEST_F(Grace, OfASuperchipOfTwoSocketsBothCount) {
  for (const int socket : {0, 1}) {
    meter_of(1 + 4 * socket, fmt::format("Module Power Socket {}", socket), 0);  // no module: 0 W
    meter_of(2 + 4 * socket, fmt::format("Grace Power Socket {}", socket), 150);
    meter_of(3 + 4 * socket, fmt::format("CPU Power Socket {}", socket), 90);
    meter_of(4 + 4 * socket, fmt::format("SysIO Power Socket {}", socket), 20);
  }
  const Probe probe = open_acpi_meter(machine_);
  ASSERT_TRUE(probe.source);
  EXPECT_EQ(counted(*probe.source),
            "Module Power Socket 0-, Grace Power Socket 0+, CPU Power Socket 0-, SysIO Power Socket 0-, "
            "Module Power Socket 1-, Grace Power Socket 1+, CPU Power Socket 1-, SysIO Power Socket 1-");
  EXPECT_EQ(reason(*probe.source, "Module Power Socket 0"), "it shows 0 W");
}

TEST_F(Grace, RailsAloneAreAdded) {
  meter_of(3, "CPU Power Socket 0", 90);
  meter_of(4, "SysIO Power Socket 0", 20);
  EXPECT_EQ(counted(*open_acpi_meter(machine_).source), "CPU Power Socket 0+, SysIO Power Socket 0+");
}

TEST_F(Grace, AMeterOfTheWholeMachineHoldsAllOthers) {
  meter_of(1, "Grace Power Socket 0", 150);
  meter_of(5, "", 700);
  machine_.put("/sys/class/hwmon/hwmon5/device/measures/LNXSYBUS:00/uevent", "");
  const Probe probe = open_acpi_meter(machine_);
  EXPECT_EQ(counted(*probe.source), "Grace Power Socket 0-, acpi-hwmon5+");
}

TEST_F(Grace, MetersThatSayNothingAreAddedAndThatIsSaid) {
  meter_of(1, "", 150);
  meter_of(2, "", 140);
  meter_of(3, "", 5);
  machine_.put("/sys/class/hwmon/hwmon3/device/power1_is_battery", "1");
  const Probe probe = open_acpi_meter(machine_);
  EXPECT_EQ(counted(*probe.source), "acpi-hwmon1+, acpi-hwmon2+, acpi-hwmon3-");
  EXPECT_NE(probe.remark.find("2 ACPI power meters do not say what they measure"), std::string::npos);
}

// drivers/hwmon/ina3221.c: in4-in6 microvolts of the shunts, in7 and curr4 sums, inN_enable, labels "NC".
class Jetson : public Hwmon {
 protected:
  void ina3221(int n, const std::vector<std::string>& labels, const std::vector<int>& millivolts,
               const std::vector<int>& milliamperes) {
    std::map<std::string, std::string> files = {{"in7_label", "sum of shunt voltages"},
                                                {"update_interval", "2"}};
    int sum = 0;
    for (size_t i = 0; i < labels.size(); ++i) {
      if (!labels[i].empty()) files[fmt::format("in{}_label", i + 1)] = labels[i];
      files[fmt::format("in{}_enable", i + 1)] = "1";
      files[fmt::format("in{}_input", i + 1)] = fmt::format("{}", millivolts[i]);
      files[fmt::format("curr{}_input", i + 1)] = fmt::format("{}", milliamperes[i]);
      files[fmt::format("in{}_input", i + 4)] = fmt::format("{}", milliamperes[i] * 5);
      files[fmt::format("shunt{}_resistor", i + 1)] = "5000";
      sum += milliamperes[i];
    }
    files["in7_input"] = fmt::format("{}", 5 * sum);
    files["curr4_input"] = fmt::format("{}", sum);
    chip(n, "ina3221", files);
  }
};

TEST_F(Jetson, TheInputRailOfOrinNanoHoldsTheOthers) {
  ina3221(1, {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}, {4984, 4976, 4976}, {960, 120, 304});
  const Probe probe = open_ina(machine_);
  ASSERT_TRUE(probe.source) << probe.obstacle;
  EXPECT_EQ(counted(*probe.source), "rail VDD_IN+, rail VDD_CPU_GPU_CV-, rail VDD_SOC-");
  EXPECT_NEAR(probe.source->read()[0].watts, 4.984 * 0.960, 1e-9);
  EXPECT_DOUBLE_EQ(probe.source->channels()[0].stated_interval, 0.002);
}

TEST_F(Jetson, TheRailsOfAgxOrinAddUp) {
  ina3221(3, {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"}, {18792, 18784, 4968}, {140, 20, 980});
  ina3221(4, {"NC", "VDDQ_VDD2_1V8AO", "NC"}, {0, 4968, 0}, {0, 80, 0});
  machine_.put("/sys/class/hwmon/hwmon4/in3_enable", "0");
  const Probe probe = open_ina(machine_);
  EXPECT_EQ(counted(*probe.source),
            "rail VDD_GPU_SOC+, rail VDD_CPU_CV+, rail VIN_SYS_5V0+, rail NC-, rail VDDQ_VDD2_1V8AO-");
  double sum = 0;
  const std::vector<Reading> readings = probe.source->read();
  for (size_t i = 0; i < 3; ++i) sum += readings[i].watts;
  EXPECT_NEAR(sum, 18.792 * 0.14 + 18.784 * 0.02 + 4.968 * 0.98, 1e-9);
}

TEST_F(Jetson, RailsWithoutLabelsAreThreeAndNoFourth) {
  ina3221(0, {"", "", ""}, {5000, 3300, 1800}, {1000, 500, 200});
  const Probe probe = open_ina(machine_);
  EXPECT_EQ(counted(*probe.source), "rail hwmon0-1+, rail hwmon0-2+, rail hwmon0-3+");
}

TEST_F(Hwmon, AnInputCalledTotalIsTheWhole) {
  for (const std::string label : {"Total Power", "TOTAL_POWER", "total", "Total board", "VDD_IN", "POM_5V_IN",
                                  "PSYS", "System", "Module Power", "VIN"}) {
    SimulatedMachine machine;
    const std::string folder = "/sys/class/hwmon/hwmon";
    machine.put(folder + "0/name", "ina226");
    machine.put(folder + "0/power1_input", "4000000");
    machine.put(folder + "0/power1_label", "VDD_CPU");
    machine.put(folder + "1/name", "ina231");
    machine.put(folder + "1/power1_input", "9000000");
    machine.put(folder + "1/power1_label", label);
    EXPECT_EQ(counted(*open_ina(machine).source), "rail VDD_CPU-, rail " + label + "+");
  }
}

TEST_F(Hwmon, RailsWhoseNamesSoundLikeWholesAreNone) {
  for (const std::string label : {"VDD_SYS_SOC", "VIN_SYS_5V0", "VDD_SYS_CPU", "Subtotalling", "vinyl"}) {
    SimulatedMachine machine;
    for (const int n : {0, 1}) {
      machine.put(fmt::format("/sys/class/hwmon/hwmon{}/name", n), "ina226");
      machine.put(fmt::format("/sys/class/hwmon/hwmon{}/power1_input", n), "4000000");
      machine.put(fmt::format("/sys/class/hwmon/hwmon{}/power1_label", n), n == 0 ? "VDD_CPU" : label);
    }
    EXPECT_EQ(counted(*open_ina(machine).source), "rail VDD_CPU+, rail " + label + "+");
  }
}

// Documentation/hwmon/ltc2947.rst, drivers/hwmon/ina238.c (INA228): accumulators beside power.
TEST_F(Hwmon, AnAccumulatorIsReadInsteadOfThePowerOfTheSameShunt) {
  chip(0, "ltc2947",
       {{"energy1_input", "123456789"},
        {"energy2_input", "5"},
        {"power1_input", "7000000"},
        {"power1_label", "Power"}});
  chip(1, "ina228", {{"energy1_input", "1000"}, {"power1_input", "2000000"}, {"in1_input", "12000"}});
  const Probe probe = open_ina(machine_);
  ASSERT_EQ(probe.source->channels().size(), 2u);
  for (const Channel& channel : probe.source->channels()) {
    EXPECT_EQ(channel.kind, Channel::Kind::kEnergy);
    EXPECT_DOUBLE_EQ(channel.unit, 1e-6);
    EXPECT_EQ(channel.left_out, "");
  }
  EXPECT_EQ(probe.source->read()[0].counts, 123456789u);
}

// arch/arm64/boot/dts/apple/hwmon-common.dtsi
TEST_F(Hwmon, ApplesSmcCountsTheTotalAlone) {
  chip(0, "macsmc_hwmon",
       {{"power1_input", "14250000"},
        {"power1_label", "Total System Power"},
        {"power2_input", "31000000"},
        {"power2_label", "AC Input Power"},
        {"power3_input", "9000000"},
        {"power3_label", "3.8 V Rail Power"},
        {"power4_input", "6500000"},
        {"power4_label", "Heatpipe Power"},
        {"curr1_input", "1500"},
        {"curr1_label", "AC Input Current"}});
  const auto meter = this->meter();
  EXPECT_EQ(meter->source(), "apple-smc");
  EXPECT_EQ(meter->scope(), "system");
  EXPECT_EQ(meter->grade(), Grade::kMeasured);
  const Source& source = meter->sources().recorders[0]->source();
  EXPECT_EQ(counted(source), "Total System Power+, AC Input Power-, 3.8 V Rail Power-, Heatpipe Power-");
  EXPECT_NE(reason(source, "AC Input Power").find("charging"), std::string::npos);
}

// skiboot hw/occ-sensor.c, drivers/hwmon/ibmpowernv.c: power and energy of the same labels.
TEST_F(Hwmon, IbmsServersCountTheSystemByItsAccumulator) {
  chip(0, "ibmpowernv",
       {{"power1_input", "620000000"},
        {"power1_label", "System"},
        {"power2_input", "150000000"},
        {"power2_label", "Chip 0 "},
        {"power3_input", "90000000"},
        {"power3_label", "Chip 0 Vdd"},
        {"energy1_input", "5000000"},
        {"energy1_label", "System"},
        {"energy2_input", "4000000"},
        {"energy2_label", "Chip 0 "},
        {"energy3_input", "3000000"},
        {"energy3_label", "Chip 0 Vdd"},
        {"power4_input", "40000000"},
        {"power4_label", "Chip 0 Memory"}});
  const Probe probe = open_ibm_occ(machine_);
  ASSERT_TRUE(probe.source) << probe.obstacle;
  EXPECT_EQ(counted(*probe.source), "System+, Chip 0 -, Chip 0 Vdd-, Chip 0 Memory-");
  EXPECT_EQ(probe.source->channels()[0].kind, Channel::Kind::kEnergy);
}

TEST_F(Hwmon, IbmsServersWithoutASystemSensorCountProcessorsAndMemory) {
  chip(0, "ibmpowernv",
       {{"power1_input", "150000000"},
        {"power1_label", "Chip 0 "},
        {"power2_input", "90000000"},
        {"power2_label", "Chip 0 Vdd"},
        {"power3_input", "20000000"},
        {"power3_label", "Chip 0 Vdn"},
        {"power4_input", "40000000"},
        {"power4_label", "Chip 0 Memory"},
        {"power5_input", "250000000"},
        {"power5_label", "Chip 0 GPU"},
        {"power6_input", "155000000"},
        {"power6_label", "Chip 8 "}});
  const Probe probe = open_ibm_occ(machine_);
  EXPECT_EQ(counted(*probe.source),
            "Chip 0 +, Chip 0 Vdd-, Chip 0 Vdn-, Chip 0 Memory+, Chip 0 GPU-, Chip 8 +");
}

// Documentation/hwmon/occ.rst: powerN_average is the mean since the OCC began; the master shows "system"
// twice.
TEST_F(Hwmon, TheOccsSystemIsCountedOnceAndItsLongMeansAreNotRead) {
  chip(0, "occ",
       {{"power1_label", "0_system"},
        {"power1_average", "1"},
        {"power1_input", "612000000"},
        {"power2_label", "0_proc"},
        {"power2_average", "1"},
        {"power2_input", "140000000"},
        {"power3_label", "0_vdd"},
        {"power3_average", "1"},
        {"power3_input", "80000000"},
        {"power4_label", "0_vdn"},
        {"power4_average", "1"},
        {"power4_input", "20000000"},
        {"power5_label", "system"},
        {"power5_input", "612000000"},
        {"power5_cap", "2000000000"}});
  const Probe probe = open_ibm_occ(machine_);
  EXPECT_EQ(counted(*probe.source), "0_system+, 0_proc-, 0_vdd-, 0_vdn-, system-");
  EXPECT_DOUBLE_EQ(probe.source->read()[0].watts, 612);
  EXPECT_NE(reason(*probe.source, "system").find("the whole again"), std::string::npos);
}

TEST_F(Hwmon, OccSensorsWithNumbersForNamesAreNotGuessed) {
  chip(0, "occ", {{"power1_label", "12_15_1"}, {"power1_input", "100000000"}});
  const Probe probe = open_ibm_occ(machine_);
  EXPECT_FALSE(probe.source);
  EXPECT_NE(probe.obstacle.find("none of its sensors is known"), std::string::npos);
}

// drivers/hwmon/corsair-psu.c
TEST_F(Hwmon, APowerSupplysTotalIsTheWhole) {
  chip(0, "corsairpsu",
       {{"power1_label", "power total"},
        {"power1_input", "230000000"},
        {"power2_label", "power +12v"},
        {"power2_input", "210000000"},
        {"power3_label", "power +5v"},
        {"power3_input", "15000000"},
        {"power4_label", "power +3.3v"},
        {"power4_input", "5000000"}});
  EXPECT_EQ(counted(*open_power_supply(machine_).source),
            "power total+, power +12v-, power +5v-, power +3.3v-");
}

// Documentation/hwmon/amd_energy.rst
TEST_F(Hwmon, SocketsOfAmdEnergyAreCountedAndTheirCoresNot) {
  chip(0, "amd_energy",
       {{"energy1_input", "1000"},
        {"energy1_label", "Ecore000"},
        {"energy2_input", "2000"},
        {"energy2_label", "Ecore001"},
        {"energy3_input", "9000"},
        {"energy3_label", "Esocket0"}});
  EXPECT_EQ(counted(*open_processor_hwmon(machine_).source), "Ecore000-, Ecore001-, Esocket0+");
  machine_.forbidden.insert("/sys/class/hwmon/hwmon0/energy3_input");  // CVE-2020-12912
  const Probe probe = open_processor_hwmon(machine_);
  EXPECT_FALSE(probe.source);
  EXPECT_EQ(probe.cure, "sudo chmod a+r /sys/class/hwmon/hwmon0/energy3_input");
}

class Graphics : public Hwmon {
 protected:
  void amdgpu(int n, const std::string& place, bool apu, const std::string& power = "power1_average") {
    chip(n, "amdgpu",
         {{"in0_label", "vddgfx"},
          {"device/device", apu ? "0x1638" : "0x73bf"},
          {"device/uevent", "DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_SLOT_NAME=" + place + "\nMODALIAS=pci"},
          {power, "35000000"}});
    if (apu) machine_.put(fmt::format("/sys/class/hwmon/hwmon{}/in1_label", n), "vddnb");
  }
};

// drivers/gpu/drm/amd/pm/amdgpu_pm.c: "On APUs this includes the CPU."
TEST_F(Graphics, ADiscreteBoardOfAmdgpuIsAddedToRapl) {
  rapl();
  amdgpu(3, "0000:03:00.0", false);
  const auto meter = this->meter();
  EXPECT_EQ(meter->source(), "rapl-powercap+gpu-hwmon");
  EXPECT_EQ(meter->scope(), "package+gpu");
  EXPECT_EQ(meter->notice(), "");
}

TEST_F(Graphics, AnApusPowerIsInThePackageAndNotCountedTwice) {
  rapl();
  amdgpu(3, "0000:06:00.0", true, "power1_input");
  const auto meter = this->meter();
  EXPECT_EQ(meter->source(), "rapl-powercap");
  EXPECT_EQ(meter->scope(), "package");
}

TEST_F(Graphics, AnApuTellsThePackageWhereRaplIsForbidden) {
  rapl();
  machine_.forbidden.insert("/sys/class/powercap/intel-rapl:0/energy_uj");
  amdgpu(3, "0000:06:00.0", true, "power1_input");
  amdgpu(4, "0000:03:00.0", false, "power1_input");
  const auto meter = this->meter();
  EXPECT_EQ(meter->source(), "amd-apu+gpu-hwmon");
  EXPECT_EQ(meter->scope(), "package+gpu");
}

TEST_F(Graphics, Mi300aIsAnApuThoughItShowsNoNorthBridge) {
  amdgpu(3, "0000:01:00.0", false);
  machine_.put("/sys/class/hwmon/hwmon3/device/device", "0x74a0");
  EXPECT_FALSE(open_gpu_hwmon(machine_).source);
  EXPECT_TRUE(open_amd_apu(machine_).source);
}

// drivers/gpu/drm/xe/xe_hwmon.c: "card" and "pkg"; hwmon for discrete boards alone.
TEST_F(Graphics, XeCountsItsCardOnce) {
  rapl();
  chip(5, "xe",
       {{"energy1_input", "123456789"},
        {"energy1_label", "card"},
        {"energy2_input", "98765432"},
        {"energy2_label", "pkg"},
        {"power1_max", "190000000"},
        {"power1_label", "card"},
        {"device/uevent", "PCI_SLOT_NAME=0000:04:00.0"}});
  const auto meter = this->meter();
  EXPECT_EQ(meter->source(), "rapl-powercap+gpu-hwmon");
  EXPECT_EQ(counted(meter->sources().recorders[1]->source()), "gpu 0000:04:00.0+, gpu 0000:04:00.0 package-");
}

TEST_F(Graphics, XeThatTellsItsPackageAloneCountsThat) {
  chip(5, "xe",
       {{"energy2_input", "98765432"},
        {"energy2_label", "pkg"},
        {"device/uevent", "PCI_SLOT_NAME=0000:04:00.0"}});
  EXPECT_EQ(counted(*open_gpu_hwmon(machine_).source), "gpu 0000:04:00.0 package+");
}

// drivers/gpu/drm/i915/i915_hwmon.c: the card, and "i915_gtN" of its tiles, on the same device.
TEST_F(Graphics, I915CountsTheCardAndNotItsTilesToo) {
  for (const auto& [n, name] : std::map<int, std::string>{{1, "i915_gt0"}, {2, "i915"}, {3, "i915_gt1"}})
    chip(n, name, {{"energy1_input", "1000000"}, {"device/uevent", "PCI_SLOT_NAME=0000:03:00.0"}});
  EXPECT_EQ(counted(*open_gpu_hwmon(machine_).source),
            "gpu 0000:03:00.0+, gpu 0000:03:00.0 tile-, gpu 0000:03:00.0 tile-");
}

TEST_F(Graphics, BoardsThatTellNothingAreSaid) {
  rapl();
  amdgpu(3, "0000:03:00.0", false);
  chip(4, "nouveau", {{"temp1_input", "40000"}, {"device/uevent", "PCI_SLOT_NAME=0000:09:00.0"}});
  EXPECT_EQ(meter()->notice(),
            "1 of 2 graphics processors tell neither energy nor power and are not in the figures");
}

TEST_F(Graphics, AMeterOfTheMachineHoldsTheBoards) {
  chip(0, "power_meter", {{"device/power1_average", "212000000"}});
  amdgpu(3, "0000:03:00.0", false);
  EXPECT_EQ(meter()->source(), "acpi-power-meter");
}

TEST_F(Graphics, TheSurveyShowsEveryBoardWithItsReason) {
  chip(0, "power_meter", {{"device/power1_average", "212000000"}});
  amdgpu(3, "0000:03:00.0", false);
  chip(7, "jc99", {{"power1_input", "1000000"}, {"power1_label", "vout"}});
  const std::vector<SourceCheck> checks = survey_sources(machine_, 0.5);
  std::map<std::string, std::string> reasons;
  for (const SourceCheck& check : checks)
    for (const ZoneCheck& zone : check.zones) reasons[zone.channel.name] = zone.channel.left_out;
  EXPECT_EQ(reasons["acpi-hwmon0"], "");
  EXPECT_EQ(reasons["gpu 0000:03:00.0"], "in what acpi-power-meter measures");
  EXPECT_EQ(
      reasons["jc99 vout"],
      "what it measures is not known; if you know it, --source file:/sys/class/hwmon/hwmon7/power1_input,uW");
}

TEST_F(Hwmon, UnknownSensorsAreNeverCounted) {
  chip(7, "jc99", {{"power1_input", "1000000"}});
  machine_.put("/sys/class/power_supply/BAT0/type", "Battery");
  chip(8, "BAT0", {{"power1_input", "1000000"}});
  EXPECT_EQ(counted(*open_other_hwmon(machine_).source), "jc99 1-");
  EXPECT_EQ(meter()->grade(), Grade::kModelled);
}

class Laptop : public Hwmon {
 protected:
  void battery(const std::string& entry, const std::string& status,
               const std::map<std::string, std::string>& files) {
    const std::string folder = "/sys/class/power_supply/" + entry + "/";
    machine_.put(folder + "type", "Battery");
    machine_.put(folder + "status", status);
    for (const auto& [leaf, text] : files) machine_.put(folder + leaf, text);
  }
  /// A gauge that shows what is left of `joules` while `watts` flow.
  void falling(const std::string& leaf, double at_start, double units_a_second) {
    machine_.files["/sys/class/power_supply/BAT0/" + leaf] = [=, this] {
      return fmt::format("{:.0f}", at_start - units_a_second * (machine_.time - 100));
    };
  }
  Energy joules_of(double seconds) {
    const auto meter = this->meter();
    const auto run = [&](double until) {
      while (machine_.time < until) machine_.sleep(0.1), meter->poll();
    };
    run(machine_.time + 3);
    const auto begin = meter->begin();
    run(machine_.time + seconds);
    EXPECT_EQ(meter->source(), "battery");
    return meter->end(begin, nullptr);
  }
};

TEST_F(Laptop, EnergyAloneIsACounter) {
  battery("BAT0", "Discharging", {{"energy_full", "50000000"}});
  falling("energy_now", 40e6, 18.0 / 3.6e-3);  // 18 W in microwatt-hours
  const Energy energy = joules_of(20);
  EXPECT_EQ(energy.invalid, "");
  EXPECT_NEAR(energy.joules, 360, 4);
  EXPECT_LE(energy.low, 360);
  EXPECT_GE(energy.high, 360);
}

TEST_F(Laptop, ChargeTimesVoltageIsACounterToo) {
  battery("BAT0", "Discharging", {{"voltage_now", "12000000"}});
  falling("charge_now", 3e6, 1.5 / 3600e-6);  // 1.5 A in microampere-hours
  const Energy energy = joules_of(20);
  EXPECT_EQ(energy.invalid, "");
  EXPECT_NEAR(energy.joules, 360, 4);
}

TEST_F(Laptop, CurrentTimesVoltageIsAPower) {
  battery("BAT0", "Discharging",
          {{"voltage_now", "12000000"}, {"current_now", "-1500000"}, {"charge_now", "3000000"}});
  EXPECT_DOUBLE_EQ(open_battery(machine_).source->read()[0].watts, 18);
}

TEST_F(Laptop, APowerThatIsAlwaysZeroIsNotTaken) {
  battery("BAT0", "Discharging", {{"power_now", "0"}});
  falling("energy_now", 40e6, 5000);
  EXPECT_EQ(open_battery(machine_).source->channels()[0].kind, Channel::Kind::kEnergy);
}

TEST_F(Laptop, TheStatusDecidesWhetherItDischarges) {
  for (const std::string status : {"Charging", "Full", "Not charging", "Unknown"}) {
    battery("BAT0", status, {{"energy_now", "40000000"}});
    const Probe probe = open_battery(machine_);
    EXPECT_FALSE(probe.source);
    EXPECT_EQ(probe.obstacle, "no battery is discharging: BAT0 says \"" + status + "\"");
    EXPECT_EQ(probe.cure, "unplug the mains");
  }
}

TEST_F(Laptop, ABatteryThatShowsNothingIsNotCalledFull) {
  battery("BAT0", "Discharging", {{"capacity", "80"}});
  const Probe probe = open_battery(machine_);
  EXPECT_FALSE(probe.source);
  EXPECT_NE(probe.obstacle.find("BAT0 discharges and shows none of power_now"), std::string::npos);
  EXPECT_EQ(probe.cure, "");
}

TEST_F(Laptop, OfTwoBatteriesOneWaitsAndThenGoesOn) {
  battery("BAT0", "Discharging", {{"power_now", "15000000"}});
  battery("BAT1", "Not charging", {{"power_now", "0"}});
  const Probe probe = open_battery(machine_);
  ASSERT_EQ(probe.source->channels().size(), 2u);
  const auto watts = [&] { return probe.source->read()[0].watts + probe.source->read()[1].watts; };
  EXPECT_DOUBLE_EQ(watts(), 15);
  battery("BAT0", "Not charging", {{"power_now", "0"}});
  battery("BAT1", "Discharging", {{"power_now", "16000000"}});
  EXPECT_DOUBLE_EQ(watts(), 16);
  battery("BAT1", "Charging", {{"power_now", "20000000"}});
  const std::vector<Reading> none = probe.source->read();
  EXPECT_FALSE(none[0].ok || none[1].ok);
  EXPECT_EQ(none[1].problem, "says \"Charging\", not \"Discharging\"");
}

TEST_F(Laptop, AMouseIsNoBatteryOfTheMachine) {
  battery("hid-battery", "Discharging", {{"scope", "Device"}, {"power_now", "100000"}});
  EXPECT_EQ(open_battery(machine_).obstacle, "there is no battery in /sys/class/power_supply");
}

}  // namespace
}  // namespace wattle
