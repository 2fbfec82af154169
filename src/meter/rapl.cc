// Running Average Power Limit counters by their three doors: perf events (64 bits, never wrap), powercap
// files, model- specific registers. Intel SDM volume 3B, section 15.10; AMD PPR, "RAPL" registers; Linux
// Documentation/power/powercap.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include <fmt/format.h>

#include "meter/processor.h"
#include "meter/source.h"

namespace wattle::inline meter {
namespace {

// Against a reference meter Intel's counters are off by up to 5 % (Khan et al. 2018, TOMPECS 3(2)); AMD's are
// modelled by the processor itself and miss part of what depends on the data (Schoene et al. 2021, CLUSTER):
// 10 %.
constexpr double kIntelAccuracy = 0.05, kAmdAccuracy = 0.10;
// Looking for counters that are one counter seen twice. The registers count in steps of at most 2^-14 J
// (Intel SDM, MSR_RAPL_POWER_UNIT); two dies differ in what they draw within a refresh by at least half a
// percent, for leakage alone differs more than that. So two separate dies take a step of S joules to the same
// count once in S x 0.5 % / 2^-14 J times, and a hundred thousand to one decides.
constexpr double kCountJoules = 1.0 / 16384, kSpread = 0.005, kDecisiveBits = 17;
constexpr int kFewestTwinReadings = 16;
constexpr double kTwinPeriod = 0.004, kLongestTwinPeriod = 0.1;
constexpr double kLongestTwinWatch = 4, kLongestStill = 1.5;

double accuracy(Machine& machine) {
  return describe_processor(machine).vendor == "GenuineIntel" ? kIntelAccuracy : kAmdAccuracy;
}

std::string scope_of(const std::string& name) {
  if (name.rfind("package", 0) == 0 || name == "pkg") return "package";
  if (name.rfind("psys", 0) == 0) return "platform";
  if (name.rfind("dram", 0) == 0 || name == "ram") return "dram";
  return "core";  // core, cores, uncore, gpu: parts of the package
}

Channel channel_of(const std::string& name, double unit, double wrap_counts, double accuracy) {
  Channel channel;
  channel.name = name;
  channel.scope = scope_of(name);
  channel.unit = unit;
  channel.wrap_counts = wrap_counts;
  channel.accuracy = accuracy;
  return channel;
}

/// Two channels of one scope that may be one counter seen twice. Equal counts decide it where they are the
/// register's own. Else it is their difference, which stays the same to the last count however far the two
/// are apart; a refresh that falls between the two readings changes it for that one reading. Steps decide
/// only within a package, because two sockets that are alike are two all the same.
class TwinWatch {
 public:
  TwinWatch(size_t a, size_t b, const Channel& channel, bool own_counts, double rounding, bool one_package)
      : a_(a),
        b_(b),
        unit_(channel.unit),
        wrap_(channel.wrap_counts),
        rounding_(rounding),
        own_counts_(own_counts),
        one_package_(one_package) {}
  void take(const std::vector<Reading>& before, const std::vector<Reading>& now) {
    if (!before[a_].ok || !before[b_].ok || !now[a_].ok || !now[b_].ok) return;
    const double step_a = step(before[a_], now[a_]), step_b = step(before[b_], now[b_]);
    ++readings_;
    same_counts_ += now[a_].counts == now[b_].counts;
    if (step_a == 0 && step_b == 0) return;
    counts_ += step_a, difference_ += step_a - step_b;
    moves_.push_back({counts_, difference_});
  }
  bool twins() const {
    if (own_counts_ && !moves_.empty() && 2 * same_counts_ >= readings_) return true;
    const Judgement all = judge();
    return one_package_ && all.together && all.bits >= kDecisiveBits;
  }
  bool undecided() const {
    const Judgement now = judge();
    return one_package_ && (moves_.size() < 4 || now.together) && now.bits < kDecisiveBits;
  }
  bool moved() const { return !moves_.empty(); }
  size_t a() const { return a_; }
  size_t b() const { return b_; }

