// Weights and activations of 8 bits with one scale a row (W8A8) under every instruction set, and the sums
// that 8-bit activations carry.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <wattle/error.h>

#include "base/threads.h"
#include "kernels/matmul.h"
#include "kernels/packed.h"
#include "kernels/targets.h"
#include "normal_matrix.h"
#include "quant/format.h"

namespace wattle {
namespace {

PackedMatrix packed(Format format, const Matrix& values) {
  const auto k = static_cast<size_t>(values.columns());
  std::vector<std::byte> bytes(static_cast<size_t>(values.rows()) * row_bytes(format, k));
  info(format).encode({values.data(), static_cast<size_t>(values.rows()) * k}, {}, bytes);
  return PackedMatrix::pack(format, values.rows(), values.columns(), bytes);
}

Matrix product(const PackedMatrix& weights, ConstMatrixView x) {
  PackedActivations activations;
  activations.pack(x, Activations::kW8A8);
  Matrix out(x.rows, weights.n());
  Work work;
  matmul(activations, weights, out.view(), {}, work);
  EXPECT_EQ(work.macs_int8, static_cast<double>(x.rows * weights.n() * weights.k()));
  return out;
}

bool same_bits(ConstMatrixView a, ConstMatrixView b) {
  for (int64_t row = 0; row < a.rows; ++row) {
    if (std::memcmp(a.row(row).data(), b.row(row).data(), sizeof(float) * static_cast<size_t>(a.columns)) !=
        0)
      return false;
  }
  return true;
}

struct Codes {
  std::vector<int> codes;
  float scale;
};

/// The definition: scale = largest magnitude / 127, codes rounded to nearest even.
Codes codes_of(std::span<const float> row) {
  float largest = 0;
  for (const float value : row) largest = std::max(largest, std::fabs(value));
  Codes out{{}, largest / 127};
  for (const float value : row)
    out.codes.push_back(static_cast<int>(std::nearbyint(value * (127 / largest))));
  return out;
}

class ByRows : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override { GetParam().use(); }
  void TearDown() override {
    Target::restore();
    set_threads(1);
  }
};

TEST_P(ByRows, AreExactSumsOfIntegers) {
  for (const int64_t k : {32, 96, 384}) {
    const Matrix weights = normal_matrix(45, k, 1);
    const PackedMatrix w = packed(Format::kF32, weights).by_rows();
    for (int64_t m = 1; m <= 13; ++m) {
      const Matrix x = normal_matrix(m, k, 2);
      const Matrix out = product(w, x.view());
      for (int64_t row = 0; row < m; ++row) {
        const Codes a = codes_of(x.row(row));
        for (int64_t column = 0; column < weights.rows(); ++column) {
          const Codes b = codes_of(weights.row(column));
          int dot = 0;
          for (size_t i = 0; i < a.codes.size(); ++i) dot += a.codes[i] * b.codes[i];
          ASSERT_EQ(out.row(row)[column], static_cast<float>(dot) * b.scale * a.scale)
              << m << " rows, " << k << ", " << row << ", " << column;
        }
      }
    }
  }
}

TEST_P(ByRows, TakeWeightsOfEveryFormat) {
  const Matrix values = normal_matrix(32, 512, 3), x = normal_matrix(7, 512, 4);
  for (const Format format : {Format::kF16, Format::kBF16, Format::kQ8_0, Format::kQ4_1, Format::kQ6_K,
                              Format::kQ4_K, Format::kQ2_K, Format::kIQ4_NL}) {
    std::vector<std::byte> bytes(32 * row_bytes(format, 512));
    info(format).encode({values.data(), 32 * 512}, {}, bytes);
    std::vector<float> weights(32 * 512);
    decode_weights(format, bytes, weights);
    const Matrix out = product(PackedMatrix::pack(format, 32, 512, bytes).by_rows(), x.view());
    for (int64_t row = 0; row < x.rows(); ++row) {
      for (int64_t column = 0; column < 32; ++column) {
        double wanted = 0, size = 0;
        for (int64_t i = 0; i < 512; ++i) {
          const double term = double{x.row(row)[i]} * weights[static_cast<size_t>(column * 512 + i)];
          wanted += term, size += std::abs(term);
        }
        // Roundings of 512 pairs add up to 7e-4 of their size (standard deviation).
        ASSERT_NEAR(out.row(row)[column], wanted, 6e-3 * size) << info(format).name;
      }
    }
  }
}

TEST_P(ByRows, GiveTheSameBitsForEveryBatchThreadAndInstructionSet) {
  const Matrix values = normal_matrix(176, 384, 5), x = normal_matrix(29, 384, 6);
  const PackedMatrix w = packed(Format::kQ8_0, values).by_rows();
  const Matrix all = product(w, x.view());
  for (int64_t row = 0; row < x.rows(); ++row) {
    ASSERT_TRUE(same_bits(product(w, x.view().rows_from(row, 1)).view(), all.view().rows_from(row, 1)));
  }
  set_threads(2);
  ASSERT_TRUE(same_bits(product(w, x.view()).view(), all.view()));
  set_threads(1);
  Target::restore();
  force_isa(Isa::kPortable);
  ASSERT_TRUE(same_bits(product(packed(Format::kQ8_0, values).by_rows(), x.view()).view(), all.view()));
}

TEST_P(ByRows, CarryWhatIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Matrix weights = normal_matrix(16, 64, 7), x = normal_matrix(3, 64, 8);
    weights.row(2)[5] = bad;
    x.row(1)[9] = bad;
    const Matrix out = product(packed(Format::kF32, weights).by_rows(), x.view());
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t column = 0; column < 16; ++column) {
        EXPECT_EQ(std::isfinite(out.row(row)[column]), row != 1 && column != 2) << row << ", " << column;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every, ByRows, testing::ValuesIn(targets()),
                         [](const testing::TestParamInfo<Target>& param) { return param.param.name; });

TEST(ByRows, AreRefusedWhereTheyDoNotFit) {
  EXPECT_THROW(packed(Format::kF32, normal_matrix(16, 40, 9)).by_rows(), Error);
  const PackedMatrix plain = packed(Format::kQ8_0, normal_matrix(16, 64, 9)), by_rows = plain.by_rows();
  const Matrix x = normal_matrix(2, 64, 10);
  Matrix out(2, 16);
  Work work;
  PackedActivations activations;
  activations.pack(x.view(), Activations::kBlock32);
  EXPECT_THROW(matmul(activations, by_rows, out.view(), {}, work), Error);
  activations.pack(x.view(), Activations::kW8A8);
  EXPECT_THROW(matmul(activations, plain, out.view(), {}, work), Error);
}

TEST(Sums, ThatAFormatNeedsAreEnoughAndChecked) {
  const Matrix x = normal_matrix(9, 512, 11), values = normal_matrix(32, 512, 12);
  Work work;
  for (const FormatInfo& row : formats()) {
    if (row.encode == nullptr || sums_of(row.format) == 0) continue;
    const PackedMatrix w = packed(row.format, values);
    PackedActivations all, needed, none;
    all.pack(x.view(), Activations::kBlock32);
    needed.pack(x.view(), Activations::kBlock32, sums_of(row.format));
    none.pack(x.view(), Activations::kBlock32, 0);
    Matrix a(9, 32), b(9, 32);
    matmul(all, w, a.view(), {}, work);
    matmul(needed, w, b.view(), {}, work);
    EXPECT_TRUE(same_bits(a.view(), b.view())) << row.name;
    EXPECT_THROW(matmul(none, w, b.view(), {}, work), Error) << row.name;
  }
}

}  // namespace
}  // namespace wattle
