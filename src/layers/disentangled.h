#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "layers/attention.h"
#include "tensor/matrix.h"

namespace wattle::inline layers {

/// Which row of the table of relative positions a distance query - key takes.
struct DistanceRows {
  int64_t reach = 0;          ///< distances from -(reach - 1) to reach - 1; at least the longest sequence
  std::vector<int32_t> rows;  ///< of distance d at d + reach - 1; never falls with the distance

  const int32_t* at(int64_t distance) const { return rows.data() + distance + reach - 1; }
};

/// Disentangled attention (He et al. 2021, DeBERTa): to a score of query i and key j, content to content, are
/// added
///
///     scale * q_i . K_r   (content to position)   and   scale * k_j . Q_r   (position to content),
///
/// where r is the row of the distance i - j, and K and Q are what a layer's products make of the relative
/// positions. A tile's queries are multiplied by the rows that its distances take, and so are a few keys at a
/// time, whose distances to the tile lie side by side; the scores then pick theirs.
class DisentangledBias : public ScoreBias {
 public:
  /// keys and queries [rows of the table, heads * head_dim]; one of them may be empty: without its term.
  DisentangledBias(const AttentionShape& shape, std::shared_ptr<const DistanceRows> distances,
                   ConstMatrixView keys, ConstMatrixView queries);

  void set(const QueryTile& tile, std::span<AttentionRow> rows) const override;
  double macs_a_score() const override {
    return static_cast<double>(head_dim_) * ((keys_ ? 1 : 0) + (queries_ ? 1 : 0));
  }

 private:
  /// A table, transposed head by head: [heads, head_dim, stride], times the scores' factor.
  struct Table {
    AlignedBuffer<float> values;
    int64_t stride = 0;

    explicit operator bool() const { return stride > 0; }
    /// out [count, columns of `rows`] = vectors of one head times the table's rows from rows.begin on.
    void multiply(int64_t head, int64_t head_dim, ConstMatrixView vectors, IndexRange rows,
                  MatrixView out) const;
  };
  Table transposed(const AttentionShape& shape, ConstMatrixView rows) const;

  int64_t head_dim_ = 0;
  std::shared_ptr<const DistanceRows> distances_;
  Table keys_, queries_;
};

}  // namespace wattle::inline layers
