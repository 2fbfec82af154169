// Decoders against tests/golden/quant (made by tests/golden/make_quant.py with the reference implementation),
// and the table of formats.
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "quant/format.h"
#include "quant/half.h"

namespace wattle {
namespace {

/// Distance in units in the last place; 0 for two NaNs.
int64_t ulps_between(float a, float b) {
  if (std::isnan(a) && std::isnan(b)) return 0;
  const auto ordered = [](float value) {
    const auto bits = std::bit_cast<int32_t>(value);
    return bits < 0 ? int64_t{INT32_MIN} - bits : int64_t{bits};
  };
  return std::abs(ordered(a) - ordered(b));
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, DecodesAsTheReference) {
  const std::string path = WATTLE_SOURCE_DIR "/tests/golden/quant/" + GetParam() + ".bin";
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path;
  const std::string data{std::istreambuf_iterator<char>(file), {}};
  uint32_t size = 0;
  ASSERT_GT(data.size(), sizeof size);
  std::memcpy(&size, data.data(), sizeof size);
  const Format format = format_from_name(GetParam());
  const size_t weights = size / info(format).block_bytes * info(format).block_weights;
  ASSERT_EQ(data.size(), 4 + size + 4 * weights);
  // One byte off alignment: blocks in a mapped file lie anywhere.
  std::vector<std::byte> bytes(size + 1);
  std::memcpy(bytes.data() + 1, data.data() + 4, size);
  std::vector<float> expected(weights), actual(weights);
  std::memcpy(expected.data(), data.data() + 4 + size, 4 * weights);
  decode_weights(format, std::span(bytes).subspan(1), actual);
  for (size_t i = 0; i < weights; ++i) {
    ASSERT_LE(ulps_between(actual[i], expected[i]), 1)
        << "weight " << i << ": " << actual[i] << " " << expected[i];
  }
}
INSTANTIATE_TEST_SUITE_P(EveryType, Golden,
                         testing::Values("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K",
                                         "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"),
                         [](const auto& test) { return test.param; });

template <typename T>
std::vector<float> decode_numbers(Format format, std::vector<T> numbers) {
  std::vector<float> weights(numbers.size());
  decode_weights(format, std::as_bytes(std::span(numbers)), weights);
  return weights;
}

TEST(Decode, PlainNumbers) {
  EXPECT_EQ(decode_numbers<float>(Format::kF32, {1.5f, -0.0f}), (std::vector<float>{1.5f, -0.0f}));
  EXPECT_EQ(decode_numbers<double>(Format::kF64, {1.5, -1e300}), (std::vector<float>{1.5f, -INFINITY}));
  EXPECT_EQ(decode_numbers<int8_t>(Format::kI8, {-128, 127}), (std::vector<float>{-128, 127}));
  EXPECT_EQ(decode_numbers<int16_t>(Format::kI16, {-32768, 7}), (std::vector<float>{-32768, 7}));
  EXPECT_EQ(decode_numbers<int32_t>(Format::kI32, {-70000, 7}), (std::vector<float>{-70000, 7}));
  EXPECT_EQ(decode_numbers<int64_t>(Format::kI64, {-70000, int64_t{1} << 40}),
            (std::vector<float>{-70000, 0x1p40f}));
}

TEST(Decode, RefusesPartOfABlock) {
  std::vector<std::byte> bytes(17);
  std::vector<float> weights(32);
  EXPECT_THROW(decode_weights(Format::kQ4_0, bytes, weights), Error);
  bytes.resize(36);
  EXPECT_THROW(decode_weights(Format::kQ4_0, bytes, weights), Error);
}

TEST(Half, EveryHalfSurvivesTheWayThroughFloat) {
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = float_from_half(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(float_from_half(half_from_float(value))));
    } else {
      ASSERT_EQ(half_from_float(value), half);
    }
    const float wide = float_from_bfloat16(half);
    ASSERT_TRUE(std::isnan(wide) || bfloat16_from_float(wide) == half);
  }
}

