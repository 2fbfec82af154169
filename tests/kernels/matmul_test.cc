// Every quantised format under every instruction set that this machine runs, against the scalar truth: the
// weights as quant decodes them, the activations as they were quantised, summed in double precision.
#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include <wattle/error.h>

#include "base/cpu.h"
#include "base/threads.h"
#include "kernels/block_halves.h"
#include "kernels/packed.h"
#include "kernels/targets.h"
#include "normal_matrix.h"
#include "quant/half.h"

namespace wattle {
namespace {

const std::vector<Format> kQuantised = {Format::kQ4_0, Format::kQ4_1, Format::kQ5_0,   Format::kQ5_1,
                                        Format::kQ8_0, Format::kQ2_K, Format::kQ3_K,   Format::kQ4_K,
                                        Format::kQ5_K, Format::kQ6_K, Format::kIQ4_NL, Format::kIQ4_XS};

enum class Fill { kRandom, kZeroBytes, kOneBits, kDenormalScales, kLargeScales };

std::vector<std::byte> random_blocks(Format format, int64_t n, int64_t k, std::mt19937& random, Fill fill) {
  const FormatInfo& row = info(format);
  const size_t blocks = static_cast<size_t>(n * k) / row.block_weights;
  std::vector<std::byte> bytes(blocks * row.block_bytes);
  for (std::byte& b : bytes) {
    b = fill == Fill::kZeroBytes ? std::byte{0}
        : fill == Fill::kOneBits ? std::byte{255}
                                 : std::byte(random() & 255);
  }
  std::uniform_real_distribution<float> scale(-1.0f, 1.0f);
  for (size_t block = 0; block < blocks; ++block) {
    for (const size_t at : halves_of(format)) {
      float value = scale(random) * 0.01f;
      if (fill == Fill::kDenormalScales) value = scale(random) * 5e-5f;
      if (fill == Fill::kLargeScales) value = scale(random) * 60000.0f;
      const uint16_t half = half_from_float(value);
      std::memcpy(bytes.data() + block * row.block_bytes + at, &half, 2);
    }
  }
  return bytes;
}

/// What the kernels read of x: quantised by blocks of 32 (or by rows) and multiplied out again.
std::vector<double> read_back(const PackedActivations& x) {
  const PackedActivations::Data& data = x.data();
  std::vector<double> values(static_cast<size_t>(data.m * data.k));
  for (int64_t tile = 0; tile < data.tiles(); ++tile) {
    const int64_t first = data.tile_begin(tile), rows = data.tile_begin(tile + 1) - first;
    const ActivationTile t = data.tile(first);
    for (int64_t block = 0; block < data.k / 32; ++block) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t i = 0; i < 32; ++i) {
          values[static_cast<size_t>((first + r) * data.k + block * 32 + i)] =
              static_cast<double>(t.q[(block * rows + r) * 32 + i]) * t.scale[block * rows + r];
        }
      }
    }
  }
  return values;
}

struct Truth {
  double value, magnitude;
};

Truth truth(const std::vector<double>& x, const std::vector<float>& w, int64_t row, int64_t column,
            int64_t k) {
  Truth t{0, 0};
  for (int64_t i = 0; i < k; ++i) {
    const double product = x[static_cast<size_t>(row * k + i)] * w[static_cast<size_t>(column * k + i)];
    t.value += product;
    t.magnitude += std::abs(product);
  }
  return t;
}

class Products : public testing::TestWithParam<std::tuple<Target, Format>> {
 protected:
  void SetUp() override { std::get<0>(GetParam()).use(); }
  void TearDown() override { Target::restore(); }
  Format format() const { return std::get<1>(GetParam()); }
  int64_t block() const { return static_cast<int64_t>(info(format()).block_weights); }
};

Matrix product(const PackedMatrix& w, ConstMatrixView x, Activations kind) {
  PackedActivations packed;
  packed.pack(x, kind);
  Matrix out(x.rows, w.n());
  Work work;
  matmul(packed, w, out.view(), {}, work);
  return out;
}

