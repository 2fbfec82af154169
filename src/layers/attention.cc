#include "layers/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/cpu.h"
#include "base/operation_times.h"
#include "base/threads.h"
#include "kernels/attention_kernels.h"
#include "layers/integer_attention.h"

namespace wattle::inline layers {

const AttentionKernels& attention_kernels() {
  switch (active_isa()) {
#if defined(__x86_64__)
    case Isa::kAvx512:
    case Isa::kAvx512Vnni:
      return kAttentionAvx512;
    case Isa::kAvx2:
    case Isa::kAvx2Vnni:
      return kAttentionAvx2;
#elif defined(__aarch64__)
    case Isa::kNeon:
    case Isa::kNeonDot:
      return kAttentionNeon;
#endif
    default:
      return kAttentionPortable;
  }
}

IndexRange keys_seen(std::span<const AttentionRow> rows) {
  IndexRange keys{std::numeric_limits<int64_t>::max(), 0};
  for (const AttentionRow& row : rows) {
    keys.begin = std::min(keys.begin, row.from);
    keys.end = std::max(keys.end, row.to);
  }
  return keys;
}

namespace {

constexpr int64_t kTileRows = 48;  // queries (48 x 128 floats) and scores stay in the second-level cache

struct Scratch {
  AlignedBuffer<float> queries, scores, sums, keys;
  std::vector<AttentionRow> rows;
  bool is_first = true;  ///< nothing was added to `sums` yet
  // Of sequences with global tokens.
  std::vector<int64_t> globals, others;  ///< positions
  std::vector<float> hides_globals;      ///< the bias by position that does
  Matrix global_keys, global_values;
  AlignedBuffer<float> global_blocks;

