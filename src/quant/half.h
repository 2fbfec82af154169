#pragma once

#include <bit>
#include <cstdint>

namespace wattle::inline quant {

/// Conversions of IEEE 754 binary16 and of bfloat16, exact and portable (no intrinsics, so that every
/// instruction set and every room gets the same bits). Narrowing rounds to nearest, ties to even; beyond the
/// range it gives infinity; NaN stays NaN.

constexpr float float_from_half(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = half >> 10 & 0x1Fu;
  const uint32_t mantissa = half & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // subnormal or zero: exact in float
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

constexpr uint16_t half_from_float(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const auto magnitude = static_cast<int32_t>(bits & 0x7FFFFFFFu);
  // All cases are computed and one is chosen, by masks, so that loops over it become vectors. Below 2^-14 the
  // result is subnormal: adding 0.5 puts its last bit at float's last bit, which rounds to even.
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3F000000u;
  const uint32_t normal = (static_cast<uint32_t>(magnitude) - 0x38000000u + 0xFFFu +
                           (static_cast<uint32_t>(magnitude) >> 13 & 1u)) >>
                          13;
  const uint32_t is_small = -static_cast<uint32_t>(magnitude < 0x38800000);
  uint32_t half = (subnormal & is_small) | (normal & ~is_small);
  const uint32_t is_large =
      -static_cast<uint32_t>(magnitude >= 0x477FF000);  // 65520 and above round to infinity
  const uint32_t is_nan = -static_cast<uint32_t>(magnitude > 0x7F800000);
  half = (half & ~is_large) | (0x7C00u & is_large) | (0x200u & is_nan);
  return static_cast<uint16_t>(sign | half);
}

constexpr float float_from_bfloat16(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

constexpr uint16_t bfloat16_from_float(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

}  // namespace wattle::inline quant