/// What the terms of a product may be as large as: formats with a minimum cancel scale * q against it, so
/// that a weight near zero stands for two terms as large as the block's largest.
double magnitude_of_terms(const std::vector<double>& x, const std::vector<float>& w, int64_t row,
                          int64_t column, int64_t k) {
  double sum = 0;
  for (int64_t begin = 0; begin < k; begin += 32) {
    double largest = 0, inputs = 0;
    for (int64_t i = begin; i < begin + 32; ++i) {
      largest = std::max(largest, std::abs(double{w[static_cast<size_t>(column * k + i)]}));
      inputs += std::abs(x[static_cast<size_t>(row * k + i)]);
    }
    sum += largest * inputs;
  }
  return sum;
}

void expect_close(const PackedMatrix& w, const std::vector<float>& weights, ConstMatrixView x,
                  Activations kind, double tolerance = 3e-6) {
  PackedActivations packed;
  packed.pack(x, kind);
  const std::vector<double> values = read_back(packed);
  const Matrix out = product(w, x, kind);
  for (int64_t row = 0; row < x.rows; ++row) {
    for (int64_t column = 0; column < w.n(); ++column) {
      const Truth t = truth(values, weights, row, column, x.columns);
      const double terms = magnitude_of_terms(values, weights, row, column, x.columns);
      ASSERT_NEAR(out.row(row)[static_cast<size_t>(column)], t.value, tolerance * terms + 1e-30)
          << "row " << row << " of " << x.rows << ", column " << column;
    }
  }
}

TEST_P(Products, AgreeWithTheScalarTruthForOneToTwentyRows) {
  std::mt19937 random(7);
  const int64_t n = 53, k = block() * (block() == 32 ? 5 : 2);
  const std::vector<std::byte> bytes = random_blocks(format(), n, k, random, Fill::kRandom);
  std::vector<float> weights(static_cast<size_t>(n * k));
  decode_weights(format(), bytes, weights);
  const PackedMatrix w = PackedMatrix::pack(format(), n, k, bytes);
  for (int64_t m = 1; m <= 20; ++m) {
    const Matrix x = normal_matrix(m, k, random);
    expect_close(w, weights, x.view(), Activations::kBlock32);
    if (HasFailure()) return;
  }
}

TEST_P(Products, AgreeOnAdversarialBlocks) {
  std::mt19937 random(8);
  for (const Fill fill : {Fill::kZeroBytes, Fill::kOneBits, Fill::kDenormalScales, Fill::kLargeScales}) {
    // 17 rows fill one panel and one lane of the next.
    const int64_t n = 17, k = block() == 32 ? 96 : 256;
    const std::vector<std::byte> bytes = random_blocks(format(), n, k, random, fill);
    std::vector<float> weights(static_cast<size_t>(n * k));
    decode_weights(format(), bytes, weights);
    const PackedMatrix w = PackedMatrix::pack(format(), n, k, bytes);
    for (int64_t m = 1; m <= 20; ++m) {
      Matrix x = normal_matrix(m, k, random);
      // All extremes, zeros, and values that cannot be told from zero or hardly fit a float.
      for (int64_t i = 0; i < k; ++i) x.row(0)[static_cast<size_t>(i)] = i % 3 == 0 ? -8.0f : 8.0f;
      if (m > 1) std::ranges::fill(x.row(1), 0.0f);
      if (m > 2) std::ranges::fill(x.row(2), -1.0f);
      for (int64_t i = 0; i < k && m > 4; ++i) {
        x.row(3)[static_cast<size_t>(i)] = i % 2 == 0 ? 1e-42f : -3e-39f;
        x.row(4)[static_cast<size_t>(i)] *= i < 32 ? 1e25f : 1e-25f;
      }
      // Weights that are all alike may be what is left of scale * q and a minimum many times as large.
      const double tolerance = fill == Fill::kOneBits ? 3e-5 : 3e-6;
      expect_close(w, weights, x.view(), Activations::kBlock32, tolerance);
      expect_close(w, weights, x.view(), Activations::kRow, tolerance);
      if (HasFailure()) return;
    }
  }
}

