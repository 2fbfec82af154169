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
#endif
  return found;
}

}  // namespace wattle