  void reserve(int64_t head_dim) {
    queries.reserve(static_cast<size_t>(kTileRows * head_dim));
    sums.reserve(static_cast<size_t>(kTileRows * head_dim));
    scores.reserve(static_cast<size_t>(kTileRows * kKeyBlock));
  }
};

Scratch& scratch() {
  thread_local Scratch memory;
  return memory;
}

// scores [rows, columns] = queries times the transposed keys of a block.
void score_block(const AttentionKernels& kernel, const HeadCache& head, int64_t head_dim, int64_t block,
                 int64_t rows, int64_t columns, Scratch& memory) {
  const std::byte* keys = head.keys + static_cast<size_t>(block) * head.key_block_bytes;
  const float* queries = memory.queries.data();
  float* scores = memory.scores.data();
  if (head.format == Format::kF16) {
    kernel.product_f16(rows, columns, head_dim, queries, head_dim, reinterpret_cast<const uint16_t*>(keys),
                       kKeyBlock, scores, kKeyBlock, false);
    return;
  }
  kernel.product_f32(rows, columns, head_dim, queries, head_dim, reinterpret_cast<const float*>(keys),
                     kKeyBlock, scores, kKeyBlock, false);
}

// sums [rows, head_dim] (+)= probabilities [rows, count] times the values of `count` positions from
// `position`.
void add_values(const AttentionKernels& kernel, const HeadCache& head, int64_t head_dim, int64_t position,
                int64_t count, int64_t rows, bool add, Scratch& memory) {
  const std::byte* values = head.values + static_cast<size_t>(position) * head.value_row_bytes;
  const float* scores = memory.scores.data() + position % kKeyBlock;
  float* sums = memory.sums.data();
  if (head.format == Format::kF16) {
    kernel.product_f16(rows, head_dim, count, scores, kKeyBlock, reinterpret_cast<const uint16_t*>(values),
                       static_cast<int64_t>(head.value_row_bytes / sizeof(uint16_t)), sums, head_dim, add);
    return;
  }
  kernel.product_f32(rows, head_dim, count, scores, kKeyBlock, reinterpret_cast<const float*>(values),
                     static_cast<int64_t>(head.value_row_bytes / sizeof(float)), sums, head_dim, add);
}

// Attention of up to kTileRows queries that read the same key-value head: begin_tile, then what they see,
// once or several times, then end_tile.
void begin_tile(const AttentionKernels& kernel, const AttentionShape& shape, Scratch& memory) {
  memory.reserve(shape.head_dim);
  kernel.gather(memory.rows.data(), static_cast<int64_t>(memory.rows.size()), shape.scale, shape.head_dim,
                memory.queries.data());
  memory.is_first = true;
}

void see_keys(const AttentionKernels& kernel, const HeadCache& head, const AttentionShape& shape,
              Scratch& memory) {
  const int64_t head_dim = shape.head_dim;
  const auto count = static_cast<int64_t>(memory.rows.size());
  float* const sums = memory.sums.data();
  const IndexRange keys = keys_seen(memory.rows);
  for (int64_t block = keys.begin / kKeyBlock; block * kKeyBlock < keys.end; ++block) {
    const int64_t first_key = block * kKeyBlock;
    const int64_t seen = std::min(kKeyBlock, keys.end - first_key);
    const int64_t columns = (seen + 15) / 16 * 16;
    score_block(kernel, head, head_dim, block, count, columns, memory);
    if (shape.softcap > 0) kernel.cap(memory.scores.data(), count, columns, shape.softcap);
    kernel.soften(memory.rows.data(), count, memory.scores.data(), first_key, columns);
    if (!memory.is_first) kernel.rescale(memory.rows.data(), count, head_dim, sums);
    add_values(kernel, head, head_dim, first_key, seen, count, !memory.is_first, memory);
    memory.is_first = false;
  }
}

void end_tile(const AttentionKernels& kernel, const AttentionShape& shape, Scratch& memory) {
  kernel.scatter(memory.rows.data(), static_cast<int64_t>(memory.rows.size()), shape.head_dim,
                 memory.sums.data());
}

void attend_tile(const AttentionKernels& kernel, const HeadCache& head, const AttentionShape& shape,
                 Scratch& memory) {
  if (is_integer_cache(head.format)) return attend_integers(head, shape, memory.rows);
  begin_tile(kernel, shape, memory);
  see_keys(kernel, head, shape, memory);
  end_tile(kernel, shape, memory);
}

// Keys [length, head_dim] of one head as blocks [head_dim, kKeyBlock].
void transpose_keys(const AttentionKernels& kernel, ConstMatrixView keys, float* blocks) {
  for (int64_t first = 0; first < keys.rows; first += kKeyBlock, blocks += keys.columns * kKeyBlock) {
    kernel.transpose(keys.data + first * keys.stride, keys.stride, std::min(kKeyBlock, keys.rows - first),
                     keys.columns, blocks);
  }
}

// Keys and values [length, head_dim] of one head; the keys' blocks lie in `blocks`.
HeadCache head_of(const AttentionKernels& kernel, ConstMatrixView keys, ConstMatrixView values,
                  AlignedBuffer<float>& blocks) {
  blocks.reserve(static_cast<size_t>((keys.rows + kKeyBlock - 1) / kKeyBlock * kKeyBlock * keys.columns));
  transpose_keys(kernel, keys, blocks.data());
  return {Format::kF32, reinterpret_cast<const std::byte*>(blocks.data()),
          reinterpret_cast<const std::byte*>(values.data),
          static_cast<size_t>(keys.columns * kKeyBlock) * sizeof(float),
          static_cast<size_t>(values.stride) * sizeof(float)};
}

// One head of one sequence, and those of its tokens that ask.
struct SequenceHead {
  ConstMatrixView q, k, v;  ///< [length, head_dim]
  MatrixView out;
  IndexRange asking;
  int64_t reach;