TEST_P(Products, GiveTheSameBitsForAnyBatchAndAnyThreads) {
  std::mt19937 random(9);
  const int64_t n = 208, k = block() == 32 ? 416 : 512, m = 41;
  const std::vector<std::byte> bytes = random_blocks(format(), n, k, random, Fill::kRandom);
  const PackedMatrix w = PackedMatrix::pack(format(), n, k, bytes);
  const Matrix x = normal_matrix(m, k, random);
  for (const Activations kind : {Activations::kBlock32, Activations::kF32, Activations::kBF16}) {
    set_threads(2);
    const Matrix whole = product(w, x.view(), kind);
    set_threads(1);
    const Matrix alone = product(w, x.view(), kind);
    ASSERT_EQ(std::memcmp(whole.data(), alone.data(), sizeof(float) * static_cast<size_t>(m * n)), 0)
        << name(kind);
    int64_t begin = 0;
    for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 13}) {
      const Matrix part = product(w, x.view().rows_from(begin, rows), kind);
      ASSERT_EQ(
          std::memcmp(part.data(), whole.data() + begin * n, sizeof(float) * static_cast<size_t>(rows * n)),
          0)
          << rows << " rows, " << name(kind);
      begin += rows;
    }
  }
}

TEST_P(Products, ReadFloatActivationsWithoutQuantisingThem) {
  std::mt19937 random(10);
  const int64_t n = 40, k = block() == 32 ? 160 : 512, m = 9;
  const std::vector<std::byte> bytes = random_blocks(format(), n, k, random, Fill::kRandom);
  std::vector<float> weights(static_cast<size_t>(n * k));
  decode_weights(format(), bytes, weights);
  const PackedMatrix w = PackedMatrix::pack(format(), n, k, bytes);
  const Matrix x = normal_matrix(m, k, random);
  const std::vector<double> values(x.data(), x.data() + m * k);
  for (const Activations kind : {Activations::kF32, Activations::kBF16}) {
    const Matrix out = product(w, x.view(), kind);
    const double tolerance = kind == Activations::kF32 ? 2e-6 : 8e-3;
    for (int64_t row = 0; row < m; ++row) {
      for (int64_t column = 0; column < n; ++column) {
        const Truth t = truth(values, weights, row, column, k);
        ASSERT_NEAR(out.row(row)[static_cast<size_t>(column)], t.value, tolerance * t.magnitude + 1e-30);
      }
    }
  }
}

TEST_P(Products, CarryNanAndInfinity) {
  std::mt19937 random(11);
  const int64_t n = 20, k = block() * 2, m = 7;
  const std::vector<std::byte> bytes = random_blocks(format(), n, k, random, Fill::kRandom);
  const PackedMatrix w = PackedMatrix::pack(format(), n, k, bytes);
  Matrix x = normal_matrix(m, k, random);
  x.row(1)[5] = NAN;
  x.row(3)[static_cast<size_t>(k - 1)] = INFINITY;
  for (const Activations kind : {Activations::kBlock32, Activations::kRow, Activations::kF32}) {
    const Matrix out = product(w, x.view(), kind);
    for (int64_t row = 0; row < m; ++row) {
      for (int64_t column = 0; column < n; ++column) {
        const float value = out.row(row)[static_cast<size_t>(column)];
        if (row == 1) {
          ASSERT_TRUE(std::isnan(value));
        } else if (row == 3) {
          ASSERT_FALSE(std::isfinite(value) && kind != Activations::kF32);
        } else {
          ASSERT_TRUE(std::isfinite(value));
        }
      }
    }
  }
}