 private:
  struct Move {
    double counts, difference;  ///< since the first reading
  };
  struct Judgement {
    bool together = false;  ///< the difference is its usual one after two thirds of the moves
    double bits = 0;        ///< how unlikely that is for separate counters: 2^-bits
  };
  double step(const Reading& before, const Reading& now) const {
    const double step = static_cast<double>(now.counts) - static_cast<double>(before.counts);
    return step < 0 ? step + wrap_ : step;
  }
  Judgement judge() const {
    if (moves_.empty()) return {};
    std::vector<double> differences;
    for (const Move& move : moves_) differences.push_back(move.difference);
    std::nth_element(differences.begin(), differences.begin() + differences.size() / 2, differences.end());
    const double usual = differences[differences.size() / 2];
    Judgement judgement;
    size_t agreeing = 0;
    double last = -1;
    for (const Move& move : moves_) {
      if (std::abs(move.difference - usual) > rounding_) continue;
      if (last >= 0)
        judgement.bits += std::log2(std::max(1.0, (move.counts - last) * unit_ * kSpread / kCountJoules));
      last = move.counts;
      ++agreeing;
    }
    judgement.together = 3 * agreeing >= 2 * moves_.size();
    return judgement;
  }

  size_t a_, b_;
  double unit_, wrap_, rounding_;
  bool own_counts_, one_package_;
  int readings_ = 0, same_counts_ = 0;
  double counts_ = 0, difference_ = 0;
  std::vector<Move> moves_;
};

/// For each channel the earlier one that it mirrors, or -1.
/// `packages` holds the number of each one's, or -1 where it is not known; `rounding` the counts by which a
/// door's conversion may blur a difference.
std::vector<int> find_twins(Machine& machine, Source& source, const std::vector<int>& packages,
                            bool own_counts, double rounding) {
  const std::vector<Channel>& channels = source.channels();
  std::vector<TwinWatch> pairs;
  for (size_t a = 0; a < channels.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (channels[a].scope != channels[b].scope || channels[a].scope == "core") continue;
      if (!channels[a].left_out.empty() || !channels[b].left_out.empty()) continue;
      const bool one_package = packages[a] < 0 || packages[b] < 0 || packages[a] == packages[b];
      pairs.emplace_back(a, b, channels[a], own_counts, rounding, one_package);
    }
  }
  std::vector<Reading> before = source.read();
  const double begin = machine.now();
  double period = kTwinPeriod;
  const auto worth_waiting = [&](const TwinWatch& pair) {
    const double seconds = machine.now() - begin;
    return pair.undecided() && seconds < (pair.moved() ? kLongestTwinWatch : kLongestStill);
  };
  for (int i = 1; !pairs.empty(); ++i) {
    if (i >= kFewestTwinReadings && std::none_of(pairs.begin(), pairs.end(), worth_waiting)) break;
    machine.sleep(period);
    std::vector<Reading> now = source.read();
    for (TwinWatch& pair : pairs) pair.take(before, now);
    before = std::move(now);
    // Longer steps tell more, where the power is small.
    if (i >= 2 * kFewestTwinReadings) period = std::min(1.2 * period, kLongestTwinPeriod);
  }
  std::vector<int> twins(channels.size(), -1);
  for (const TwinWatch& pair : pairs) {
    if (twins[pair.a()] < 0 && twins[pair.b()] < 0 && pair.twins())
      twins[pair.a()] = static_cast<int>(pair.b());
  }
  return twins;
}

/// A source whose channels are read one by one by a key.
template <typename Key>
class KeyedSource : public Source {
 public:
  explicit KeyedSource(Machine& machine) : machine_(machine) {}
  std::vector<Reading> read() override {
    std::vector<Reading> readings;
    for (const Key& key : keys_) {
      const std::optional<uint64_t> counts = read_counts(key);
      readings.push_back({counts.has_value(), counts.value_or(0), 0});
    }
    return readings;
  }
  void add(Channel channel, Key key, int package = -1) {
    channels_.push_back(std::move(channel));
    keys_.push_back(std::move(key));
    packages_.push_back(package);
  }
  void leave_out() {
    leave_out_overlaps(channels_, find_twins(machine_, *this, packages_, own_counts(), rounding()));
  }

 protected:
  virtual std::optional<uint64_t> read_counts(const Key& key) = 0;
  /// Whether counts are the register's, not counted since the opening.
  virtual bool own_counts() const { return true; }
  /// Counts by which the difference of two counters that are one may vary.
  virtual double rounding() const { return 0; }
  Machine& machine_;
  std::vector<Key> keys_;
  std::vector<int> packages_;
};

class PowercapSource : public KeyedSource<std::string> {
 public:
  using KeyedSource::KeyedSource;
  std::string name() const override { return "rapl-powercap"; }