  AttentionRow row(int64_t i) const {
    return {.query = q.data + i * q.stride,
            .out = out.data + i * out.stride,
            .from = reach > 0 ? std::max<int64_t>(0, i - reach) : 0,
            .to = reach > 0 ? std::min(q.rows, i + reach + 1) : q.rows};
  }
};

/// Calls f(tile) for each tile of the positions, whose rows are then in memory.rows.
template <class F>
void for_each_tile(const SequenceHead& one, std::span<const int64_t> positions, Scratch& memory, const F& f) {
  while (!positions.empty()) {
    const auto tile = positions.first(std::min<size_t>(kTileRows, positions.size()));
    memory.rows.clear();
    for (const int64_t i : tile) memory.rows.push_back(one.row(i));
    f(tile);
    positions = positions.subspan(tile.size());
  }
}

// Whether the sequence, whose marks these are, has global tokens; these and those that ask are then in
// memory.
bool find_globals(std::span<const int32_t> marks, Scratch& memory) {
  memory.globals.clear();
  memory.hides_globals.assign(marks.size(), 0.0f);
  for (size_t i = 0; i < marks.size(); ++i) {
    if (marks[i] == 0) continue;
    memory.globals.push_back(static_cast<int64_t>(i));
    memory.hides_globals[i] = -std::numeric_limits<float>::infinity();
  }
  return !memory.globals.empty();
}

// A sequence with global tokens. These see everything, by keys and values of their own; the others see first
// them, then what is left of their window: the online softmax goes on from one to the other.
void attend_with_globals(const AttentionKernels& kernel, const AttentionShape& shape, const SequenceHead& one,
                         const SequenceHead& of_globals, Scratch& memory) {
  const auto asks = [&](int64_t i) { return i >= one.asking.begin && i < one.asking.end; };
  const auto count = static_cast<int64_t>(memory.globals.size());
  memory.global_keys.resize(count, shape.head_dim);
  memory.global_values.resize(count, shape.head_dim);
  for (int64_t g = 0; g < count; ++g) {
    const int64_t position = memory.globals[static_cast<size_t>(g)];
    std::ranges::copy(one.k.row(position), memory.global_keys.row(g).begin());
    std::ranges::copy(one.v.row(position), memory.global_values.row(g).begin());
  }
  const HeadCache globals =
      head_of(kernel, memory.global_keys.view(), memory.global_values.view(), memory.global_blocks);
  const HeadCache window = head_of(kernel, one.k, one.v, memory.keys);
  memory.others.clear();
  for (int64_t i = one.asking.begin; i < one.asking.end; ++i) {
    if (memory.hides_globals[static_cast<size_t>(i)] == 0) memory.others.push_back(i);
  }
  for_each_tile(one, memory.others, memory, [&](std::span<const int64_t> positions) {
    for (AttentionRow& row : memory.rows) row.from = 0, row.to = count;
    begin_tile(kernel, shape, memory);
    see_keys(kernel, globals, shape, memory);
    for (size_t r = 0; r < positions.size(); ++r) {
      const AttentionRow of_window = one.row(positions[r]);
      AttentionRow& row = memory.rows[r];
      row.from = of_window.from, row.to = of_window.to, row.bias = memory.hides_globals.data();
    }
    see_keys(kernel, window, shape, memory);
    end_tile(kernel, shape, memory);
  });
  std::erase_if(memory.globals, [&](int64_t i) { return !asks(i); });
  if (memory.globals.empty()) return;
  const HeadCache everything = head_of(kernel, of_globals.k, of_globals.v, memory.keys);
  for_each_tile(of_globals, memory.globals, memory,
                [&](auto) { attend_tile(kernel, everything, shape, memory); });
}

/// Where multiply-adds over a cache of this format are counted.
double& macs_over(const KeyValueCache& cache, Work& work) {
  return is_integer_cache(cache.shape().format) ? work.macs_int8 : work.macs_fp32;
}

/// Calls f(item) for the items of a part: every part.of-th, so that the parts' items are alike; of the whole,
/// by the team, whoever is free next.
template <class F>
void for_each_item(int64_t items, Part part, const F& f) {
  if (part.of > 1 || in_team()) {
    for (int64_t item = part.index; item < items; item += part.of) f(item);
    return;
  }
  for_each_part(items, f);
}

}  // namespace

void attend_within(const AttentionShape& shape, ConstMatrixView q, ConstMatrixView k, ConstMatrixView v,
                   std::span<const int64_t> offsets, const ScoreBias* bias, MatrixView out, Work& work,
                   IndexRange rows, int64_t reach, const GlobalTokens* global) {
  const TimedOperation timed(Operation::kAttention);
  const AttentionKernels& kernel = attention_kernels();
  const int64_t n = shape.head_dim;
  const int64_t group = shape.heads / shape.kv_heads;
  const int64_t items = (static_cast<int64_t>(offsets.size()) - 1) * shape.heads;
  const auto asking = [&](int64_t sequence) {
    return IndexRange{std::max(rows.begin, offsets[sequence]), std::min(rows.end, offsets[sequence + 1])};
  };
  for_each_item(items, {}, [&](int64_t item) {
    const int64_t sequence = item / shape.heads, head = item % shape.heads;
    const int64_t first = offsets[sequence], length = offsets[sequence + 1] - first;
    const IndexRange mine{asking(sequence).begin - first, asking(sequence).end - first};
    if (mine.count() <= 0) return;
    Scratch& memory = scratch();
    const auto part = [&](auto matrix, int64_t of) {
      return matrix.rows_from(first, length).columns_from(of * n, n);
    };
    const SequenceHead one{part(q, head), part(k, head / group), part(v, head / group), part(out, head), mine,
                           reach};
    if (global != nullptr && find_globals(global->marks.subspan(first, length), memory)) {
      const SequenceHead of_globals{part(q, head),
                                    part(global->k, head / group),
                                    part(global->v, head / group),
                                    part(out, head),
                                    mine,
                                    0};
      return attend_with_globals(kernel, shape, one, of_globals, memory);
    }
    const HeadCache keys_values = head_of(kernel, one.k, one.v, memory.keys);
    for (int64_t begin = mine.begin; begin < mine.end; begin += kTileRows) {
      memory.rows.clear();
      for (int64_t i = begin; i < std::min(mine.end, begin + kTileRows); ++i)
        memory.rows.push_back(one.row(i));
      if (bias != nullptr) bias->set({head, first, length, begin, q, k}, memory.rows);
      attend_tile(kernel, keys_values, shape, memory);
    }
  });
  for (int64_t i = 0; i + 1 < static_cast<int64_t>(offsets.size()); ++i) {
    const auto length = static_cast<double>(offsets[i + 1] - offsets[i]);
    const auto count = static_cast<double>(std::max<int64_t>(0, asking(i).count()));
    double seen = count * (reach > 0 ? std::min(length, static_cast<double>(2 * reach + 1)) : length);
    if (global != nullptr) {
      const auto marked = [&](IndexRange part) {
        const auto marks =
            global->marks.subspan(static_cast<size_t>(part.begin), static_cast<size_t>(part.count()));
        return static_cast<double>(std::ranges::count_if(marks, [](int32_t mark) { return mark != 0; }));
      };
      if (count > 0) seen += count * marked({offsets[i], offsets[i + 1]}) + marked(asking(i)) * length;
    }
    const double macs_a_score = 2.0 * static_cast<double>(n) + (bias != nullptr ? bias->macs_a_score() : 0);
    work.macs_fp32 += seen * static_cast<double>(shape.heads) * macs_a_score;
    work.activation_bytes +=
        sizeof(float) * count * static_cast<double>((2 * shape.heads + 2 * shape.kv_heads) * n);
  }
}

namespace {

// A tile of attend_cached: rows begin .. end of (token, head in group) of one key-value head of one sequence.
struct CachedItem {
  const CachedSequence* sequence;
  int64_t kv_head, begin, end;
};

// Small tiles when there are few rows, so that each of so many threads has one; a row's arithmetic does not
// depend on its tile.
std::vector<CachedItem> cached_items(const AttentionShape& shape, std::span<const CachedSequence> sequences,
                                     int64_t threads) {
  const int64_t group = shape.heads / shape.kv_heads;
  int64_t all = 0;
  for (const CachedSequence& sequence : sequences) all += sequence.count * shape.heads;
  const int64_t tile = std::clamp<int64_t>((all + threads - 1) / threads, 1, kTileRows);
  std::vector<CachedItem> items;
  for (const CachedSequence& sequence : sequences) {
    for (int64_t head = 0; head < shape.kv_heads; ++head) {
      for (int64_t begin = 0; begin < sequence.count * group; begin += tile) {
        items.push_back({&sequence, head, begin, std::min(begin + tile, sequence.count * group)});
      }
    }
  }
  return items;
}

// Rows of a tile lie as (token, head in group): each is a query of its own for its head.
void set_cached_bias(const ScoreBias& bias, const CachedItem& item, int64_t group,
                     std::span<AttentionRow> rows) {
  const int64_t length = item.sequence->position + item.sequence->count;
  for (int64_t r = item.begin; r < item.end; ++r) {
    bias.set({item.kv_head * group + r % group, 0, length, item.sequence->position + r / group, {}, {}},
             rows.subspan(static_cast<size_t>(r - item.begin), 1));
  }
}

}  // namespace

void attend_cached(const AttentionShape& shape, ConstMatrixView q, std::span<const CachedSequence> sequences,
                   int64_t layer, int64_t window, MatrixView out, Work& work, Part part,
                   const ScoreBias* bias) {
  const TimedOperation timed(Operation::kAttention);
  const AttentionKernels& kernel = attention_kernels();
  const int64_t n = shape.head_dim;
  const int64_t group = shape.heads / shape.kv_heads;
  // The parts of one attention find the same items, each by itself.
  const std::vector<CachedItem> items =
      cached_items(shape, sequences, part.of > 1 ? part.of : active_threads());
  for_each_item(static_cast<int64_t>(items.size()), part, [&](int64_t i) {
    const CachedItem& item = items[static_cast<size_t>(i)];
    Scratch& memory = scratch();
    memory.rows.clear();
    for (int64_t r = item.begin; r < item.end; ++r) {
      const int64_t token = r / group, head = item.kv_head * group + r % group;
      const int64_t to = item.sequence->position + token + 1;
      const int64_t row = item.sequence->first + token;
      memory.rows.push_back({.query = q.data + row * q.stride + head * n,
                             .out = out.data + row * out.stride + head * n,
                             .from = window > 0 ? std::max<int64_t>(0, to - window) : 0,
                             .to = to});
    }
    if (bias != nullptr) set_cached_bias(*bias, item, group, memory.rows);
    attend_tile(kernel, item.sequence->cache->head(layer, item.kv_head), shape, memory);
  });
  if (part.index > 0) return;
  for (const CachedSequence& sequence : sequences) {
    double seen = 0;
    for (int64_t to = sequence.position + 1; to <= sequence.position + sequence.count; ++to) {
      seen += static_cast<double>(window > 0 ? std::min(to, window) : to);
    }
    macs_over(*sequence.cache, work) += 2 * seen * static_cast<double>(shape.heads * n);
    const int64_t end = sequence.position + sequence.count;
    const int64_t held = window > 0 ? std::min(end, window + sequence.count - 1) : end;
    work.activation_bytes += static_cast<double>(held) *
                                 static_cast<double>(sequence.cache->bytes_per_position()) /
                                 static_cast<double>(sequence.cache->shape().layers) +
                             2.0 * sizeof(float) * static_cast<double>(sequence.count * shape.heads * n);
  }
}

void attend_memory(const AttentionShape& shape, ConstMatrixView q, std::span<const CachedSequence> sequences,
                   int64_t layer, IndexRange rows, MatrixView out, Work& work) {
  const TimedOperation timed(Operation::kAttention);
  const AttentionKernels& kernel = attention_kernels();
  const int64_t n = shape.head_dim, group = shape.heads / shape.kv_heads;
  std::vector<CachedSequence> asking;
  for (const CachedSequence& sequence : sequences) {
    const int64_t begin = std::max(rows.begin, sequence.first);
    const int64_t count = std::min(rows.end, sequence.first + sequence.count) - begin;
    if (count > 0) asking.push_back({sequence.cache, begin, count, sequence.position});
  }
  const std::vector<CachedItem> items = cached_items(shape, asking, active_threads());
  for_each_item(static_cast<int64_t>(items.size()), {}, [&](int64_t i) {
    const CachedItem& item = items[static_cast<size_t>(i)];
    const KeyValueCache& memory_cache = *item.sequence->cache->memory();
    Scratch& memory = scratch();
    memory.rows.clear();
    for (int64_t r = item.begin; r < item.end; ++r) {
      const int64_t row = item.sequence->first + r / group, head = item.kv_head * group + r % group;
      memory.rows.push_back({.query = q.data + row * q.stride + head * n,
                             .out = out.data + row * out.stride + head * n,
                             .to = memory_cache.length()});
    }
    attend_tile(kernel, memory_cache.head(layer, item.kv_head), shape, memory);
  });
  for (const CachedSequence& sequence : asking) {
    const KeyValueCache& memory_cache = *sequence.cache->memory();
    const auto seen = static_cast<double>(memory_cache.length());
    const auto count = static_cast<double>(sequence.count);
    macs_over(memory_cache, work) += 2 * count * seen * static_cast<double>(shape.heads * n);
    work.activation_bytes += seen * static_cast<double>(memory_cache.bytes_per_position()) /
                                 static_cast<double>(memory_cache.shape().layers) +
                             2.0 * sizeof(float) * count * static_cast<double>(shape.heads * n);
  }
}

}  // namespace wattle::inline layers
