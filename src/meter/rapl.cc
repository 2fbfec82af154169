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

namespace wattle {
namespace {

// Against a reference meter Intel's counters are off by up to 5 % (Khan et al. 2018, TOMPECS 3(2)); AMD's are
// modelled by the processor itself and miss part of what depends on the data (Schoene et al. 2021, CLUSTER):
// 10 %.
constexpr double kIntelAccuracy = 0.05, kAmdAccuracy = 0.10;
/// Steps that two counters must have made in common, and readings 4 ms apart in which they may make them.
constexpr int kTwinSteps = 8, kFewestTwinReadings = 16, kMostTwinReadings = 128;

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
/// register's own. Else equal steps do, two thirds of several, because a refresh that falls between the two
/// readings spoils two of them; and only within a package, because two sockets that idle alike take steps
/// that are equal for a while.
class TwinWatch {
 public:
  TwinWatch(size_t a, size_t b, bool own_counts, bool one_package)
      : a_(a), b_(b), own_counts_(own_counts), one_package_(one_package) {}
  void take(const std::vector<Reading>& before, const std::vector<Reading>& now) {
    const uint64_t step_a = now[a_].counts - before[a_].counts, step_b = now[b_].counts - before[b_].counts;
    ++readings_;
    if (now[a_].ok && now[b_].ok) same_counts_ += now[a_].counts == now[b_].counts;
    moved_ += step_a != 0 || step_b != 0;
    equal_steps_ += step_a != 0 && step_a == step_b && now[a_].ok && now[b_].ok;
  }
  bool twins() const {
    if (own_counts_ && moved_ > 0 && 2 * same_counts_ >= readings_) return true;
    return one_package_ && moved_ >= kTwinSteps && 3 * equal_steps_ >= 2 * moved_;
  }
  bool undecided() const { return one_package_ && moved_ < kTwinSteps; }
  size_t a() const { return a_; }
  size_t b() const { return b_; }

 private:
  size_t a_, b_;
  bool own_counts_, one_package_;
  int readings_ = 0, same_counts_ = 0, moved_ = 0, equal_steps_ = 0;
};

/// For each channel the earlier one that it mirrors, or -1.
/// `packages` holds the number of each one's, or -1 where it is not known.
std::vector<int> find_twins(Machine& machine, Source& source, const std::vector<int>& packages,
                            bool own_counts) {
  const std::vector<Channel>& channels = source.channels();
  std::vector<TwinWatch> pairs;
  for (size_t a = 0; a < channels.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (channels[a].scope != channels[b].scope || channels[a].scope == "core") continue;
      const bool one_package = packages[a] < 0 || packages[b] < 0 || packages[a] == packages[b];
      pairs.emplace_back(a, b, own_counts, one_package);
    }
  }
  std::vector<Reading> before = source.read();
  const auto undecided = [](const TwinWatch& pair) { return pair.undecided(); };
  for (int i = 1; i < kMostTwinReadings && !pairs.empty(); ++i) {
    if (i >= kFewestTwinReadings && std::none_of(pairs.begin(), pairs.end(), undecided)) break;
    machine.sleep(0.004);
    std::vector<Reading> now = source.read();
    for (TwinWatch& pair : pairs) pair.take(before, now);
    before = std::move(now);
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
  const std::vector<Channel>& channels() const override { return channels_; }
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
  void leave_out() { leave_out_overlaps(channels_, find_twins(machine_, *this, packages_, own_counts())); }

 protected:
  virtual std::optional<uint64_t> read_counts(const Key& key) = 0;
  /// Whether counts are the register's, not counted since the opening.
  virtual bool own_counts() const { return true; }
  Machine& machine_;
  std::vector<Channel> channels_;
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

/// One processor for each package and die: its number and "package-0" or "package-0-die-1".
std::map<std::string, int> package_leaders(Machine& machine) {
  std::map<std::string, int> leaders;
  for (const std::string& entry : machine.list("/sys/devices/system/cpu")) {
    if (entry.rfind("cpu", 0) != 0 || entry.size() < 4 || entry[3] < '0' || entry[3] > '9') continue;
    const int cpu = std::atoi(entry.c_str() + 3);
    const auto package =
        machine.read_number("/sys/devices/system/cpu/" + entry + "/topology/physical_package_id");
    const std::string name = fmt::format("package-{}", static_cast<int>(package.value_or(0)));
    const auto found = leaders.find(name);
    if (found == leaders.end() || cpu < found->second) leaders[name] = cpu;
  }
  return leaders;
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
  for (const auto& [package, cpu] : package_leaders(machine)) {
    const std::string device = fmt::format("/dev/cpu/{}/msr", cpu);
    forbidden |= machine.access(device) == Access::kForbidden;
    const auto units = machine.read_word(device, intel ? 0x606 : 0xC0010299);
    if (!units || *units == 0) continue;
    const double unit = std::ldexp(1.0, -static_cast<int>(*units >> 8 & 0x1f));
    const std::string number = package.substr(8);
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
      source->add(
          channel_of(fmt::format("{}-{}", domain.name, number), domain.unit, 4294967296.0, accuracy(machine)),
          {device, domain.offset});
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

}  // namespace wattle
