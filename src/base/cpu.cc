#include "base/cpu.h"

#include <sched.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <array>
#include <fstream>
#include <set>

#include <wattle/error.h>

#include "base/processor_limits.h"

namespace wattle::inline base {
namespace {

struct IsaName {
  Isa isa;
  std::string_view name;
};
constexpr std::array<IsaName, 7> kNames{{{Isa::kPortable, "portable"},
                                         {Isa::kAvx2, "avx2"},
                                         {Isa::kAvx2Vnni, "avx2-vnni"},
                                         {Isa::kAvx512, "avx512"},
                                         {Isa::kAvx512Vnni, "avx512-vnni"},
                                         {Isa::kNeon, "neon"},
                                         {Isa::kNeonDot, "neon-dot"}}};

#if defined(__x86_64__)
bool detect(Isa isa) {
  __builtin_cpu_init();
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  switch (isa) {
    case Isa::kPortable:
      return true;
    case Isa::kAvx2:
      return avx2;
    case Isa::kAvx2Vnni: {
      // AVX-VNNI is leaf 7, subleaf 1, EAX bit 4; GCC 12 has no name for it in __builtin_cpu_supports.
      unsigned a = 7, b = 0, c = 1, d = 0;
      __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
      return avx2 && (a >> 4 & 1) != 0;
    }
    case Isa::kAvx512:
      return avx512;
    case Isa::kAvx512Vnni:
      return avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
    default:
      return false;
  }
}
#elif defined(__aarch64__)
bool detect(Isa isa) {
  constexpr unsigned long kHwcapDot = 1UL << 20;
  if (isa == Isa::kPortable || isa == Isa::kNeon) return true;
  return isa == Isa::kNeonDot && (getauxval(AT_HWCAP) & kHwcapDot) != 0;
}
#else
bool detect(Isa isa) {
  return isa == Isa::kPortable;
}
#endif

Isa& forced() {
  static Isa isa = runnable_isas().back();
  return isa;
}

}  // namespace

std::string_view name(Isa isa) {
  return std::find_if(kNames.begin(), kNames.end(), [&](const IsaName& n) { return n.isa == isa; })->name;
}

Isa isa_from_name(std::string_view name) {
  for (const IsaName& known : kNames) {
    if (known.name == name) return known.isa;
  }
  fail(
      "--isa {}: unknown instruction set; one of portable, avx2, avx2-vnni, avx512, avx512-vnni, neon, "
      "neon-dot",
      name);
}

bool runs(Isa isa) {
  const auto isas = runnable_isas();
  return std::find(isas.begin(), isas.end(), isa) != isas.end();
}

std::span<const Isa> runnable_isas() {
  static const std::vector<Isa> isas = [] {
    std::vector<Isa> found;
    for (const IsaName& known : kNames) {
      if (detect(known.isa)) found.push_back(known.isa);
    }
    return found;
  }();
  return isas;
}

std::vector<Isa> untested_isas() {
#if defined(__x86_64__)
  constexpr Isa kCompiled[] = {Isa::kAvx2, Isa::kAvx2Vnni, Isa::kAvx512, Isa::kAvx512Vnni};
#elif defined(__aarch64__)
  constexpr Isa kCompiled[] = {Isa::kNeon, Isa::kNeonDot};
#else
  constexpr Isa kCompiled[] = {Isa::kPortable};
#endif
  std::vector<Isa> found;
  for (const Isa isa : kCompiled) {
    if (!runs(isa)) found.push_back(isa);
  }
  return found;
}

Isa active_isa() {
  return forced();
}

void force_isa(Isa isa) {
  if (!runs(isa)) {
    fail("--isa {}: this processor ({}) does not have it; `wattle doctor` lists what it runs", name(isa),
         cpu_name());
  }
  forced() = isa;
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

int physical_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream siblings("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                           "/topology/thread_siblings_list");
    std::string list;
    cores.insert(std::getline(siblings, list) ? list : std::to_string(cpu));
  }
  return std::max<int>(1, static_cast<int>(cores.size()));
}

int default_threads() {
  return processor_limits().usable(physical_cores());
}

std::string why_default_threads() {
  const ProcessorLimits& limits = processor_limits();
  if (default_threads() < physical_cores()) {
    return limits.usable(1 << 16) < static_cast<int>(limits.allowed.size())
               ? "the quota of " + limits.quota_file
               : "the processors of its cpuset";
  }
  long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  const bool all = limits.allowed.empty() || static_cast<long>(limits.allowed.size()) >= online;
  return all ? "one a physical core" : "one a physical core of those that affinity or cpuset allow";
}

}  // namespace wattle::inline base
