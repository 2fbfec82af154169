// Encoders: errors against those of the reference encoder on the same weights, and what they make of hard
// rows.
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <wattle/error.h>

#include "quant/format.h"

namespace wattle {
namespace {

std::vector<std::byte> encode(Format format, std::span<const float> weights,
                              std::span<const float> importance = {}) {
  std::vector<std::byte> bytes(row_bytes(format, weights.size()));
  info(format).encode(weights, importance, bytes);
  return bytes;
}

std::vector<float> round_trip(Format format, std::span<const float> weights,
                              std::span<const float> importance = {}) {
  std::vector<float> decoded(weights.size());
  decode_weights(format, encode(format, weights, importance), decoded);
  return decoded;
}

double relative_rmse(std::span<const float> weights, std::span<const float> decoded,
                     std::span<const float> importance = {}) {
  double error = 0, power = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double w = importance.empty() ? 1 : importance[i], rest = double{weights[i]} - decoded[i];
    error += w * rest * rest;
    power += w * weights[i] * weights[i];
  }
  return std::sqrt(error / power);
}

/// Normal numbers by Box and Muller from a 32-bit generator, so that every machine draws the same ones.
std::vector<float> normal_weights(size_t count, float deviation, uint32_t seed = 3) {
  std::mt19937 generator(seed);
  std::vector<float> weights(count);
  for (float& weight : weights) {
    const double u = (generator() + 1.0) / 4294967297.0, v = generator() / 4294967296.0;
    weight = static_cast<float>(deviation * std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v));
  }
  return weights;
}

std::vector<Format> written_formats() {
  std::vector<Format> written;
  for (const FormatInfo& row : formats()) {
    if (row.encode != nullptr) written.push_back(row.format);
  }
  return written;
}

class EveryFormat : public testing::TestWithParam<Format> {};
INSTANTIATE_TEST_SUITE_P(Encode, EveryFormat, testing::ValuesIn(written_formats()),
                         [](const auto& tested) { return std::string(wattle::info(tested.param).name); });

TEST(Encode, FormatsThatConvertOffers) {
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "Q4_K", "Q4_1",
                           "Q4_0", "IQ4_NL", "Q3_K", "Q2_K"}) {
    EXPECT_NE(info(format_from_name(name)).encode, nullptr) << name;
  }
}

TEST_P(EveryFormat, ErrorOnNormalWeightsIsAtMostTheReferences) {
  // Relative RMSE of ggml's encoder on 65,536 normal weights (bench/quant_error.py --normal), and nothing for
  // F32.
  const auto limit = [&]() -> double {
    switch (GetParam()) {
      case Format::kF32:
        return 0;
      case Format::kF16:
        return 0.00021;
      case Format::kBF16:
        return 0.00167;
      case Format::kQ4_0:
        return 0.08535;
      case Format::kQ4_1:
        return 0.07752;
      case Format::kQ5_0:
        return 0.04235;
      case Format::kQ5_1:
        return 0.03777;
      case Format::kQ8_0:
        return 0.00534;
      case Format::kQ2_K:
        return 0.29440;
      case Format::kQ3_K:
        return 0.15031;
      case Format::kQ4_K:
        return 0.07098;
      case Format::kQ5_K:
        return 0.03596;
      case Format::kQ6_K:
        return 0.01767;
      case Format::kIQ4_NL:
        return 0.07571;
      default:
        ADD_FAILURE() << "no limit for this format";
        return 0;
    }
  }();
  const std::vector<float> weights = normal_weights(65536, 0.04f);
  EXPECT_LE(relative_rmse(weights, round_trip(GetParam(), weights)), 1.01 * limit);
}

TEST_P(EveryFormat, SameBytesOnEveryMachine) {
  // Sums of integers, so that no library function has a say in the weights; the hash is 64-bit FNV-1a.
  std::mt19937 generator(5);
  std::vector<float> weights(8192);
  for (float& weight : weights) {
    int total = 0;
    for (int i = 0; i < 6; ++i) total += static_cast<int>(generator() >> 16) - 32768;
    weight = static_cast<float>(total) * 0x1p-21f;
  }
  uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : encode(GetParam(), weights))
    hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  const std::map<Format, uint64_t> expected = {
      {Format::kF32, 0x400e8be699e0994f},  {Format::kF16, 0x1344843251b74a49},
      {Format::kBF16, 0x580f438d40def2f0}, {Format::kQ8_0, 0xec97ec3d5a3545a5},
      {Format::kQ6_K, 0xb0733c8a2f9a0b66}, {Format::kQ5_K, 0xb9b63b6b69bb0a94},
      {Format::kQ5_1, 0x65be5eb3d9c22ecf}, {Format::kQ5_0, 0x1409f54c44915ba8},
      {Format::kQ4_K, 0x37d04f9ba78872c9}, {Format::kQ4_1, 0x50995f2fb4dbc7d9},
      {Format::kQ4_0, 0x090cff6b9321726b}, {Format::kIQ4_NL, 0xf40a4f09297f6ce0},
      {Format::kQ3_K, 0x85c337d9f29f7e47}, {Format::kQ2_K, 0x9604cb10328faaee},
  };
  EXPECT_EQ(hash, expected.at(GetParam()))
      << fmt::format("{{Format::k{}, 0x{:016x}}},", info(GetParam()).name, hash);
}

TEST_P(EveryFormat, ZerosStayZeros) {
  const std::vector<float> zeros(512, 0.0f);
  for (const float value : round_trip(GetParam(), zeros)) ASSERT_EQ(value, 0.0f);
}

