// Directories that stand for machines (--root): their perf events, permissions and zones.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <wattle/error.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "fake_nvml.h"
#include "meter/machine_meter.h"
#include "meter/source.h"
#include "simulated_machine.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPmu = "sys/bus/event_source/devices/power";

class Tree : public testing::Test {
 protected:
  Tree() : root_(fs::path(testing::TempDir()) / ("tree" + std::to_string(::getpid()))) {
    fs::remove_all(root_);
    put("proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nflags\t\t: fpu\n");
    put("sys/ready", "");
  }
  ~Tree() override { fs::remove_all(root_); }

  /// Written whole, as a reader must never see half a number.
  void put(const std::string& path, const std::string& text) {
    const fs::path file = root_ / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file.string() + ".new") << text;
    fs::rename(file.string() + ".new", file);
  }
  void count(int code, int cpu, uint64_t counts) {
    put("dev/perf_event/20/" + std::to_string(code) + "/cpu" + std::to_string(cpu), std::to_string(counts));
  }
  void event(const std::string& name, int code, const std::string& unit = "Joules") {
    const std::string path = std::string(kPmu) + "/events/energy-" + name;
    put(path, "event=0x0" + std::to_string(code));
    put(path + ".scale", "2.3283064365386962890625e-10");
    put(path + ".unit", unit);
  }
  /// Two sockets with packages, memory and cores, and the platform that both show.
  void two_sockets() {
    put(std::string(kPmu) + "/type", "20");
    put(std::string(kPmu) + "/cpumask", "0,8");
    event("cores", 1), event("pkg", 2), event("ram", 3), event("psys", 5);
    for (const int cpu : {0, 8}) {
      for (const int code : {1, 2, 3, 5}) count(code, cpu, 1000u * static_cast<unsigned>(code + cpu));
    }
  }
  std::unique_ptr<Machine> machine() { return open_machine(root_.string()); }

  fs::path root_;
};

