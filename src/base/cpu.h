#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::inline base {

/// Instruction sets that kernels exist for, weakest first. A machine that runs one runs those of its kind
/// before it.
enum class Isa { kPortable, kAvx2, kAvx2Vnni, kAvx512, kAvx512Vnni, kNeon, kNeonDot };

/// Name as `--isa` takes it: portable, avx2, avx2-vnni, avx512, avx512-vnni, neon, neon-dot.
std::string_view name(Isa isa);

/// Throws Error naming the known ones.
Isa isa_from_name(std::string_view name);

/// Whether this processor (and its operating system) runs `isa`.
bool runs(Isa isa);

/// Every instruction set that this machine runs, weakest first.
std::span<const Isa> runnable_isas();

/// Those that kernels are compiled for here but this machine does not run, so that no test of it runs them.
std::vector<Isa> untested_isas();

/// The one that kernels use: the best that runs unless forced.
Isa active_isa();

/// Forces an instruction set by name for the whole process; throws Error when the machine lacks it. Call
/// before any model is opened: packed weights are laid out for the instruction set that was active when they
/// were packed.
void force_isa(Isa isa);

/// The processor's name as the operating system gives it, for example "AMD EPYC".
std::string cpu_name();

/// Physical cores that this process may run on.
int physical_cores();

/// Those, or fewer where the control group's quota leaves time for fewer: the team's size by default.
int default_threads();
/// Why as many, as a noun: "one a physical core", "the quota of /sys/fs/cgroup/cpu.max".
std::string why_default_threads();

}  // namespace wattle::inline base