TEST_P(Products, CarryInfiniteAndNanScales) {
  std::mt19937 random(15);
  const int64_t n = 19, k = block() * 2;
  const float scales[] = {INFINITY, -INFINITY, NAN};
  for (const float bad : scales) {
    std::vector<std::byte> bytes = random_blocks(format(), n, k, random, Fill::kRandom);
    const uint16_t half = half_from_float(bad);
    // The second block of row 17, in the second panel.
    std::byte* at = bytes.data() + (17 * 2 + 1) * info(format()).block_bytes;
    std::memcpy(at + halves_of(format()).front(), &half, 2);
    const PackedMatrix w = PackedMatrix::pack(format(), n, k, bytes);
    for (const int64_t m : {1, 6, 20}) {
      const Matrix out = product(w, normal_matrix(m, k, random).view(), Activations::kBlock32);
      for (int64_t row = 0; row < m; ++row) {
        for (int64_t column = 0; column < n; ++column) {
          ASSERT_EQ(std::isfinite(out.row(row)[static_cast<size_t>(column)]), column != 17)
              << "row " << row << " of " << m << ", column " << column;
        }
      }
    }
  }
}

TEST_P(Products, ReadUnalignedBytes) {
  std::mt19937 random(12);
  const int64_t n = 18, k = block(), m = 3;
  const std::vector<std::byte> bytes = random_blocks(format(), n, k, random, Fill::kRandom);
  std::vector<std::byte> shifted(bytes.size() + 1);
  std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
  const PackedMatrix a = PackedMatrix::pack(format(), n, k, bytes);
  const PackedMatrix b = PackedMatrix::pack(format(), n, k, std::span(shifted).subspan(1));
  const Matrix x = normal_matrix(m, k, random);
  const Matrix left = product(a, x.view(), Activations::kBlock32),
               right = product(b, x.view(), Activations::kBlock32);
  EXPECT_EQ(std::memcmp(left.data(), right.data(), sizeof(float) * static_cast<size_t>(m * n)), 0);
}

std::string label(const testing::TestParamInfo<std::tuple<Target, Format>>& param) {
  return std::get<0>(param.param).name + "_" + std::string(info(std::get<1>(param.param)).name);
}

INSTANTIATE_TEST_SUITE_P(Every, Products,
                         testing::Combine(testing::ValuesIn(targets()), testing::ValuesIn(kQuantised)),
                         label);

class DenseProducts : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override { GetParam().use(); }
  void TearDown() override { Target::restore(); }
};

std::vector<std::byte> dense_bytes(Format format, const Matrix& weights) {
  const auto count = static_cast<size_t>(weights.rows() * weights.columns());
  std::vector<std::byte> bytes(count * info(format).block_bytes);
  for (size_t i = 0; i < count; ++i) {
    const float value = weights.data()[i];
    if (format == Format::kF32) {
      std::memcpy(bytes.data() + i * 4, &value, 4);
    } else {
      const uint16_t code = format == Format::kF16 ? half_from_float(value) : bfloat16_from_float(value);
      std::memcpy(bytes.data() + i * 2, &code, 2);
    }
  }
  return bytes;
}

TEST_P(DenseProducts, AgreeWithTheTruthAndGiveTheSameBitsForAnyBatch) {
  std::mt19937 random(13);
  const int64_t n = 85, k = 301, m = 20;
  const Matrix values = normal_matrix(n, k, random), x = normal_matrix(m, k, random);
  for (const Format format : {Format::kF32, Format::kF16, Format::kBF16}) {
    const std::vector<std::byte> bytes = dense_bytes(format, values);
    std::vector<float> weights(static_cast<size_t>(n * k));
    decode_weights(format, bytes, weights);
    const PackedMatrix w = PackedMatrix::pack(format, n, k, bytes);
    const std::vector<double> input(x.data(), x.data() + m * k);
    for (const Activations kind : {Activations::kF32, Activations::kBF16}) {
      const Matrix out = product(w, x.view(), kind);
      for (int64_t row = 0; row < m; ++row) {
        for (int64_t column = 0; column < n; ++column) {
          const Truth t = truth(input, weights, row, column, k);
          const double tolerance = kind == Activations::kF32 ? 2e-6 : 8e-3;
          ASSERT_NEAR(out.row(row)[static_cast<size_t>(column)], t.value, tolerance * t.magnitude);
        }
        const Matrix one = product(w, x.view().rows_from(row, 1), kind);
        ASSERT_EQ(std::memcmp(one.data(), out.row(row).data(), sizeof(float) * static_cast<size_t>(n)), 0);
      }
    }
  }
}

