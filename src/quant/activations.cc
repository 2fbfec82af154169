#include "quant/activations.h"

#include <utility>

#include <wattle/error.h>

namespace wattle::inline quant {
namespace {

constexpr std::pair<Activations, std::string_view> kNames[] = {{Activations::kBlock32, "q8"},
                                                               {Activations::kRow, "q8-row"},
                                                               {Activations::kBF16, "bf16"},
                                                               {Activations::kF32, "f32"},
                                                               {Activations::kW8A8, "w8a8"}};
static_assert(std::size(kNames) == kActivations);

}  // namespace

std::string_view name(Activations activations) {
  return kNames[static_cast<size_t>(activations)].second;
}

Activations activations_from_name(std::string_view wanted) {
  for (const auto& [activations, known] : kNames) {
    if (known == wanted) return activations;
  }
  fail("activations {}: unknown; one of {}", wanted, activations_list());
}

std::string activations_list() {
  std::string list;
  for (const auto& [activations, known] : kNames) list.append(list.empty() ? "" : ", ").append(known);
  return list;
}

}  // namespace wattle::inline quant
