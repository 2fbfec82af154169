// Attention, norms and rotations give the same bits under every instruction set and on every machine.
#include "bits.h"

#include <memory>
#include <vector>

#include "base/cpu.h"
#include "base/threads.h"
#include "layers/attention.h"
#include "layers/disentangled.h"
#include "layers/instruction_sets.h"
#include "layers/norm.h"
#include "layers/rope.h"
#include "layers/talking_heads.h"

namespace wattle {
namespace {

const GoldenBits& golden() {
  static const GoldenBits bits("layers");
  return bits;
}

/// Magnitudes up to a quarter: scores that leave a softmax several terms.
Matrix exact_rows(int64_t rows, int64_t columns, uint64_t seed) {
  Matrix matrix(rows, columns);
  ExactNumbers random(seed);
  for (int64_t i = 0; i < rows * columns; ++i) matrix.data()[i] = random.number() * 0.0625f;
  return matrix;
}

void add(const Matrix& matrix, Bits& bits) {
  bits.add({matrix.data(), static_cast<size_t>(matrix.rows() * matrix.columns())});
}

class LayerBits : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { force_isa(GetParam()); }
  void TearDown() override { force_isa(runnable_isas().back()); }
};

constexpr int64_t kHeads = 4, kKeyHeads = 2;
const std::vector<int64_t> kOffsets{0, 3, 4, 68, 133, 233};

/// Queries, keys and values of the sequences above.
struct Asked {
  Matrix q, kv;
  AttentionShape shape;

  explicit Asked(int64_t head_dim, int64_t key_heads = kKeyHeads)
      : q(exact_rows(kOffsets.back(), kHeads * head_dim, 1)),
        kv(exact_rows(kOffsets.back(), 2 * key_heads * head_dim, 2)),
        shape{kHeads, key_heads, head_dim, 3.0f} {}
  ConstMatrixView k() const { return kv.view().columns_from(0, kv.columns() / 2); }
  ConstMatrixView v() const { return kv.view().columns_from(kv.columns() / 2, kv.columns() / 2); }
};

TEST_P(LayerBits, OfAttentionWithinSequences) {
  DistanceBias distance;
  distance.reach = 100;
  const Matrix noise = exact_rows(kHeads, 2 * distance.reach - 1, 3);
  distance.values.assign(noise.data(), noise.data() + noise.rows() * noise.columns());
  std::vector<int32_t> marks(static_cast<size_t>(kOffsets.back()), 0);
  for (const size_t row : {0, 5, 70, 90, 200}) marks[row] = 1;
  for (const int64_t head_dim : {8, 20, 64, 80}) {
    Asked asked(head_dim);
    Matrix out(kOffsets.back(), kHeads * head_dim);
    Work work;
    Bits bits;
    const auto attend = [&](const ScoreBias* bias, int64_t reach, const GlobalTokens* global) {
      attend_within(asked.shape, asked.q.view(), asked.k(), asked.v(), kOffsets, bias, out.view(), work,
                    {0, INT64_MAX}, reach, global);
      add(out, bits);
    };
    attend(nullptr, 0, nullptr);
    attend(&distance, 0, nullptr);
    attend(nullptr, 9, nullptr);
    const GlobalTokens global{marks, asked.v(), asked.k()};
    attend(nullptr, 9, &global);
    asked.shape.softcap = 2;
    attend(nullptr, 0, nullptr);
    golden().expect(fmt::format("attention of {}", head_dim), bits);
  }
}

TEST_P(LayerBits, OfAttentionOverCaches) {
  for (const Format format : {Format::kF32, Format::kF16, Format::kQ8_0, Format::kQ4_0}) {
    Bits bits;
    for (const int64_t head_dim : {32, 96}) {
      const Asked asked(head_dim);
      const int64_t tokens = kOffsets.back();
      KeyValueCache cache(
          {.layers = 1, .kv_heads = kKeyHeads, .head_dim = head_dim, .capacity = tokens, .format = format});
      for (int64_t i = 0; i < tokens; ++i) {
        for (int64_t head = 0; head < kKeyHeads; ++head)
          cache.store(0, head, i, asked.k().row(i).data() + head * head_dim,
                      asked.v().row(i).data() + head * head_dim);
      }
      const CachedSequence all{&cache, 0, tokens, 0};
      for (const int64_t window : {0, 70}) {
        Matrix out(tokens, kHeads * head_dim);
        Work work;
        attend_cached(asked.shape, asked.q.view(), {&all, 1}, 0, window, out.view(), work);
        add(out, bits);
      }
    }
    golden().expect(fmt::format("attention over {}", info(format).name), bits);
  }
}

TEST_P(LayerBits, OfDisentangledAndTalkingAttention) {
  const Asked asked(20, kHeads);
  auto distances = std::make_shared<DistanceRows>();
  distances->reach = 100;
  for (int64_t d = 1 - distances->reach; d < distances->reach; ++d)
    distances->rows.push_back(static_cast<int32_t>(std::clamp<int64_t>(d, -16, 15) + 16));
  const Matrix positions = exact_rows(32, kHeads * 20, 4), other = exact_rows(32, kHeads * 20, 5);
  const DisentangledBias bias(asked.shape, distances, positions.view(), other.view());
  Matrix out(kOffsets.back(), kHeads * 20);
  Work work;
  Bits disentangled, talking;
  attend_within(asked.shape, asked.q.view(), asked.k(), asked.v(), kOffsets, &bias, out.view(), work);
  add(out, disentangled);
  golden().expect("disentangled attention", disentangled);
  const TalkingHeads talk{exact_rows(kHeads, kHeads, 6), exact_rows(kHeads, kHeads, 7)};
  attend_talking(asked.shape, talk, asked.q.view(), asked.k(), asked.v(), kOffsets, &bias, out.view(), work,
                 {0, INT64_MAX});
  add(out, talking);
  golden().expect("talking heads", talking);
}

TEST_P(LayerBits, OfNormsAndRotations) {
  Bits norms, rotations;
  Work work;
  for (const int64_t width : {20, 64, 100, 577}) {
    for (const NormKind kind : {NormKind::kRms, NormKind::kLayer}) {
      const Matrix weight = exact_rows(2, width, 8);
      const auto part = [&](int64_t row) {
        return std::vector<float>(weight.row(row).begin(), weight.row(row).end());
      };
      const Norm norm(kind, 1e-5f, part(0), kind == NormKind::kLayer ? part(1) : std::vector<float>());
      Matrix x = exact_rows(5, width, 9), sum = exact_rows(5, width, 10);
      norm.add(x.view(), sum.view(), work);
      add(x, norms);
      add(sum, norms);
    }
  }
  golden().expect("norms", norms);
  std::vector<int64_t> positions(700);
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int64_t>(i < 512 ? i : i * i);
  for (const RopePairs pairs : {RopePairs::kNeighbours, RopePairs::kHalves}) {
    Rope rope(96, 500000.0, pairs, {}, 0.25, 1.1);
    rope.set_positions(positions);
    Matrix x = exact_rows(static_cast<int64_t>(positions.size()), 96, 11);
    for (int64_t row = 0; row < x.rows(); ++row) rope.rotate(row, x.row(row).data());
    add(x, rotations);
  }
  golden().expect("rotations", rotations);
}

INSTANTIATE_TEST_SUITE_P(All, LayerBits, every_instruction_set(), instruction_set_name);

}  // namespace
}  // namespace wattle