/// Lets a counter grow every few milliseconds while it lives.
class Renewing {
 public:
  explicit Renewing(std::function<void(uint64_t)> renew)
      : thread_([this, renew] {
          for (uint64_t n = 1; !stop_; ++n) {
            renew(n);
            std::this_thread::sleep_for(std::chrono::milliseconds(3));
          }
        }) {}
  ~Renewing() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

std::string zones_of(const Source& source) {
  std::string text;
  for (const Channel& channel : source.channels())
    text += channel.name + (channel.left_out.empty() ? "+ " : "- ");
  return text;
}

TEST_F(Tree, PerfEventsAreFilesWithAllTheir64Bits) {
  two_sockets();
  const auto tree = machine();
  Probe probe = open_rapl_perf(*tree);
  ASSERT_TRUE(probe.source) << probe.obstacle;
  // The platform holds the packages, whichever of the sockets shows it; cores are parts of theirs.
  EXPECT_EQ(zones_of(*probe.source), "cores-0- cores-1- package-0+ package-1+ psys-0- dram-0+ dram-1+ ");
  EXPECT_DOUBLE_EQ(probe.source->channels()[2].unit, 2.3283064365386962890625e-10);
  EXPECT_EQ(probe.source->read()[2].counts, 0u);  // as perf counts: from its opening on
  const uint64_t far = uint64_t{1} << 62;
  count(2, 0, 2000 + far + 1);
  EXPECT_EQ(probe.source->read()[2].counts, far + 1);
  fs::remove(root_ / "dev/perf_event/20/2/cpu0");
  EXPECT_FALSE(probe.source->read()[2].ok);
}

TEST_F(Tree, MirroredDiesOfPerfAreCountedOnce) {
  two_sockets();
  fs::remove(root_ / "dev/perf_event/20/2/cpu8");
  fs::create_symlink("cpu0", root_ / "dev/perf_event/20/2/cpu8");
  const Renewing moving([this](uint64_t n) { count(2, 0, 2000 + 1288490189 * n); });  // 100 W
  const auto tree = machine();
  Probe probe = open_rapl_perf(*tree);
  ASSERT_TRUE(probe.source) << probe.obstacle;
  EXPECT_EQ(zones_of(*probe.source), "cores-0- cores-1- package-0+ package-1- psys-0- dram-0+ dram-1+ ");
  EXPECT_NE(probe.source->channels()[3].left_out.find("mirrors package-0"), std::string::npos);
}

/// Two zones of powercap as the kernel makes them: a register in steps of 2^-14 J, new every `refresh`
/// seconds, turned into microjoules and rounded down. The second register stands `apart` counts from the
/// first; its power is `ratio` times the first one's, with its own `noise` in each refresh.
struct TwoDies {
  double refresh = 0.001, watts = 50, apart = 123457, ratio = 1, noise = 0;
  std::vector<std::string> names = {"package-0-die-0", "package-0-die-1"};
  uint64_t seed = 1;
};

std::string zones_of_dies(const TwoDies& dies) {
  SimulatedMachine machine;
  std::vector<std::vector<double>> registers(2);
  std::mt19937_64 random(dies.seed);
  for (size_t i = 0; i < 2; ++i) {
    double joules = 0;
    for (double time = 0; time < 8; time += dies.refresh) {
      registers[i].push_back(std::floor(joules * 16384));
      const double noise = dies.noise * std::normal_distribution<double>()(random);
      joules += dies.watts * (i == 1 ? dies.ratio : 1) * (1 + noise) * dies.refresh;
    }
    const std::string zone = "/sys/class/powercap/intel-rapl:" + std::to_string(i);
    machine.put(zone + "/name", dies.names[i]);
    machine.put(zone + "/max_energy_range_uj", "262143328850");
    machine.files[zone + "/energy_uj"] = [&machine, &registers, &dies, i] {
      const size_t at = static_cast<size_t>((machine.time - 99.9) / dies.refresh);
      const double count = registers[i].at(std::min(at, registers[i].size() - 1)) + (i == 1 ? dies.apart : 0);
      return fmt::format("{:.0f}", std::fmod(std::floor(count * 1e6 / 16384), 262143328851.0));
    };
  }
  return zones_of(*open_rapl_powercap(machine).source);
}

TEST(Twins, DiesOfOnePackageThatAreOneCounterAreOneWhateverTheirOffsetAndRefresh) {
  for (const double refresh : {0.001, 0.002, 0.05, 0.2, 1.0}) {
    for (const double watts : {1.0, 8.0, 200.0}) {
      for (const double apart : {1.0, 123457.0, 4294967295.0}) {
        EXPECT_EQ(zones_of_dies({.refresh = refresh, .watts = watts, .apart = apart}),
                  "package-0-die-0+ package-0-die-1- ")
            << refresh << " s, " << watts << " W, " << apart << " apart";
      }
    }
  }
}

TEST(Twins, TwoDiesThatDrawNearlyTheSameAreTwo) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    for (const double refresh : {0.001, 0.05, 1.0}) {
      for (const auto& [ratio, noise] : {std::pair{1.0, 0.01}, {1.0, 0.005}, {1.005, 0.0}, {0.99, 0.02}}) {
        EXPECT_EQ(zones_of_dies({.refresh = refresh,
                                 .watts = 4.0 * static_cast<double>(seed),
                                 .ratio = ratio,
                                 .noise = noise,
                                 .seed = seed}),
                  "package-0-die-0+ package-0-die-1+ ")
            << refresh << " s, ratio " << ratio << ", noise " << noise << ", seed " << seed;
      }
    }
  }
}

TEST(Twins, TwoSocketsThatDrawTheSameAreTwo) {
  EXPECT_EQ(zones_of_dies({.names = {"package-0", "package-1"}}), "package-0+ package-1+ ");
}