float plain_function(ActivationFunction function, float x) {
  switch (function) {
    case ActivationFunction::kNone:
      return x;
    case ActivationFunction::kRelu:
      return x < 0 ? 0 : x;
    case ActivationFunction::kSilu:
      return x / (1 + std::exp(-x));
    case ActivationFunction::kTanh:
      return std::tanh(x);
    case ActivationFunction::kGelu:
      return 0.5f * x * (1 + std::erf(x * 0.70710678f));
    case ActivationFunction::kGeluTanh:
      return 0.5f * x * (1 + std::tanh(0.79788456f * (x + 0.044715f * x * x * x)));
  }
  return x;
}

TEST_P(DenseProducts, FuseBiasFunctionGateAndResidual) {
  std::mt19937 random(14);
  for (const int64_t n : {64, 46}) {  // halves that do and do not begin on a panel
    const int64_t k = 64, m = 7;
    const Matrix values = normal_matrix(n, k, random), x = normal_matrix(m, k, random);
    const PackedMatrix w = PackedMatrix::pack(Format::kF32, n, k, dense_bytes(Format::kF32, values));
    const Matrix bias = normal_matrix(1, n, random), residual = normal_matrix(m, n, random);
    const Matrix plain = product(w, x.view(), Activations::kF32);
    PackedActivations packed;
    packed.pack(x.view(), Activations::kF32);
    Work work;
    for (const ActivationFunction function :
         {ActivationFunction::kNone, ActivationFunction::kGelu, ActivationFunction::kGeluTanh,
          ActivationFunction::kSilu, ActivationFunction::kRelu, ActivationFunction::kTanh}) {
      Matrix out(m, n);
      matmul(packed, w, out.view(), {bias.data(), function, false, residual.view()}, work);
      Matrix gated(m, n / 2);
      matmul(packed, w, gated.view(), {bias.data(), function, true, residual.view().columns_from(0, n / 2)},
             work);
      for (int64_t row = 0; row < m; ++row) {
        for (int64_t i = 0; i < n; ++i) {
          const float wanted =
              plain_function(function, plain.row(row)[i] + bias.data()[i]) + residual.row(row)[i];
          ASSERT_NEAR(out.row(row)[i], wanted, 2e-5);
        }
        for (int64_t i = 0; i < n / 2; ++i) {
          const float gate = plain_function(function, plain.row(row)[i] + bias.data()[i]);
          const float up = plain.row(row)[n / 2 + i] + bias.data()[n / 2 + i];
          ASSERT_NEAR(gated.row(row)[i], gate * up + residual.row(row)[i], 5e-4);
        }
      }
    }
    EXPECT_EQ(work.macs_fp32, 12.0 * static_cast<double>(m * n * k));
  }
}

INSTANTIATE_TEST_SUITE_P(Every, DenseProducts, testing::ValuesIn(targets()),
                         [](const testing::TestParamInfo<Target>& param) { return param.param.name; });

TEST(Threads, MayOutnumberTheCores) {
  std::mt19937 random(17);
  const int64_t n = 208, k = 512, m = 41;
  const PackedMatrix w =
      PackedMatrix::pack(Format::kQ4_K, n, k, random_blocks(Format::kQ4_K, n, k, random, Fill::kRandom));
  const Matrix x = normal_matrix(m, k, random);
  set_threads(1);
  const Matrix alone = product(w, x.view(), Activations::kBlock32);
  const int most = most_threads();
  for (const int count : {most / 2 + 1, most}) {
    set_threads(count);
    const Matrix together = product(w, x.view(), Activations::kBlock32);
    EXPECT_EQ(std::memcmp(alone.data(), together.data(), sizeof(float) * static_cast<size_t>(m * n)), 0)
        << count;
  }
  EXPECT_THROW(set_threads(most + 1), Error);
  set_threads(1);
}

