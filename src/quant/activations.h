#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace wattle::inline quant {

/// How a product reads its left operand. The default for quantised weights is kBlock32; dense F32 weights
/// take kF32, BF16 and F16 weights kBF16. The others are named alternatives with their own error and energy.
enum class Activations {
  kBlock32,  ///< signed 8-bit, one scale per 32 values ("q8")
  kRow,      ///< signed 8-bit, one scale per row ("q8-row")
  kBF16,     ///< "bf16"
  kF32,      ///< "f32"
  kW8A8,     ///< "w8a8": as kRow, and weights of any format rounded to 8 bits with one scale a row of theirs
};
inline constexpr size_t kActivations = 5;

std::string_view name(Activations activations);
/// Throws Error listing the names.
Activations activations_from_name(std::string_view name);
/// All of them as help and errors list them: "q8, q8-row, ...".
std::string activations_list();

}  // namespace wattle::inline quant
