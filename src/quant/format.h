#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace wattle::inline quant {

/// How weights are stored. The values are ggml's type ids, as GGUF files carry them.
enum class Format : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kBF16 = 30,
};

/// One row of the table of formats (src/quant/formats.cc): adding a format is one file and one row.
struct FormatInfo {
  Format format;
  std::string_view name;  ///< as files and users name it: "Q4_K"
  size_t block_weights;   ///< weights in a block; a row is a whole number of blocks
  size_t block_bytes;
  /// Scalar decoder, the truth of all tests: `bytes` is a whole number of blocks, `weights` their values.
  void (*decode)(std::span<const std::byte> bytes, std::span<float> weights);
  /// Scalar encoder; `importance` is empty or has one non-negative factor for each weight of the row. Null
  /// for formats that are only read.
  void (*encode)(std::span<const float> weights, std::span<const float> importance,
                 std::span<std::byte> bytes);
};

/// The table's row. Throws Error for a value that is not in it.
const FormatInfo& info(Format format);

/// Every format of the table in the order of `Format`.
std::span<const FormatInfo> formats();

/// nullopt when this program does not know the id; `ggml_type_name` then gives the name to refuse it by.
std::optional<Format> format_from_id(uint32_t ggml_id);
std::string_view ggml_type_name(uint32_t ggml_id);

/// Any case: "q4_k", "Q4_K". Throws Error listing the names.
Format format_from_name(std::string_view name);

/// Bytes of a row of `weights` values; Error when the block does not divide it.
size_t row_bytes(Format format, size_t weights);
double bits_per_weight(Format format);

/// The format that a row of `weights` values takes when `wanted` was asked for: `wanted` when its block
/// divides the row, else the nearest 32-block format (Q2_K, Q3_K and IQ4_XS -> IQ4_NL, Q4_K -> Q4_1, Q5_K ->
/// Q5_1, Q6_K -> Q8_0), else F16.
Format fitting_format(Format wanted, size_t weights);

inline void decode_weights(Format format, std::span<const std::byte> bytes, std::span<float> weights) {
  info(format).decode(bytes, weights);
}

}  // namespace wattle::inline quant