 protected:
  std::optional<uint64_t> read_counts(const std::string& zone) override {
    const auto number = machine_.read_number(zone + "/energy_uj");
    if (!number || *number < 0) return std::nullopt;
    return static_cast<uint64_t>(*number);
  }
  /// Each register's count is rounded down to a microjoule by itself.
  double rounding() const override { return 2; }
};

class PerfSource : public KeyedSource<int> {
 public:
  using KeyedSource::KeyedSource;
  ~PerfSource() override {
    for (const int handle : keys_) machine_.close_event(handle);
  }
  std::string name() const override { return "rapl-perf"; }

 protected:
  std::optional<uint64_t> read_counts(const int& handle) override { return machine_.read_event(handle); }
  bool own_counts() const override { return false; }
};

struct Register {
  std::string device;
  uint64_t offset;
};

class MsrSource : public KeyedSource<Register> {
 public:
  using KeyedSource::KeyedSource;
  std::string name() const override { return "rapl-msr"; }

 protected:
  std::optional<uint64_t> read_counts(const Register& where) override {
    const auto word = machine_.read_word(where.device, where.offset);
    if (!word) return std::nullopt;
    return *word & 0xffffffffu;
  }
};

std::vector<std::string> powercap_zones(Machine& machine) {
  const std::string root = "/sys/class/powercap";
  std::vector<std::string> zones;
  std::set<std::string> seen;
  for (const std::string& entry : machine.list(root)) {
    if (entry.find(':') == std::string::npos) continue;
    if (seen.insert(entry).second) zones.push_back(root + "/" + entry);
    for (const std::string& inner : machine.list(root + "/" + entry)) {
      if (inner.rfind(entry + ":", 0) != 0 || !seen.insert(inner).second) continue;
      zones.push_back(root + "/" + entry + "/" + inner);
    }
  }
  // The registers come before their memory-mapped copies, which are known by having the same names.
  std::stable_partition(zones.begin(), zones.end(),
                        [](const std::string& zone) { return zone.find("-mmio") == std::string::npos; });
  return zones;
}

/// The package of "package-1-die-0", or of the zone that holds this one; -1 where its name does not say.
int package_of_zone(Machine& machine, const std::string& zone) {
  const std::string entry = zone.substr(zone.rfind('/') + 1);
  const std::string parent = entry.substr(0, entry.find(':', entry.find(':') + 1));
  const std::string name = machine.read("/sys/class/powercap/" + parent + "/name").value_or("");
  return name.rfind("package-", 0) == 0 ? std::atoi(name.c_str() + 8) : -1;
}

/// A part of the machine with registers of its own: a package, or one of Intel's dies in it.
struct RegisterDomain {
  int package = 0;
  std::string number;  ///< "0", or "0-die-1" where the package has several
  int cpu = 0;         ///< one of its processors
};

std::vector<RegisterDomain> register_domains(Machine& machine, bool by_die) {
  std::map<int, std::map<int, int>> leaders;  // package, die: the first processor
  for (const std::string& entry : machine.list("/sys/devices/system/cpu")) {
    if (entry.rfind("cpu", 0) != 0 || entry.size() < 4 || entry[3] < '0' || entry[3] > '9') continue;
    const int cpu = std::atoi(entry.c_str() + 3);
    const std::string topology = "/sys/devices/system/cpu/" + entry + "/topology/";
    const auto number = [&](const char* file) {
      return static_cast<int>(machine.read_number(topology + file).value_or(0));
    };
    const auto [leader, fresh] =
        leaders[number("physical_package_id")].emplace(by_die ? number("die_id") : 0, cpu);
    if (!fresh) leader->second = std::min(leader->second, cpu);
  }
  std::vector<RegisterDomain> domains;
  for (const auto& [package, dies] : leaders) {
    for (const auto& [die, cpu] : dies) {
      domains.push_back(
          {package, dies.size() > 1 ? fmt::format("{}-die-{}", package, die) : fmt::format("{}", package),
           cpu});
    }
  }
  return domains;
}

std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> cpus;
  for (size_t at = 0; at < text.size();) {
    char* end = nullptr;
    const long first = std::strtol(text.c_str() + at, &end, 10);
    long last = first;
    if (*end == '-') last = std::strtol(end + 1, &end, 10);
    for (long cpu = first; cpu <= last && last - first < 4096; ++cpu) cpus.push_back(static_cast<int>(cpu));
    at = static_cast<size_t>(end - text.c_str()) + 1;
  }
  return cpus;
}

}  // namespace