TEST(Twins, CountersThatStandStillAreNotWatchedForLong) {
  SimulatedMachine machine;
  for (const int i : {0, 1}) {
    const std::string zone = "/sys/class/powercap/intel-rapl:" + std::to_string(i);
    machine.put(zone + "/name", "package-0-die-" + std::to_string(i));
    machine.put(zone + "/energy_uj", std::to_string(1000 + i));
  }
  EXPECT_EQ(zones_of(*open_rapl_powercap(machine).source), "package-0-die-0+ package-0-die-1+ ");
  EXPECT_LT(machine.time, 102);
}

TEST(Registers, OfSeveralDiesAreAllReadOnIntelAndOnceOnAmd) {
  for (const bool intel : {true, false}) {
    SimulatedMachine machine;
    machine.put("/proc/cpuinfo",
                fmt::format("processor\t: 0\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: 85\n",
                            intel ? "GenuineIntel" : "AuthenticAMD", intel ? 6 : 25));
    for (const int cpu : {0, 1, 2, 3}) {
      const std::string topology = fmt::format("/sys/devices/system/cpu/cpu{}/topology/", cpu);
      machine.put(topology + "physical_package_id", "0");
      machine.put(topology + "die_id", std::to_string(cpu / 2));
      const std::string device = fmt::format("/dev/cpu/{}/msr", cpu);
      machine.words[{device, intel ? 0x606u : 0xC0010299u}] = [] { return uint64_t{14} << 8; };
      machine.words[{device, intel ? 0x611u : 0xC001029Bu}] = [&machine, cpu] {
        return static_cast<uint64_t>(1e6 + machine.time * (1000 + 700 * (cpu / 2)) * 16.384);
      };
    }
    EXPECT_EQ(zones_of(*open_rapl_msr(machine).source),
              intel ? "package-0-die-0+ package-0-die-1+ " : "package-0+ ");
  }
}

TEST_F(Tree, PsysAloneIsCounted) {
  put(std::string(kPmu) + "/type", "20");
  put(std::string(kPmu) + "/cpumask", "0");
  event("psys", 5);
  count(5, 0, 17);
  const auto tree = machine();
  Probe probe = open_rapl_perf(*tree);
  ASSERT_TRUE(probe.source) << probe.obstacle;
  EXPECT_EQ(zones_of(*probe.source), "psys-0+ ");
}

TEST_F(Tree, MissingPermissionsAreSaidWithTheirCure) {
  two_sockets();
  put("proc/sys/kernel/perf_event_paranoid", "2\n");
  const auto tree = machine();
  const Probe refused = open_rapl_perf(*tree);
  EXPECT_FALSE(refused.source);
  EXPECT_NE(refused.obstacle.find("perf_event_paranoid"), std::string::npos) << refused.obstacle;
  EXPECT_EQ(refused.cure, "sudo sysctl kernel.perf_event_paranoid=0");
  put("proc/sys/kernel/perf_event_paranoid", "0\n");
  EXPECT_TRUE(open_rapl_perf(*tree).source);
  // One processor's events alone: the other socket would be missing from the sum.
  fs::permissions(root_ / "dev/perf_event/20/2/cpu8", fs::perms::none);
  EXPECT_FALSE(open_rapl_perf(*tree).source);
  fs::remove(root_ / "dev/perf_event/20/2/cpu8");
  const Probe lacking = open_rapl_perf(*tree);
  EXPECT_FALSE(lacking.source);
  EXPECT_NE(lacking.obstacle.find("energy-pkg of processor 8"), std::string::npos) << lacking.obstacle;
}

TEST_F(Tree, AnotherUnitThanJoulesIsRefused) {
  two_sockets();
  event("pkg", 2, "Celsius");
  const auto tree = machine();
  EXPECT_NE(open_rapl_perf(*tree).obstacle.find("energy-pkg in Celsius"), std::string::npos);
}

