#include <array>

#include <wattle/error.h>

#include "base/cpu.h"
#include "kernels/kernel_table.h"

namespace wattle {
namespace {
const KernelTable* replacement = nullptr;
}

void replace_kernels(const KernelTable* table) {
  replacement = table;
}

const KernelTable& kernels() {
  if (replacement != nullptr) return *replacement;
  switch (active_isa()) {
#if defined(__x86_64__)
    case Isa::kAvx2:
      return kernels_avx2();
    case Isa::kAvx2Vnni:
      return kernels_avx2vnni();
    case Isa::kAvx512:
      return kernels_avx512();
    case Isa::kAvx512Vnni: {
      static const bool bf16 = __builtin_cpu_supports("avx512bf16") != 0;
      return bf16 ? kernels_avx512bf16() : kernels_avx512vnni();
    }
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

namespace {

struct ActivationsName {
  Activations kind;
  std::string_view name;
};
constexpr std::array<ActivationsName, kActivations> kNames{{{Activations::kBlock32, "q8"},
                                                            {Activations::kRow, "q8-row"},
                                                            {Activations::kBF16, "bf16"},
                                                            {Activations::kF32, "f32"},
                                                            {Activations::kW8A8, "w8a8"}}};

}  // namespace

std::string_view name(Activations activations) {
  for (const ActivationsName& known : kNames) {
    if (known.kind == activations) return known.name;
  }
  return "unknown";
}

Activations activations_from_name(std::string_view name) {
  for (const ActivationsName& known : kNames) {
    if (known.name == name) return known.kind;
  }
  fail("--activations {}: unknown; one of {}", name, activations_list());
}

std::string activations_list() {
  std::string list;
  for (const ActivationsName& known : kNames) {
    if (!list.empty()) list += ", ";
    list += known.name;
  }
  return list;
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

}  // namespace wattle