TEST(Half, RoundsToNearestEven) {
  for (uint16_t half = 0; half < 0x7BFF; ++half) {
    const float low = float_from_half(half), high = float_from_half(static_cast<uint16_t>(half + 1));
    const float middle = (low + high) / 2;  // exact: a half has 13 bits fewer than a float
    ASSERT_EQ(half_from_float(middle), half % 2 == 0 ? half : half + 1);
    ASSERT_EQ(half_from_float(std::nextafter(middle, 0.0f)), half);
    ASSERT_EQ(half_from_float(std::nextafter(middle, 1e9f)), half + 1);
  }
  EXPECT_EQ(half_from_float(65519.99f), 0x7BFF);
  EXPECT_EQ(half_from_float(65520.0f), 0x7C00);
  EXPECT_EQ(half_from_float(-INFINITY), 0xFC00);
  EXPECT_EQ(bfloat16_from_float(1.00390625f), 0x3F80);  // halfway to the next, which is odd
  EXPECT_EQ(bfloat16_from_float(1.01171875f), 0x3F82);
}

TEST(Formats, TableIsConsistent) {
  uint32_t last = 0;
  for (const FormatInfo& row : formats()) {
    EXPECT_EQ(format_from_name(row.name), row.format);
    EXPECT_EQ(format_from_id(static_cast<uint32_t>(row.format)), row.format);
    EXPECT_EQ(ggml_type_name(static_cast<uint32_t>(row.format)), row.name);
    EXPECT_EQ(row_bytes(row.format, 2 * row.block_weights), 2 * row.block_bytes);
    EXPECT_NE(row.decode, nullptr);
    EXPECT_GE(static_cast<uint32_t>(row.format), last);
    last = static_cast<uint32_t>(row.format);
  }
  EXPECT_DOUBLE_EQ(bits_per_weight(Format::kQ6_K), 6.5625);
  EXPECT_EQ(format_from_name("q4_k"), Format::kQ4_K);
  EXPECT_THROW(format_from_name("Q4_K_M"), Error);
  EXPECT_EQ(format_from_id(39), std::nullopt);
  EXPECT_EQ(ggml_type_name(39), "MXFP4");
  EXPECT_EQ(ggml_type_name(42), "Q2_0");
  EXPECT_EQ(ggml_type_name(1000), "a type unknown to this program");
  EXPECT_THROW(info(static_cast<Format>(39)), Error);
}

TEST(Formats, RowsThatABlockDoesNotDivide) {
  EXPECT_THROW(row_bytes(Format::kQ4_K, 384), Error);
  EXPECT_EQ(fitting_format(Format::kQ4_K, 512), Format::kQ4_K);
  EXPECT_EQ(fitting_format(Format::kQ2_K, 384), Format::kIQ4_NL);
  EXPECT_EQ(fitting_format(Format::kQ3_K, 384), Format::kIQ4_NL);
  EXPECT_EQ(fitting_format(Format::kIQ4_XS, 384), Format::kIQ4_NL);
  EXPECT_EQ(fitting_format(Format::kQ4_K, 384), Format::kQ4_1);
  EXPECT_EQ(fitting_format(Format::kQ5_K, 384), Format::kQ5_1);
  EXPECT_EQ(fitting_format(Format::kQ6_K, 384), Format::kQ8_0);
  EXPECT_EQ(fitting_format(Format::kQ8_0, 48), Format::kF16);
  EXPECT_EQ(fitting_format(Format::kQ4_K, 48), Format::kF16);
  EXPECT_EQ(fitting_format(Format::kF32, 7), Format::kF32);
  for (const FormatInfo& row : formats()) {
    EXPECT_GE(bits_per_weight(fitting_format(row.format, 32)), bits_per_weight(row.format)) << row.name;
  }
}

}  // namespace
}  // namespace wattle
