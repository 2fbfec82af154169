#include <array>

#include <wattle/error.h>

#include "base/cpu.h"
#include "kernels/kernel_table.h"

namespace wattle::inline kernels {
namespace {

const KernelTable* replacement = nullptr;

/// What the choice of kernels asks of a processor beside its instruction set.
struct Processor {
  bool is_amd = false, is_intel = false, has_bfloat16 = false;

  Processor() {
#if defined(__x86_64__)
    is_amd = __builtin_cpu_is("amd") != 0, is_intel = __builtin_cpu_is("intel") != 0;
    has_bfloat16 = __builtin_cpu_supports("avx512bf16") != 0;
#endif
  }
};

const Processor& processor() {
  static const Processor found;
  return found;
}

}  // namespace

void replace_kernels(const KernelTable* table) {
  replacement = table;
}

const KernelTable& active_kernels() {
  if (replacement != nullptr) return *replacement;
  switch (active_isa()) {
#if defined(__x86_64__)
    case Isa::kAvx2:
      return kernels_avx2();
    case Isa::kAvx2Vnni:
      return kernels_avx2vnni();
    case Isa::kAvx512:
      return kernels_avx512();
    case Isa::kAvx512Vnni:
      return multiplies_bfloat16() ? kernels_avx512bf16() : kernels_avx512vnni();
#elif defined(__aarch64__)
    case Isa::kNeon:
      return kernels_neon();
    case Isa::kNeonDot:
      return kernels_neondot();
#endif
    default:
      return kernels_portable();
  }
}

bool reads_once_faster() {
  return processor().is_amd;
}

bool multiplies_bfloat16() {
  return processor().has_bfloat16 && !vectors_share_ports();
}

bool vectors_share_ports() {
  return processor().is_intel;
}

Activations default_activations(Format format) {
  switch (format) {
    case Format::kF32:
    case Format::kF16:
      return Activations::kF32;
    case Format::kBF16:
      return Activations::kBF16;
    default:
      return Activations::kBlock32;
  }
}

}  // namespace wattle::inline kernels