void leave_out_overlaps(std::vector<Channel>& channels, const std::vector<int>& twins) {
  bool has_package = false;
  for (const Channel& channel : channels) has_package |= channel.scope == "package";
  for (size_t i = 0; i < channels.size(); ++i) {
    Channel& channel = channels[i];
    if (!channel.left_out.empty()) continue;
    if (twins[i] >= 0) {
      channel.left_out = fmt::format("mirrors {}: their counts move in step, so it is one counter seen twice",
                                     channels[twins[i]].name);
    } else if (channel.scope == "core") {
      channel.left_out = "a part of its package, which is counted";
    } else if (channel.scope == "platform" && has_package) {
      channel.left_out = "the platform holds the packages (and more), which are counted by themselves";
    }
  }
}

Probe open_rapl_powercap(Machine& machine) {
  auto source = std::make_unique<PowercapSource>(machine);
  const ProcessorId processor = describe_processor(machine);
  std::string forbidden;
  std::set<std::string> names;
  for (const std::string& zone : powercap_zones(machine)) {
    const auto name = machine.read(zone + "/name");
    if (!name) continue;
    const Access access = machine.access(zone + "/energy_uj");
    // A sum without one of its packages would look like a smaller machine; parts of a package are not added.
    const bool added = scope_of(*name) != "core" && zone.find("-mmio") == std::string::npos;
    if (access == Access::kForbidden && added) forbidden = zone;
    if (access != Access::kFine) continue;
    const double range = machine.read_number(zone + "/max_energy_range_uj").value_or(0);
    Channel channel = channel_of(*name, 1e-6, range > 0 ? range + 1 : 0, accuracy(machine));
    const size_t slash = zone.rfind('/');
    const std::string entry = zone.substr(slash + 1);
    // Sub-zones share their names over packages: dram of package 1 becomes dram-1.
    if (channel.scope != "package" && channel.scope != "platform")
      channel.name += "-" + entry.substr(entry.find(':') + 1, 1);
    if (entry.rfind("intel-rapl-mmio", 0) == 0 && names.count(channel.name)) {
      channel.left_out = "the package again, read over memory-mapped registers";
    }
    if (channel.scope == "dram" && processor.memory_on_package) {
      channel.left_out = "this processor carries its memory on the package, which counts it already";
    }
    names.insert(channel.name);
    source->add(std::move(channel), zone, package_of_zone(machine, zone));
  }
  if (!forbidden.empty()) {
    return {nullptr, fmt::format("{}/energy_uj may be read by root alone", forbidden),
            "sudo chmod a+r /sys/class/powercap/*/energy_uj"};
  }
  if (source->channels().empty())
    return {nullptr, "/sys/class/powercap has no RAPL zone", "sudo modprobe intel_rapl_msr"};
  source->leave_out();
  return {std::move(source), "", ""};
}