TEST(Threads, TakeSeveralProductsInOneJob) {
  std::mt19937 random(7);
  constexpr int64_t k = 256;
  const int before = threads();
  for (const int64_t rows : {1, 4, 13}) {
    const Matrix x = normal_matrix(rows, k, random);
    PackedActivations packed;
    packed.pack(x.view(), Activations::kBlock32);
    std::vector<PackedMatrix> weights;
    for (const auto& [format, n] :
         {std::pair(Format::kQ4_K, 400), std::pair(Format::kQ6_K, 40), std::pair(Format::kQ8_0, 2000)})
      weights.push_back(PackedMatrix::pack(format, n, k, random_blocks(format, n, k, random, Fill::kRandom)));
    std::vector<Matrix> alone, together;
    for (const PackedMatrix& one : weights) {
      Work work;
      matmul(packed, one, alone.emplace_back(rows, one.n()).view(), {}, work);
    }
    for (const int count : {1, 2, 3}) {
      set_threads(count);
      together.clear();
      for (const PackedMatrix& one : weights) together.emplace_back(rows, one.n());
      std::vector<MatrixProduct> products;
      for (size_t i = 0; i < weights.size(); ++i)
        products.push_back({packed, weights[i], together[i].view()});
      Work work;
      matmul(products, work, weights.front().read_ahead());
      EXPECT_EQ(work.macs_int8, static_cast<double>(rows * k * 2440));
      for (size_t i = 0; i < weights.size(); ++i) {
        const auto bytes = static_cast<size_t>(rows * weights[i].n()) * sizeof(float);
        EXPECT_EQ(std::memcmp(alone[i].data(), together[i].data(), bytes), 0)
            << rows << " rows, product " << i << ", " << count << " threads";
      }
    }
  }
  set_threads(before);
}

TEST(InstructionSets, ThatTheMachineLacksAreRefusedByName) {
  for (const char* known : {"avx2", "avx2-vnni", "avx512", "avx512-vnni", "neon", "neon-dot"}) {
    const Isa isa = isa_from_name(known);
    if (runs(isa)) continue;
    try {
      force_isa(isa);
      FAIL() << known;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(known), std::string::npos) << error.what();
      EXPECT_EQ(error.exit_status(), 2);
    }
  }
  EXPECT_THROW(isa_from_name("sse"), Error);
}

TEST(Shapes, ThatDoNotFitAreRefused) {
  std::vector<std::byte> bytes(18 * 16);
  EXPECT_THROW(PackedMatrix::pack(Format::kQ4_0, 16, 48, bytes), Error);
  EXPECT_THROW(PackedMatrix::pack(Format::kQ4_0, 0, 32, {}), Error);
  EXPECT_THROW(PackedMatrix::pack(Format::kQ4_0, 15, 32, bytes), Error);
  const PackedMatrix w = PackedMatrix::pack(Format::kQ4_0, 16, 32, bytes);
  Matrix x(3, 33), y(3, 32), out(3, 16), narrow(3, 15);
  PackedActivations packed;
  EXPECT_THROW(packed.pack(x.view(), Activations::kBlock32), Error);
  packed.pack(y.view(), Activations::kBlock32);
  Work work;
  EXPECT_THROW(matmul(packed, w, narrow.view(), {}, work), Error);
  PackedActivations none;
  none.pack(y.view().rows_from(0, 0), Activations::kBlock32);
  EXPECT_NO_THROW(matmul(none, w, out.view().rows_from(0, 0), {}, work));
}

}  // namespace
}  // namespace wattle
