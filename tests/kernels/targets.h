#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "kernels/kernel_table.h"
#include "kernels/vnni_by_arithmetic.h"

namespace wattle {

/// Kernels that this machine runs: those of an instruction set, or a table that stands in for another's.
struct Target {
  std::string name;
  Isa isa;
  const KernelTable* table;

  void use() const {
    force_isa(isa);
    replace_kernels(table);
  }
  static void restore() {
    force_isa(runnable_isas().back());
    replace_kernels(nullptr);
  }
};

inline std::vector<Target> targets() {
  std::vector<Target> found;
  for (const Isa isa : runnable_isas()) {
    std::string label(name(isa));
    std::replace(label.begin(), label.end(), '-', '_');
    found.push_back({label, isa, nullptr});
  }
#if defined(__x86_64__)
  if (runs(Isa::kAvx2))
    found.push_back({"avx2_vnni_by_arithmetic", Isa::kAvx2, &kernels_vnni_by_arithmetic()});
  // Where products of bfloat16 are slower than those of floats, nothing else runs them.
  if (runs(Isa::kAvx512Vnni) && __builtin_cpu_supports("avx512bf16") && !multiplies_bfloat16())
    found.push_back({"avx512_bf16", Isa::kAvx512Vnni, &kernels_avx512bf16()});
#endif
  return found;
}

}  // namespace wattle