Probe open_rapl_perf(Machine& machine) {
  const std::string pmu = "/sys/bus/event_source/devices/power";
  const auto type = machine.read_number(pmu + "/type");
  const auto mask = machine.read(pmu + "/cpumask");
  if (!type || !mask)
    return {nullptr, "perf has no power events (" + pmu + " is missing)", "sudo modprobe rapl"};
  auto source = std::make_unique<PerfSource>(machine);
  const ProcessorId processor = describe_processor(machine);
  int refusal = 0;
  std::string refused;
  const std::vector<int> cpus = parse_cpu_list(*mask);
  for (const std::string& event : machine.list(pmu + "/events")) {
    if (event.rfind("energy-", 0) != 0 || event.find('.') != std::string::npos) continue;
    const auto config = machine.read(pmu + "/events/" + event);  // "event=0x02"
    const auto scale = machine.read_number(pmu + "/events/" + event + ".scale");
    if (!config || !scale || config->find('=') == std::string::npos) continue;
    const std::string unit = machine.read(pmu + "/events/" + event + ".unit").value_or("Joules");
    if (unit != "Joules")
      return {nullptr, fmt::format("perf tells {} in {}, not in Joules", event, unit), ""};
    const uint64_t code = std::strtoull(config->c_str() + config->find('=') + 1, nullptr, 16);
    for (size_t i = 0; i < cpus.size(); ++i) {
      if (event == "energy-psys" && i > 0) continue;  // one platform, whichever socket shows it
      const int handle = machine.open_event(static_cast<uint32_t>(*type), code, cpus[i]);
      std::string name = event.substr(7);
      if (name == "pkg") name = "package";
      if (name == "ram") name = "dram";
      if (handle < 0) {
        refusal = -handle;
        if (scope_of(name) != "core")
          refused = fmt::format("{} of processor {} ({})", event, cpus[i], std::strerror(refusal));
        continue;
      }
      Channel channel = channel_of(name, *scale, 0, accuracy(machine));
      channel.name = fmt::format("{}-{}", name, i);
      if (channel.scope == "dram" && processor.memory_on_package) {
        channel.left_out = "this processor carries its memory on the package, which counts it already";
      }
      const auto package = machine.read_number(
          fmt::format("/sys/devices/system/cpu/cpu{}/topology/physical_package_id", cpus[i]));
      source->add(std::move(channel), handle, static_cast<int>(package.value_or(-1)));
    }
  }
  if (refusal == EACCES || refusal == EPERM) {
    return {nullptr, "the kernel refuses power events to this user (perf_event_paranoid)",
            "sudo sysctl kernel.perf_event_paranoid=0"};
  }
  // A sum without one of its packages would look like a smaller machine.
  if (!refused.empty()) return {nullptr, "perf does not open " + refused, ""};
  if (source->channels().empty()) return {nullptr, "perf opens no power event", ""};
  source->leave_out();
  return {std::move(source), "", ""};
}

Probe open_rapl_msr(Machine& machine) {
  const ProcessorId processor = describe_processor(machine);
  const bool intel = processor.vendor == "GenuineIntel";
  if (!intel && processor.vendor != "AuthenticAMD" && processor.vendor != "HygonGenuine") {
    return {nullptr, "this processor has no RAPL registers", ""};
  }
  auto source = std::make_unique<MsrSource>(machine);
  bool forbidden = false;
  // Of Intel's processors with several dies each has its registers; AMD's are the package's (Linux
  // arch/x86/events/rapl.c).
  for (const RegisterDomain& part : register_domains(machine, intel)) {
    const std::string device = fmt::format("/dev/cpu/{}/msr", part.cpu);
    forbidden |= machine.access(device) == Access::kForbidden;
    const auto units = machine.read_word(device, intel ? 0x606 : 0xC0010299);
    if (!units || *units == 0) continue;
    const double unit = std::ldexp(1.0, -static_cast<int>(*units >> 8 & 0x1f));
    struct Domain {
      const char* name;
      uint64_t offset;
      double unit;
    };
    // Server parts from Haswell on count memory in steps of 15.3 microjoules whatever the unit register says.
    const double dram_unit = processor.server ? std::ldexp(1.0, -16) : unit;
    std::vector<Domain> domains = {
        {"package", 0x611, unit}, {"dram", 0x619, dram_unit}, {"core", 0x639, unit}};
    if (!intel) domains = {{"package", 0xC001029B, unit}};
    for (const Domain& domain : domains) {
      const auto first = machine.read_word(device, domain.offset);
      if (!first || *first == 0) continue;  // registers that a model lacks read as zero
      source->add(channel_of(fmt::format("{}-{}", domain.name, part.number), domain.unit, 4294967296.0,
                             accuracy(machine)),
                  {device, domain.offset}, part.package);
    }
  }
  if (forbidden)
    return {nullptr, "/dev/cpu/*/msr may be read by root alone",
            "sudo chmod a+r /dev/cpu/*/msr (and CAP_SYS_RAWIO)"};
  if (source->channels().empty())
    return {nullptr, "/dev/cpu/*/msr is missing or shows no RAPL register", "sudo modprobe msr"};
  source->leave_out();
  return {std::move(source), "", ""};
}

}  // namespace wattle::inline meter
