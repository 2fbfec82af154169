#include <algorithm>
#include <cmath>
#include <cstdint>

#include "quant/codec.h"
#include "quant/half.h"

namespace wattle::inline quant {
namespace {

template <typename T, typename Convert>
void decode_each(std::span<const std::byte> bytes, std::span<float> weights, Convert convert) {
  check_blocks(bytes.size(), weights.size(), sizeof(T), 1);
  for (size_t i = 0; i < weights.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    weights[i] = convert(value);
  }
}

template <typename T>
void decode_numbers(std::span<const std::byte> bytes, std::span<float> weights) {
  decode_each<T>(bytes, weights, [](T value) { return static_cast<float>(value); });
}

template <typename T, typename Convert>
void encode_each(std::span<const float> weights, std::span<std::byte> bytes, Convert convert) {
  check_blocks(bytes.size(), weights.size(), sizeof(T), 1);
  for (size_t i = 0; i < weights.size(); ++i) {
    const T value = convert(weights[i]);
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
}

}  // namespace

void decode_f32(std::span<const std::byte> bytes, std::span<float> weights) {
  decode_numbers<float>(bytes, weights);
}
void decode_f64(std::span<const std::byte> bytes, std::span<float> weights) {
  decode_numbers<double>(bytes, weights);
}
void decode_i8(std::span<const std::byte> bytes, std::span<float> weights) {
  decode_numbers<int8_t>(bytes, weights);
}
void decode_i16(std::span<const std::byte> bytes, std::span<float> weights) {
  decode_numbers<int16_t>(bytes, weights);
}
void decode_i32(std::span<const std::byte> bytes, std::span<float> weights) {
  decode_numbers<int32_t>(bytes, weights);
}
void decode_i64(std::span<const std::byte> bytes, std::span<float> weights) {
  decode_numbers<int64_t>(bytes, weights);
}

void decode_f16(std::span<const std::byte> bytes, std::span<float> weights) {
  decode_each<uint16_t>(bytes, weights, float_from_half);
}
void decode_bf16(std::span<const std::byte> bytes, std::span<float> weights) {
  decode_each<uint16_t>(bytes, weights, float_from_bfloat16);
}

void encode_f32(std::span<const float> weights, std::span<const float>, std::span<std::byte> bytes) {
  encode_each<float>(weights, bytes, [](float value) { return value; });
}
void encode_f16(std::span<const float> weights, std::span<const float>, std::span<std::byte> bytes) {
  // Rounding a finite weight to infinity would poison every product: the largest half stands for it.
  encode_each<uint16_t>(weights, bytes, [](float value) {
    return std::isfinite(value) ? half_from_float(std::clamp(value, -65504.0f, 65504.0f))
                                : half_from_float(value);
  });
}
void encode_bf16(std::span<const float> weights, std::span<const float>, std::span<std::byte> bytes) {
  encode_each<uint16_t>(weights, bytes, bfloat16_from_float);
}

}  // namespace wattle::inline quant
