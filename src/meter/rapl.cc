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
constexpr int kTwinReadings = 8;

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

/// Channels whose counters move in step are one counter seen twice. Two sockets never show equal counts by
/// accident; perf counts begin at zero for everybody, so their steps are compared, of which several must
/// agree.
std::vector<int> find_twins(Machine& machine, Source& source) {
  const std::vector<Channel>& channels = source.channels();
  std::vector<std::vector<Reading>> readings;
  for (int i = 0; i < kTwinReadings; ++i) {
    if (i > 0) machine.sleep(0.004);
    readings.push_back(source.read());
  }
  std::vector<int> twins(channels.size(), -1);
  for (size_t a = 0; a < channels.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (channels[a].scope != channels[b].scope || twins[b] >= 0) continue;
      int equal_steps = 0, moved = 0;
      for (int i = 1; i < kTwinReadings; ++i) {
        const uint64_t step_a = readings[i][a].counts - readings[i - 1][a].counts;
        const uint64_t step_b = readings[i][b].counts - readings[i - 1][b].counts;
        moved += step_a != 0;
        equal_steps += step_a == step_b && step_a != 0 && readings[i][a].ok && readings[i][b].ok;
      }
      if (moved > 0 && 2 * equal_steps >= moved) twins[a] = static_cast<int>(b);
    }
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
  void add(Channel channel, Key key) {
    channels_.push_back(std::move(channel));
    keys_.push_back(std::move(key));
  }
  void leave_out() { leave_out_overlaps(channels_, find_twins(machine_, *this)); }

 protected:
  virtual std::optional<uint64_t> read_counts(const Key& key) = 0;
  Machine& machine_;
  std::vector<Channel> channels_;
  std::vector<Key> keys_;
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
    source->add(std::move(channel), zone);
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
      source->add(std::move(channel), handle);
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