TEST_P(EveryFormat, ConstantRowsStayNearlyConstant) {
  for (const float constant : {1.0f, -1.0f, 0.03f, -0.03f}) {
    const std::vector<float> weights(512, constant);
    for (const float value : round_trip(GetParam(), weights)) {
      // Scales and minima of a 256-block are themselves rounded.
      ASSERT_NEAR(value, constant, 0.01f * std::abs(constant));
    }
  }
}

TEST_P(EveryFormat, HardRowsDecodeToFiniteNumbers) {
  constexpr float kLargest = std::numeric_limits<float>::max(),
                  kTiny = std::numeric_limits<float>::denorm_min();
  std::vector<std::vector<float>> rows(6, std::vector<float>(256, 0.0f));
  for (size_t i = 0; i < 256; ++i) {
    rows[0][i] = i % 2 == 0 ? 1e6f : -1e6f;  // beyond the range of a half
    rows[1][i] = i % 2 == 0 ? kLargest : -kLargest;
    rows[2][i] = i % 3 == 0 ? kTiny : 0;
    rows[3][i] = i % 3 == 0 ? 1e-7f : -1e-8f;  // scales are subnormal halves
    rows[4][i] = 1000 + static_cast<float>(i % 7) * 0.01f;
  }
  rows[5][77] = -3.0f;  // one spike
  for (const std::vector<float>& row : rows) {
    if (GetParam() == Format::kBF16 && row[0] == kLargest)
      continue;  // rounds to infinity, as the format has it
    for (const float value : round_trip(GetParam(), row)) ASSERT_TRUE(std::isfinite(value)) << row[0];
  }
  EXPECT_NEAR(round_trip(GetParam(), rows[5])[77], -3.0f, 0.01f);
}

TEST_P(EveryFormat, NotANumberDoesNotCrash) {
  std::vector<float> weights = normal_weights(256, 1);
  weights[3] = NAN;
  weights[40] = INFINITY;
  weights[90] = -INFINITY;
  EXPECT_EQ(encode(GetParam(), weights).size(), row_bytes(GetParam(), 256));
}

TEST_P(EveryFormat, BlocksDoNotInfluenceEachOther) {
  const std::vector<float> weights = normal_weights(1024, 0.1f);
  const std::vector<std::byte> together = encode(GetParam(), weights);
  std::vector<std::byte> apart;
  for (size_t begin = 0; begin < weights.size(); begin += 256) {
    const std::vector<std::byte> part = encode(GetParam(), std::span(weights).subspan(begin, 256));
    apart.insert(apart.end(), part.begin(), part.end());
  }
  EXPECT_EQ(together, apart);
}

TEST_P(EveryFormat, DecodedWeightsEncodeToNearlyThemselves) {
  const std::vector<float> once = round_trip(GetParam(), normal_weights(4096, 0.1f));
  const double again = relative_rmse(once, round_trip(GetParam(), once));
  const bool one_scale = info(GetParam()).block_weights <= 32;
  // Blocks of 256 are found by a search of many scales at once, which need not meet the very same ones again.
  EXPECT_LE(again, one_scale ? 1e-3 : 0.6 * relative_rmse(normal_weights(4096, 0.1f), once));
}

/// Formats with something to weigh; in the others every value is rounded to its own nearest level.
class SearchedFormat : public testing::TestWithParam<Format> {};
INSTANTIATE_TEST_SUITE_P(Encode, SearchedFormat,
                         testing::Values(Format::kQ4_0, Format::kQ4_1, Format::kQ5_0, Format::kQ5_1,
                                         Format::kIQ4_NL, Format::kQ2_K, Format::kQ3_K, Format::kQ4_K,
                                         Format::kQ5_K, Format::kQ6_K),
                         [](const auto& tested) { return std::string(wattle::info(tested.param).name); });

TEST_P(SearchedFormat, ImportantWeightsAreKeptBetter) {
  const std::vector<float> weights = normal_weights(8192, 0.1f);
  std::vector<float> importance(weights.size());
  for (size_t i = 0; i < importance.size(); ++i) importance[i] = i % 8 == 0 ? 100.0f : 1.0f;
  const std::vector<float> plain = round_trip(GetParam(), weights),
                           weighted = round_trip(GetParam(), weights, importance);
  EXPECT_LT(relative_rmse(weights, weighted, importance), 0.9 * relative_rmse(weights, plain, importance));
  EXPECT_GT(relative_rmse(weights, weighted), relative_rmse(weights, plain));
}

TEST_P(EveryFormat, UniformAndZeroImportanceChangeNothing) {
  const std::vector<float> weights = normal_weights(512, 0.1f);
  const std::vector<float> none(512, 0.0f);
  EXPECT_EQ(encode(GetParam(), weights, none), encode(GetParam(), weights));
}

TEST_P(EveryFormat, RefusesBuffersThatDoNotFit) {
  const std::vector<float> weights(256);
  std::vector<std::byte> bytes(row_bytes(GetParam(), 256));
  EXPECT_THROW(info(GetParam()).encode(weights, {}, std::span(bytes).first(bytes.size() - 1)), Error);
}

TEST_P(SearchedFormat, RefusesImportanceOfAnotherLength) {
  const std::vector<float> weights(256), importance(255);
  std::vector<std::byte> bytes(row_bytes(GetParam(), 256));
  EXPECT_THROW(info(GetParam()).encode(weights, importance, bytes), Error);
}

}  // namespace
}  // namespace wattle
