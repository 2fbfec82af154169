#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include <wattle/error.h>

#include "quant/blocks.h"
#include "quant/codec.h"
#include "quant/format.h"

namespace wattle::inline quant {
namespace {

template <typename Block>
constexpr FormatInfo blocks(Format format, std::string_view name, Decode* decode, Encode* encode) {
  return {format, name, Block::kWeights, sizeof(Block), decode, encode};
}

constexpr FormatInfo kFormats[] = {
    {Format::kF32, "F32", 1, 4, decode_f32, encode_f32},
    {Format::kF16, "F16", 1, 2, decode_f16, encode_f16},
    blocks<BlockQ4_0>(Format::kQ4_0, "Q4_0", decode_q4_0, encode_q4_0),
    blocks<BlockQ4_1>(Format::kQ4_1, "Q4_1", decode_q4_1, encode_q4_1),
    blocks<BlockQ5_0>(Format::kQ5_0, "Q5_0", decode_q5_0, encode_q5_0),
    blocks<BlockQ5_1>(Format::kQ5_1, "Q5_1", decode_q5_1, encode_q5_1),
    blocks<BlockQ8_0>(Format::kQ8_0, "Q8_0", decode_q8_0, encode_q8_0),
    blocks<BlockQ2_K>(Format::kQ2_K, "Q2_K", decode_q2_k, encode_q2_k),
    blocks<BlockQ3_K>(Format::kQ3_K, "Q3_K", decode_q3_k, encode_q3_k),
    blocks<BlockQ4_K>(Format::kQ4_K, "Q4_K", decode_q4_k, encode_q4_k),
    blocks<BlockQ5_K>(Format::kQ5_K, "Q5_K", decode_q5_k, encode_q5_k),
    blocks<BlockQ6_K>(Format::kQ6_K, "Q6_K", decode_q6_k, encode_q6_k),
    blocks<BlockIQ4_NL>(Format::kIQ4_NL, "IQ4_NL", decode_iq4_nl, encode_iq4_nl),
    blocks<BlockIQ4_XS>(Format::kIQ4_XS, "IQ4_XS", decode_iq4_xs, nullptr),
    {Format::kI8, "I8", 1, 1, decode_i8, nullptr},
    {Format::kI16, "I16", 1, 2, decode_i16, nullptr},
    {Format::kI32, "I32", 1, 4, decode_i32, nullptr},
    {Format::kI64, "I64", 1, 8, decode_i64, nullptr},
    {Format::kF64, "F64", 1, 8, decode_f64, nullptr},
    {Format::kBF16, "BF16", 1, 2, decode_bf16, encode_bf16},
};

/// ggml's names by type id, those that no longer exist or are not read here included.
constexpr std::array<std::string_view, 43> kGgmlNames = {"F32",
                                                         "F16",
                                                         "Q4_0",
                                                         "Q4_1",
                                                         "Q4_2 (removed from ggml)",
                                                         "Q4_3 (removed from ggml)",
                                                         "Q5_0",
                                                         "Q5_1",
                                                         "Q8_0",
                                                         "Q8_1",
                                                         "Q2_K",
                                                         "Q3_K",
                                                         "Q4_K",
                                                         "Q5_K",
                                                         "Q6_K",
                                                         "Q8_K",
                                                         "IQ2_XXS",
                                                         "IQ2_XS",
                                                         "IQ3_XXS",
                                                         "IQ1_S",
                                                         "IQ4_NL",
                                                         "IQ3_S",
                                                         "IQ2_S",
                                                         "IQ4_XS",
                                                         "I8",
                                                         "I16",
                                                         "I32",
                                                         "I64",
                                                         "F64",
                                                         "IQ1_M",
                                                         "BF16",
                                                         "Q4_0_4_4",
                                                         "Q4_0_4_8",
                                                         "Q4_0_8_8",
                                                         "TQ1_0",
                                                         "TQ2_0",
                                                         "IQ4_NL_4_4",
                                                         "IQ4_NL_4_8",
                                                         "IQ4_NL_8_8",
                                                         "MXFP4",
                                                         "NVFP4",
                                                         "Q1_0",
                                                         "Q2_0"};

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

/// The 32-block format nearest in error to one of 256-blocks: never fewer bits, and a minimum where that had
/// one.
Format nearest_of_32(Format wanted) {
  switch (wanted) {
    case Format::kQ2_K:
    case Format::kQ3_K:
    case Format::kIQ4_XS:
      return Format::kIQ4_NL;
    case Format::kQ4_K:
      return Format::kQ4_1;
    case Format::kQ5_K:
      return Format::kQ5_1;
    case Format::kQ6_K:
      return Format::kQ8_0;
    default:
      return wanted;
  }
}

}  // namespace

std::span<const FormatInfo> formats() {
  return kFormats;
}

std::optional<Format> format_from_id(uint32_t ggml_id) {
  for (const FormatInfo& known : kFormats) {
    if (static_cast<uint32_t>(known.format) == ggml_id) return known.format;
  }
  return std::nullopt;
}

const FormatInfo& info(Format format) {
  for (const FormatInfo& known : kFormats) {
    if (known.format == format) return known;
  }
  const auto id = static_cast<uint32_t>(format);
  fail("weights of ggml type {} ({}) are not supported; convert the model to another format", id,
       ggml_type_name(id));
}

std::string_view ggml_type_name(uint32_t ggml_id) {
  return ggml_id < kGgmlNames.size() ? kGgmlNames[ggml_id] : "a type unknown to this program";
}

Format format_from_name(std::string_view name) {
  const std::string wanted = upper(name);
  std::string names;
  for (const FormatInfo& known : kFormats) {
    if (known.name == wanted) return known.format;
    names += names.empty() ? "" : ", ";
    names += known.name;
  }
  fail("{}: unknown format of weights; one of {}", name, names);
}

size_t row_bytes(Format format, size_t weights) {
  const FormatInfo& row = info(format);
  if (weights % row.block_weights != 0) {
    fail("a row of {} weights is not a whole number of {} blocks of {}; choose a format of smaller blocks",
         weights, row.name, row.block_weights);
  }
  return weights / row.block_weights * row.block_bytes;
}

double bits_per_weight(Format format) {
  const FormatInfo& row = info(format);
  return 8.0 * static_cast<double>(row.block_bytes) / static_cast<double>(row.block_weights);
}

Format fitting_format(Format wanted, size_t weights) {
  const auto fits = [&](Format format) { return weights % info(format).block_weights == 0; };
  if (fits(wanted)) return wanted;
  const Format smaller = nearest_of_32(wanted);
  return fits(smaller) ? smaller : Format::kF16;
}

}  // namespace wattle::inline quant
