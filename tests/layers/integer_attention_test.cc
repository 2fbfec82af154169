// Integer attention against its definition (docs/kernels.md), written out in double precision.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/cpu.h"
#include "base/threads.h"
#include "layers/attention.h"
#include "layers/instruction_sets.h"
#include "normal_matrix.h"
#include "quant/half.h"

namespace wattle {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();

/// 2^x as its definition approximates it.
double power_of_two(double x) {
  const double n = std::nearbyint(x), r = x - n;
  return std::ldexp(1 + r * (0.6932829 + r * (0.24221037 + r * 0.055008583)), static_cast<int>(n));
}

/// Scales and codes of 32 values.
struct Group {
  float scale;
  int codes[32];
};

Group in_8_bits(const float* x) {
  float most = 0;
  for (int i = 0; i < 32; ++i) most = std::max(most, std::fabs(x[i]));
  Group group{most / 127, {}};
  for (int i = 0; i < 32 && most > 0; ++i)
    group.codes[i] = static_cast<int>(std::nearbyint(x[i] * (127 / most)));
  return group;
}

Group in_4_bits(const float* x) {
  const float most =
      *std::max_element(x, x + 32, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  Group group{most / -8, {}};
  for (int i = 0; i < 32 && most != 0; ++i)
    group.codes[i] = static_cast<int>(std::min(15.0f, x[i] * (1 / group.scale) + 8.5f)) - 8;
  return group;
}

/// Times Sylvester's matrix: [[H, H], [H, -H]] of half the size.
template <class T>
void times_hadamard(std::span<T> x) {
  if (x.size() == 1) return;
  const std::span<T> low = x.first(x.size() / 2), high = x.last(x.size() / 2);
  times_hadamard(low), times_hadamard(high);
  for (size_t i = 0; i < low.size(); ++i) {
    const T a = low[i], b = high[i];
    low[i] = a + b, high[i] = a - b;
  }
}

/// Values of a head that are rotated together, as many as its largest factor that is a power of two.
size_t rotated(int64_t n) {
  size_t size = 1;
  while (n % static_cast<int64_t>(2 * size) == 0 && size < 256) size *= 2;
  return size;
}

template <class T>
void turn(std::vector<T>& head) {
  const size_t size = rotated(static_cast<int64_t>(head.size()));
  for (size_t i = 0; i < head.size(); i += size) times_hadamard(std::span(head).subspan(i, size));
}

/// A key or value as a cache holds it.
std::vector<Group> stored(Format format, const float* values, int64_t n) {
  std::vector<float> x(values, values + n);
  turn(x);
  std::vector<Group> groups;
  for (size_t i = 0; i < x.size(); i += 32) {
    groups.push_back(format == Format::kQ8_0 ? in_8_bits(x.data() + i) : in_4_bits(x.data() + i));
    groups.back().scale = float_from_half(half_from_float(groups.back().scale));
  }
  return groups;
}

struct Position {
  std::vector<Group> key, value;
  double level() const {
    float top = 0x1p-24f;
    for (const Group& group : value) top = std::max(top, std::fabs(group.scale));
    return (std::bit_cast<int32_t>(top) - 0x3F800000) * 0x1p-23;
  }
};

/// Scores in units of a binary logarithm; those of what is not seen are -infinity.
std::vector<double> scores_of(const AttentionShape& shape, const float* query, std::span<const Position> seen,
                              int64_t from, int64_t to, const float* bias) {
  const float log2e = 1.44269504088896341f, part = 1.0f / static_cast<float>(rotated(shape.head_dim));
  const float factor = (shape.softcap > 0 ? shape.scale : shape.scale * log2e) * part;
  std::vector<float> scaled;
  for (int64_t i = 0; i < shape.head_dim; ++i) scaled.push_back(query[i] * factor);
  turn(scaled);
  std::vector<Group> groups;
  for (int64_t i = 0; i < shape.head_dim; i += 32) groups.push_back(in_8_bits(scaled.data() + i));
  std::vector<double> scores(seen.size(), kLowest);
  for (int64_t j = from; j < to; ++j) {
    double sum = 0;
    for (size_t g = 0; g < groups.size(); ++g) {
      const Group& key = seen[static_cast<size_t>(j)].key[g];
      int dot = 0;
      for (int i = 0; i < 32; ++i) dot += groups[g].codes[i] * key.codes[i];
      sum += static_cast<double>(groups[g].scale) * key.scale * dot;
    }
    if (shape.softcap > 0) sum = shape.softcap * std::tanh(sum / shape.softcap) * log2e;
    scores[static_cast<size_t>(j)] = sum + (bias != nullptr ? double{bias[j]} * log2e : 0);
  }
  return scores;
}

/// The answer of one query, and how much one code more or less of the probabilities would change it.
struct Answer {
  std::vector<double> values;
  double step;
};

Answer answer_of(const AttentionShape& shape, std::span<const Position> seen,
                 const std::vector<double>& scores) {
  const double largest = *std::ranges::max_element(scores);
  Answer answer{std::vector<double>(static_cast<size_t>(shape.head_dim)), 0};
  double total = 0;
  for (size_t begin = 0; begin < seen.size(); begin += 64) {
    const size_t end = std::min(begin + 64, seen.size());
    double maximum = kLowest;
    for (size_t j = begin; j < end; ++j) maximum = std::max(maximum, scores[j] + seen[j].level());
    if (maximum == kLowest) continue;
    const double weight = std::exp2(maximum - largest);
    for (size_t j = begin; j < end; ++j) {
      const double level = seen[j].level(),
                   power = power_of_two(std::max(-100.0, scores[j] + level - maximum));
      total += weight * power * power_of_two(-level);
      for (int64_t i = 0; i < shape.head_dim; ++i) {
        const Group& value = seen[j].value[static_cast<size_t>(i / 32)];
        const double code = std::nearbyint(119 * power * power_of_two(-level) * value.scale);
        answer.values[static_cast<size_t>(i)] += weight * code / 119 * value.codes[i % 32];
      }
    }
    answer.step = std::max(answer.step, weight / 119 * 127);
  }
  turn(answer.values);
  for (double& value : answer.values) value /= total * static_cast<double>(rotated(shape.head_dim));
  answer.step /= total;
  return answer;
}

/// Queries of so many tokens, and a cache with their keys and values.
struct Sequence {
  AttentionShape shape;
  Matrix q, k, v;
  KeyValueCache cache;

  Sequence(const AttentionShape& of, int64_t tokens, Format format)
      : shape(of),
        q(normal_matrix(tokens, of.heads * of.head_dim, 1)),
        k(normal_matrix(tokens, of.kv_heads * of.head_dim, 2)),
        v(normal_matrix(tokens, of.kv_heads * of.head_dim, 3)),
        cache({.layers = 1,
               .kv_heads = of.kv_heads,
               .head_dim = of.head_dim,
               .capacity = tokens,
               .format = format}) {
    // Keys that draw most of the attention with values that are small or nothing, as first tokens have them.
    for (int64_t i = 0; i < tokens; i += 70) {
      for (float& value : v.row(i)) value *= i % 140 == 0 ? 0.01f : 0;
      for (float& value : k.row(i)) value *= 2;
    }
  }
  void store() {
    const int64_t n = shape.head_dim;
    for (int64_t i = 0; i < k.rows(); ++i) {
      for (int64_t head = 0; head < shape.kv_heads; ++head)
        cache.store(0, head, i, k.row(i).data() + head * n, v.row(i).data() + head * n);
    }
  }
  std::vector<Position> positions(int64_t head) const {
    const Format format = cache.shape().format;
    std::vector<Position> all;
    for (int64_t i = 0; i < k.rows(); ++i) {
      const int64_t at = i * k.columns() + head * shape.head_dim;
      all.push_back(
          {stored(format, k.data() + at, shape.head_dim), stored(format, v.data() + at, shape.head_dim)});
    }
    return all;
  }
  Matrix attend(int64_t window, const ScoreBias* bias, Work& work) {
    const CachedSequence all{&cache, 0, q.rows(), 0};
    Matrix out(q.rows(), q.columns());
    attend_cached(shape, q.view(), {&all, 1}, 0, window, out.view(), work, {}, bias);
    return out;
  }
};

class IntegerAttentionOf : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { force_isa(GetParam()); }
  void TearDown() override { force_isa(runnable_isas().back()); }
};

// Rounding to codes turns the last bits of single precision into whole codes now and then, and the rotation
// back spreads each over a head.
void expect_as_defined(Sequence& sequence, int64_t window, const DistanceBias* bias) {
  const AttentionShape& shape = sequence.shape;
  sequence.store();
  Work work;
  const Matrix out = sequence.attend(window, bias, work);
  const int64_t group = shape.heads / shape.kv_heads;
  int64_t off = 0;
  for (int64_t head = 0; head < shape.heads; ++head) {
    const std::vector<Position> all = sequence.positions(head / group);
    for (int64_t i = 0; i < out.rows(); ++i) {
      const int64_t from = window > 0 ? std::max<int64_t>(0, i + 1 - window) : 0;
      const auto seen = std::span(all).first(static_cast<size_t>(i + 1));
      AttentionRow row;
      if (bias != nullptr) bias->set({head, 0, out.rows(), i, {}, {}}, {&row, 1});
      const auto scores =
          scores_of(shape, sequence.q.row(i).data() + head * shape.head_dim, seen, from, i + 1, row.bias);
      const Answer want = answer_of(shape, seen, scores);
      for (int64_t c = 0; c < shape.head_dim; ++c) {
        const double got = out.row(i)[head * shape.head_dim + c], right = want.values[static_cast<size_t>(c)];
        ASSERT_NEAR(got, right, 1e-5 + 2.01 * want.step) << head << " " << i << " " << c;
        off += std::abs(got - right) > 1e-4 ? 1 : 0;
      }
    }
  }
  EXPECT_LT(off, out.rows() * out.columns() / 5);
  EXPECT_EQ(work.macs_fp32, 0);
}

TEST_P(IntegerAttentionOf, CachesFollowsItsDefinition) {
  for (const Format format : {Format::kQ8_0, Format::kQ4_0}) {
    for (const int64_t head_dim : {32, 64, 96, 288}) {
      for (const int64_t window : {0, 1, 70}) {
        SCOPED_TRACE(fmt::format("{} {} {}", info(format).name, head_dim, window));
        Sequence sequence({6, 2, head_dim, 1 / std::sqrt(static_cast<float>(head_dim))}, 150, format);
        expect_as_defined(sequence, window, nullptr);
      }
    }
  }
}

TEST_P(IntegerAttentionOf, CachesTakesBiasAndSoftCap) {
  DistanceBias bias;
  bias.reach = 150;
  const Matrix values = normal_matrix(4, 2 * bias.reach - 1, 4);
  bias.values.assign(values.data(), values.data() + values.rows() * values.columns());
  Sequence sequence({4, 2, 64, 0.125f}, 150, Format::kQ8_0);
  expect_as_defined(sequence, 0, &bias);
  sequence.shape.softcap = 1.5f;
  expect_as_defined(sequence, 0, &bias);
  expect_as_defined(sequence, 40, nullptr);
}

// What a token gets must not depend on the threads, on its neighbours in the batch, or on how a prompt was
// cut.
TEST_P(IntegerAttentionOf, CachesGivesTheSameBitsForAnyThreadsAndBatching) {
  const int before = threads();
  for (const Format format : {Format::kQ8_0, Format::kQ4_0}) {
    Sequence sequence({6, 2, 64, 0.2f}, 200, format);
    sequence.store();
    for (const int64_t window : {0, 12, 70}) {
      Work work;
      set_threads(1);
      const Matrix whole = sequence.attend(window, nullptr, work);
      Matrix parts(whole.rows(), whole.columns());
      set_threads(3);
      for (int64_t first = 0, count = 1; first < whole.rows();
           first += count, count = std::min<int64_t>(2 * count, whole.rows() - first)) {
        const CachedSequence part{&sequence.cache, 0, count, first};
        attend_cached(sequence.shape, sequence.q.view().rows_from(first, count), {&part, 1}, 0, window,
                      parts.view().rows_from(first, count), work);
      }
      for (int64_t i = 0; i < whole.rows() * whole.columns(); ++i)
        ASSERT_EQ(whole.data()[i], parts.data()[i]) << window << " " << i;
    }
  }
  set_threads(before);
}

// What is no number reaches those that see it, all of them, and nobody else.
TEST_P(IntegerAttentionOf, CachesLetsNothingHideWhatIsNoNumber) {
  for (const Format format : {Format::kQ8_0, Format::kQ4_0}) {
    for (const float special : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      for (const int where : {0, 1, 2}) {  // of query, key, value
        for (const int64_t position : {0, 5, 64, 80}) {
          Sequence sequence({1, 1, 64, 0.125f}, 100, format);
          Matrix& matrix = where == 0 ? sequence.q : where == 1 ? sequence.k : sequence.v;
          matrix.row(position)[40] = special;
          sequence.store();
          Work work;
          const Matrix out = sequence.attend(0, nullptr, work);
          for (int64_t row = 0; row < out.rows(); ++row) {
            const bool sees = where == 0 ? row == position : row >= position;
            for (const float value : out.row(row))
              ASSERT_EQ(std::isfinite(value), !sees) << where << " " << position << " " << row;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, IntegerAttentionOf, every_instruction_set(), instruction_set_name);

}  // namespace
}  // namespace wattle