TEST_F(Tree, APackageOfPowercapThatNobodyMayReadIsNotLeftOutOfTheSum) {
  for (const int i : {0, 1}) {
    const std::string zone = "sys/class/powercap/intel-rapl:" + std::to_string(i);
    put(zone + "/name", "package-" + std::to_string(i));
    put(zone + "/energy_uj", std::to_string(1000 + i));
    put(zone + "/max_energy_range_uj", "262143328850");
    put(zone + "/intel-rapl:" + std::to_string(i) + ":0/name", "core");
    put(zone + "/intel-rapl:" + std::to_string(i) + ":0/energy_uj", "5");
  }
  const auto tree = machine();
  EXPECT_EQ(zones_of(*open_rapl_powercap(*tree).source), "package-0+ core-0- package-1+ core-1- ");
  fs::permissions(root_ / "sys/class/powercap/intel-rapl:1/intel-rapl:1:0/energy_uj", fs::perms::none);
  EXPECT_EQ(zones_of(*open_rapl_powercap(*tree).source), "package-0+ core-0- package-1+ ");
  fs::permissions(root_ / "sys/class/powercap/intel-rapl:1/energy_uj", fs::perms::none);
  const Probe probe = open_rapl_powercap(*tree);
  EXPECT_FALSE(probe.source);
  EXPECT_NE(probe.obstacle.find("intel-rapl:1/energy_uj may be read by root alone"), std::string::npos);
  EXPECT_EQ(probe.cure, "sudo chmod a+r /sys/class/powercap/*/energy_uj");
}

TEST_F(Tree, WithForbiddenPerfAndReadablePowercapIsMeasuredByPowercap) {
  two_sockets();
  put("proc/sys/kernel/perf_event_paranoid", "3\n");
  put("sys/class/powercap/intel-rapl:0/name", "package-0");
  put("sys/class/powercap/intel-rapl:0/energy_uj", "1000");
  MeterOptions options;
  options.root = root_.string();
  EXPECT_EQ(MachineMeter(machine(), options, false).source(), "rapl-powercap");
  put("proc/sys/kernel/perf_event_paranoid", "0\n");
  EXPECT_EQ(MachineMeter(machine(), options, false).source(), "rapl-perf");
}

TEST_F(Tree, ALibraryBelowTheRootIsTheMachinesNvml) {
  put("sys/class/powercap/intel-rapl:0/name", "package-0");
  put("sys/class/powercap/intel-rapl:0/energy_uj", "1000");
  fs::create_directories(root_ / "usr/lib");
  fs::copy_file(WATTLE_FAKE_NVML, root_ / "usr/lib/libnvidia-ml.so.1");
  void* library = ::dlopen((root_ / "usr/lib/libnvidia-ml.so.1").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr);
  auto& boards = *reinterpret_cast<FakeBoards* (*)()>(::dlsym(library, "fake_nvml_boards"))();
  boards.boards = 3, boards.joules = [] { return 5.0; };
  {
    const MachineMeter meter(machine(), {}, false);
    EXPECT_EQ(meter.source(), "rapl-powercap+nvml");
    EXPECT_EQ(meter.scope(), "package+gpu");
    EXPECT_EQ(meter.notice(), "");
  }
  boards.silent_boards = 1;
  EXPECT_EQ(MachineMeter(machine(), {}, false).notice(),
            "1 of 3 graphics processors tell neither energy nor power and are not in the figures");
  boards.start = 9;
  const MachineMeter without(machine(), {}, false);
  EXPECT_EQ(without.source(), "rapl-powercap");
  EXPECT_NE(without.notice().find("graphics processors are not in the figures: NVML does not start"),
            std::string::npos);
  boards.joules = nullptr;
  ::dlclose(library);
}

TEST_F(Tree, ThreadsHaveEventsToo) {
  put("dev/perf_event/0/0/thread42", "100");
  const auto tree = machine();
  const int handle = tree->open_thread_event(0, 0, 42);
  ASSERT_GE(handle, 0);
  put("dev/perf_event/0/0/thread42", "350");
  EXPECT_EQ(tree->read_event(handle), 250u);
  EXPECT_EQ(tree->open_thread_event(0, 0, 43), -ENOENT);
  put("proc/sys/kernel/perf_event_paranoid", "2");
  EXPECT_EQ(tree->open_thread_event(0, 0, 42), -EACCES);
}

}  // namespace
}  // namespace wattle
