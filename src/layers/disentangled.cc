#include "layers/disentangled.h"

#include <algorithm>

#include "kernels/attention_kernels.h"

namespace wattle::inline layers {
namespace {

constexpr int64_t kLanes = 16;       // products are made in whole vectors
constexpr int64_t kKeysAtOnce = 16;  // with a tile of 48 queries 63 distances: four vectors of 16

int64_t whole_vectors(int64_t count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

struct Scratch {
  Matrix content_to_position, position_to_content, bias;
};

/// Rows of a table that a range of distances takes.
IndexRange rows_of(const DistanceRows& distances, int64_t least, int64_t most) {
  return {*distances.at(least), *distances.at(most) + 1};
}

/// What a tile's scores pick from: products whose columns are rows of a table from `first` on.
struct Products {
  const float* values = nullptr;
  int64_t stride = 0;
};

/// bias [queries, keys] from the products of the queries, and of the keys.
template <bool kOfQueries, bool kOfKeys>
void pick(int64_t queries, int64_t keys, const int32_t* row_of_distance, Products of_queries,
          Products of_keys, float* bias, int64_t stride) {
  for (int64_t i = 0; i < queries; ++i) {
    for (int64_t j = 0; j < keys; ++j) {
      const int32_t row = row_of_distance[i - j];
      float value = 0;
      if constexpr (kOfQueries) value += of_queries.values[i * of_queries.stride + row];
      if constexpr (kOfKeys) value += of_keys.values[j * of_keys.stride + row];
      bias[i * stride + j] = value;
    }
  }
}

}  // namespace

DisentangledBias::DisentangledBias(const AttentionShape& shape, std::shared_ptr<const DistanceRows> distances,
                                   ConstMatrixView keys, ConstMatrixView queries)
    : head_dim_(shape.head_dim),
      distances_(std::move(distances)),
      keys_(transposed(shape, keys)),
      queries_(transposed(shape, queries)) {}

DisentangledBias::Table DisentangledBias::transposed(const AttentionShape& shape,
                                                     ConstMatrixView rows) const {
  Table table;
  if (rows.rows == 0) return table;
  // Products read whole vectors from any row on. An odd number of vectors from line to line: lines whose
  // distance is a power of two would share few places of the cache.
  table.stride = whole_vectors(rows.rows + kLanes - 1);
  if (table.stride / kLanes % 2 == 0) table.stride += kLanes;
  table.values.reserve(static_cast<size_t>(shape.heads * shape.head_dim * table.stride));
  std::fill_n(table.values.data(), table.values.size(), 0.0f);
  for (int64_t row = 0; row < rows.rows; ++row) {
    const std::span<const float> values = rows.row(row);
    for (size_t i = 0; i < values.size(); ++i)
      table.values.data()[static_cast<int64_t>(i) * table.stride + row] = values[i] * shape.scale;
  }
  return table;
}

void DisentangledBias::Table::multiply(int64_t head, int64_t head_dim, ConstMatrixView vectors,
                                       IndexRange rows, MatrixView out) const {
  attention_kernels().product_f32(vectors.rows, whole_vectors(rows.count()), head_dim, vectors.data,
                                  vectors.stride, values.data() + head * head_dim * stride + rows.begin,
                                  stride, out.data, out.stride, false);
}

void DisentangledBias::set(const QueryTile& tile, std::span<AttentionRow> rows) const {
  thread_local Scratch memory;
  const auto count = static_cast<int64_t>(rows.size());
  const auto vectors = [&](ConstMatrixView all, int64_t first, int64_t number) {
    return all.rows_from(tile.row + first, number).columns_from(tile.head * head_dim_, head_dim_);
  };
  Products of_queries, of_keys;
  if (keys_) {
    const IndexRange all = rows_of(*distances_, tile.first - (tile.length - 1), tile.first + count - 1);
    memory.content_to_position.resize(count, whole_vectors(all.count()));
    keys_.multiply(tile.head, head_dim_, vectors(tile.q, tile.first, count), all,
                   memory.content_to_position.view());
    of_queries = {memory.content_to_position.data() - all.begin, memory.content_to_position.columns()};
  }
  memory.bias.resize(count, tile.length);
  for (int64_t key = 0; key < tile.length; key += kKeysAtOnce) {
    const int64_t keys = std::min(kKeysAtOnce, tile.length - key);
    if (queries_) {
      const IndexRange near =
          rows_of(*distances_, tile.first - (key + keys - 1), tile.first + count - 1 - key);
      memory.position_to_content.resize(kKeysAtOnce, whole_vectors(near.count()));
      queries_.multiply(tile.head, head_dim_, vectors(tile.k, key, keys), near,
                        memory.position_to_content.view());
      of_keys = {memory.position_to_content.data() - near.begin, memory.position_to_content.columns()};
    }
    const auto picks = !queries_ ? &pick<true, false> : keys_ ? &pick<true, true> : &pick<false, true>;
    picks(count, keys, distances_->at(tile.first - key), of_queries, of_keys, memory.bias.data() + key,
          tile.length);
  }
  for (int64_t i = 0; i < count; ++i) rows[static_cast<size_t>(i)].bias = memory.bias.row(i).data();
}

}  // namespace wattle::inline layers
