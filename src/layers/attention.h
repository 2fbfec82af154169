#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/threads.h"
#include "base/work.h"
#include "kernels/attention_kernels.h"
#include "layers/key_value_cache.h"
#include "tensor/matrix.h"

namespace wattle::inline layers {

/// The inner loops for the active instruction set.
const AttentionKernels& attention_kernels();

/// From the first key that one of the rows sees to behind the last.
IndexRange keys_seen(std::span<const AttentionRow> rows);

/// Heads of an attention layer. Query head h reads key-value head h / (heads / kv_heads) (Ainslie et al.
/// 2023).
struct AttentionShape {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 1;  ///< the scores' factor, usually 1 / sqrt(head_dim)
  float softcap =
      0;  ///< scores become softcap * tanh(score / softcap) before any bias (Gemma 2); 0: they do not
};

/// Queries of one head that attend together: those of the positions `first` on of a sequence.
struct QueryTile {
  int64_t head = 0;
  int64_t row = 0;       ///< where the sequence begins in q and k
  int64_t length = 0;    ///< tokens of the sequence
  int64_t first = 0;     ///< position of the first query
  ConstMatrixView q, k;  ///< of all heads; empty for sequences in a cache
};

/// What is added to the scores before their softmax.
class ScoreBias {
 public:
  virtual ~ScoreBias() = default;
  /// Points the bias of each of `rows`, the tile's queries in order, at values for the sequence's keys, by
  /// position. What a row points at stays until the same thread comes here again.
  virtual void set(const QueryTile& tile, std::span<AttentionRow> rows) const = 0;
  /// Multiply-adds that a score's bias takes.
  virtual double macs_a_score() const { return 0; }
};

/// A bias that depends on the distance key - query alone (relative attention bias of T5 and MPNet, ALiBi):
/// the value for head h and distance d is values[h * (2 * reach - 1) + d + reach - 1].
class DistanceBias : public ScoreBias {
 public:
  std::vector<float> values;
  int64_t reach = 0;  ///< distances from -(reach - 1) to reach - 1; at least the longest sequence

  void set(const QueryTile& tile, std::span<AttentionRow> rows) const override {
    const float* at = values.data() + tile.head * (2 * reach - 1) + reach - 1 - tile.first;
    for (AttentionRow& row : rows) row.bias = at--;
  }
};

/// Tokens that see all of their sequence and that all of it see (Longformer, Beltagy et al. 2020).
struct GlobalTokens {
  std::span<const int32_t> marks;  ///< one a row of q: not 0 where the token is global
  ConstMatrixView k, v;            ///< what global tokens see in place of k and v
};

/// Softmax(q k^T * scale + bias) v within each sequence: every token sees every token of its own sequence, or
/// those at most `reach` away where that is not 0. With `global` every token sees its sequence's global
/// tokens as well, and these see all of it, by the keys and values that are for them (there is no bias then).
/// q, k, v [tokens, heads * head_dim]; sequence i is rows offsets[i] .. offsets[i + 1]; out [tokens, heads *
/// head_dim]. The same bits for any number of threads and any batching (FlashAttention's tiles: Dao et al.
/// 2022). Only the tokens of `rows` ask: a team's threads may come here together, each with its own.
void attend_within(const AttentionShape& shape, ConstMatrixView q, ConstMatrixView k, ConstMatrixView v,
                   std::span<const int64_t> offsets, const ScoreBias* bias, MatrixView out, Work& work,
                   IndexRange rows = {0, INT64_MAX}, int64_t reach = 0, const GlobalTokens* global = nullptr);

/// Rows first .. first + count of a batch continue one sequence at `position`; its cache already holds their
/// keys.
struct CachedSequence {
  KeyValueCache* cache = nullptr;
  int64_t first = 0, count = 0, position = 0;
};

/// Causal attention over caches: the token at position p sees positions max(0, p - window + 1) .. p; window 0
/// means all. q and out [tokens, heads * head_dim]. `part` of it when a team's threads come here together
/// (base/threads.h), of which the first adds the work of all.
void attend_cached(const AttentionShape& shape, ConstMatrixView q, std::span<const CachedSequence> sequences,
                   int64_t layer, int64_t window, MatrixView out, Work& work, Part part = {},
                   const ScoreBias* bias = nullptr);

/// Attention to what an encoder left (KeyValueCache::memory): every token of the batch's `rows` sees all of
/// the memory of its sequence. q and out [tokens, heads * head_dim].
void attend_memory(const AttentionShape& shape, ConstMatrixView q, std::span<const CachedSequence> sequences,
                   int64_t layer, IndexRange rows, MatrixView out, Work& work);

}  // namespace wattle::inline layers
