#include "layers/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/cpu.h"
#include "base/threads.h"
#include "layers/instruction_sets.h"
#include "normal_matrix.h"

namespace wattle {
namespace {

// softmax(scores) v for one query in double; `visible` says which keys it sees.
template <typename Visible>
void reference_row(const AttentionShape& shape, const float* query, ConstMatrixView k, ConstMatrixView v,
                   int64_t head, const Visible& visible, const std::vector<double>& bias, double* out) {
  const int64_t n = shape.head_dim, column = head / (shape.heads / shape.kv_heads) * n;
  std::vector<double> scores(static_cast<size_t>(k.rows), -INFINITY);
  double most = -INFINITY, total = 0;
  for (int64_t j = 0; j < k.rows; ++j) {
    if (!visible(j)) continue;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += double{query[i]} * k.row(j)[column + i];
    scores[j] = sum * shape.scale + (bias.empty() ? 0 : bias[j]);
    most = std::max(most, scores[j]);
  }
  std::fill(out, out + n, 0.0);
  for (int64_t j = 0; j < k.rows; ++j) {
    const double weight = std::exp(scores[j] - most);
    total += weight;
    for (int64_t i = 0; i < n; ++i) out[i] += weight * v.row(j)[column + i];
  }
  for (int64_t i = 0; i < n; ++i) out[i] /= total;
}

class Attention : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { force_isa(GetParam()); }
  void TearDown() override { force_isa(runnable_isas().back()); }
};

TEST_P(Attention, WithinSequencesMatchesDoublePrecision) {
  const std::vector<int64_t> lengths{3, 1, 64, 65, 130, 20};
  std::vector<int64_t> offsets{0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  for (const int64_t head_dim : {8, 20, 32, 64, 80}) {
    const AttentionShape shape{6, 3, head_dim, 0.3f};
    const Matrix q = normal_matrix(offsets.back(), 6 * head_dim, 1);
    const Matrix kv = normal_matrix(offsets.back(), 2 * 3 * head_dim, 2);
    const ConstMatrixView k = kv.view().columns_from(0, 3 * head_dim),
                          v = kv.view().columns_from(3 * head_dim, 3 * head_dim);
    DistanceBias bias;
    bias.reach = 130;
    const Matrix noise = normal_matrix(6, 2 * bias.reach - 1, 3);
    bias.values.assign(noise.data(), noise.data() + 6 * (2 * bias.reach - 1));
    for (const bool biased : {false, true}) {
      Matrix out(offsets.back(), 6 * head_dim);
      Work work;
      attend_within(shape, q.view(), k, v, offsets, biased ? &bias : nullptr, out.view(), work);
      double macs = 0;
      for (size_t s = 0; s < lengths.size(); ++s) {
        macs += 2.0 * static_cast<double>(lengths[s] * lengths[s] * 6 * head_dim);
        for (int64_t i = 0; i < lengths[s]; ++i) {
          for (int64_t head = 0; head < 6; ++head) {
            std::vector<double> want(static_cast<size_t>(head_dim)), added;
            for (int64_t j = 0; biased && j < lengths[s]; ++j) {
              added.push_back(bias.values[head * (2 * bias.reach - 1) + j - i + bias.reach - 1]);
            }
            reference_row(
                shape, q.row(offsets[s] + i).data() + head * head_dim, k.rows_from(offsets[s], lengths[s]),
                v.rows_from(offsets[s], lengths[s]), head, [](int64_t) { return true; }, added, want.data());
            for (int64_t c = 0; c < head_dim; ++c) {
              ASSERT_NEAR(out.row(offsets[s] + i)[head * head_dim + c], want[c], 1e-5)
                  << head_dim << " " << s << " " << i;
            }
          }
        }
      }
      EXPECT_EQ(work.macs_fp32, macs);
    }
  }
}

TEST_P(Attention, WindowsAndGlobalTokensMatchDoublePrecision) {
  const std::vector<int64_t> lengths{3, 1, 200, 65, 1};
  std::vector<int64_t> offsets{0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  std::vector<int32_t> marks(static_cast<size_t>(offsets.back()), 0);
  for (const int64_t row : {0, 4, 5, 90, 150, 202})
    marks[static_cast<size_t>(row)] = 1;  // two sequences have none
  constexpr int64_t kHeadDim = 32;
  const AttentionShape shape{4, 2, kHeadDim, 0.3f};
  const Matrix q = normal_matrix(offsets.back(), 4 * kHeadDim, 1);
  const Matrix all = normal_matrix(offsets.back(), 4 * 2 * kHeadDim, 2);
  const auto part = [&](int64_t i) {
    return ConstMatrixView(all.view()).columns_from(i * 2 * kHeadDim, 2 * kHeadDim);
  };
  const GlobalTokens global{marks, part(2), part(3)};
  for (const int64_t reach : {1, 5, 70}) {
    Matrix out(offsets.back(), 4 * kHeadDim);
    Work work;
    attend_within(shape, q.view(), part(0), part(1), offsets, nullptr, out.view(), work, {0, INT64_MAX},
                  reach, &global);
    for (size_t s = 0; s < lengths.size(); ++s) {
      for (int64_t i = 0; i < lengths[s]; ++i) {
        const int64_t row = offsets[s] + i;
        const bool is_global = marks[static_cast<size_t>(row)] != 0;
        const auto sees = [&](int64_t j) {
          return is_global || std::abs(i - j) <= reach || marks[static_cast<size_t>(offsets[s] + j)] != 0;
        };
        const auto rows = [&](int64_t of) {
          return part(is_global ? of + 2 : of).rows_from(offsets[s], lengths[s]);
        };
        for (int64_t head = 0; head < 4; ++head) {
          std::vector<double> want(kHeadDim);
          reference_row(shape, q.row(row).data() + head * kHeadDim, rows(0), rows(1), head, sees, {},
                        want.data());
          for (int64_t c = 0; c < kHeadDim; ++c)
            ASSERT_NEAR(out.row(row)[head * kHeadDim + c], want[c], 1e-5) << reach << " " << row;
        }
      }
    }
    Matrix half(offsets.back(), 4 * kHeadDim);  // some of the tokens ask, as a team's threads do
    for (const IndexRange rows : {IndexRange{0, 77}, IndexRange{77, offsets.back()}})
      attend_within(shape, q.view(), part(0), part(1), offsets, nullptr, half.view(), work, rows, reach,
                    &global);
    EXPECT_TRUE(std::equal(out.data(), out.data() + out.rows() * out.columns(), half.data()));
  }
}

TEST_P(Attention, OverACacheMatchesDoublePrecision) {
  constexpr int64_t kTokens = 150;
  for (const int64_t window : {0, 1, 10, 64, 100}) {
    for (const int64_t head_dim : {8, 32, 64}) {
      const AttentionShape shape{6, 2, head_dim, 0.4f};
      const Matrix q = normal_matrix(kTokens, 6 * head_dim, 4);
      const Matrix k = normal_matrix(kTokens, 2 * head_dim, 5), v = normal_matrix(kTokens, 2 * head_dim, 6);
      KeyValueCache cache(
          {.layers = 2, .kv_heads = 2, .head_dim = head_dim, .capacity = 160, .format = Format::kF32});
      for (int64_t i = 0; i < kTokens; ++i) {
        for (int64_t head = 0; head < 2; ++head) {
          cache.store(1, head, i, k.row(i).data() + head * head_dim, v.row(i).data() + head * head_dim);
        }
      }
      Matrix out(kTokens, 6 * head_dim);
      Work work;
      const CachedSequence all{&cache, 0, kTokens, 0};
      attend_cached(shape, q.view(), {&all, 1}, 1, window, out.view(), work);
      double macs = 0;
      for (int64_t i = 0; i < kTokens; ++i) {
        macs += 2.0 * static_cast<double>((window > 0 ? std::min(i + 1, window) : i + 1) * 6 * head_dim);
        for (int64_t head = 0; head < 6; ++head) {
          std::vector<double> want(static_cast<size_t>(head_dim));
          reference_row(
              shape, q.row(i).data() + head * head_dim, k.view(), v.view(), head,
              [&](int64_t j) { return j <= i && (window == 0 || i - j < window); }, {}, want.data());
          for (int64_t c = 0; c < head_dim; ++c) ASSERT_NEAR(out.row(i)[head * head_dim + c], want[c], 1e-5);
        }
      }
      EXPECT_EQ(work.macs_fp32, macs);
    }
  }
}

TEST_P(Attention, HalfAndByteCachesStayNear) {
  constexpr int64_t kTokens = 100, kHeadDim = 64;
  const AttentionShape shape{4, 2, kHeadDim, 0.125f};
  const Matrix q = normal_matrix(kTokens, 4 * kHeadDim, 4);
  const Matrix k = normal_matrix(kTokens, 2 * kHeadDim, 5), v = normal_matrix(kTokens, 2 * kHeadDim, 6);
  Matrix outputs[4];
  const Format formats[] = {Format::kF32, Format::kF16, Format::kQ8_0, Format::kQ4_0};
  for (int f = 0; f < 4; ++f) {
    KeyValueCache cache(
        {.layers = 1, .kv_heads = 2, .head_dim = kHeadDim, .capacity = kTokens, .format = formats[f]});
    for (int64_t i = 0; i < kTokens; ++i) {
      for (int64_t head = 0; head < 2; ++head) {
        cache.store(0, head, i, k.row(i).data() + head * kHeadDim, v.row(i).data() + head * kHeadDim);
      }
    }
    outputs[f].resize(kTokens, 4 * kHeadDim);
    Work work;
    const CachedSequence all{&cache, 0, kTokens, 0};
    attend_cached(shape, q.view(), {&all, 1}, 0, 0, outputs[f].view(), work);
  }
  for (int64_t i = 0; i < kTokens * 4 * kHeadDim; ++i) {
    ASSERT_NEAR(outputs[1].data()[i], outputs[0].data()[i], 4e-3);
    ASSERT_NEAR(outputs[2].data()[i], outputs[0].data()[i], 6e-2);
    ASSERT_NEAR(outputs[3].data()[i], outputs[0].data()[i], 0.6);
  }
}

// What a token gets must not depend on the threads, on its neighbours in the batch, or on how a prompt was
// cut.
TEST_P(Attention, SameBitsForAnyThreadsAndBatching) {
  constexpr int64_t kTokens = 140, kHeadDim = 28;  // vectors and a tail
  const AttentionShape shape{6, 2, kHeadDim, 0.2f};
  const Matrix q = normal_matrix(kTokens, 6 * kHeadDim, 7);
  const Matrix k = normal_matrix(kTokens, 2 * kHeadDim, 8), v = normal_matrix(kTokens, 2 * kHeadDim, 9);
  KeyValueCache cache({.layers = 1, .kv_heads = 2, .head_dim = kHeadDim, .capacity = kTokens});
  for (int64_t i = 0; i < kTokens; ++i) {
    for (int64_t head = 0; head < 2; ++head) {
      cache.store(0, head, i, k.row(i).data() + head * kHeadDim, v.row(i).data() + head * kHeadDim);
    }
  }
  const int before = threads();
  const CachedSequence all{&cache, 0, kTokens, 0};
  for (const int64_t window : {0, 12, 70}) {
    Matrix whole(kTokens, 6 * kHeadDim), parts(kTokens, 6 * kHeadDim);
    Work work;
    set_threads(1);
    attend_cached(shape, q.view(), {&all, 1}, 0, window, whole.view(), work);
    set_threads(3);
    for (int64_t first = 0, count = 1; first < kTokens;
         first += count, count = std::min<int64_t>(2 * count, kTokens - first)) {
      const CachedSequence part{&cache, 0, count, first};
      attend_cached(shape, q.view().rows_from(first, count), {&part, 1}, 0, window,
                    parts.view().rows_from(first, count), work);
    }
    for (int64_t i = 0; i < kTokens * 6 * kHeadDim; ++i)
      ASSERT_EQ(whole.data()[i], parts.data()[i]) << window << " " << i;
  }
  set_threads(before);
}

// A huge logit, and a NaN in one sequence that must not reach another.
TEST_P(Attention, ExtremesStayInTheirSequence) {
  const AttentionShape shape{1, 1, 16, 1};
  Matrix q = normal_matrix(40, 16, 1), k = normal_matrix(40, 16, 2), v = normal_matrix(40, 16, 3);
  for (int64_t i = 0; i < 16; ++i) q.row(0)[i] *= 1e4f;
  q.row(25)[3] = std::nanf("");
  const std::vector<int64_t> offsets{0, 20, 40};
  Matrix out(40, 16);
  Work work;
  attend_within(shape, q.view(), k.view(), v.view(), offsets, nullptr, out.view(), work);
  for (int64_t row = 0; row < 40; ++row) {
    for (const float value : out.row(row)) EXPECT_EQ(std::isnan(value), row == 25) << row;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Attention, every_instruction_set(), instruction_set_name);

}  // namespace
}  // namespace wattle
