#include <algorithm>

#include "layers/layer.h"
#include "layers/team.h"

namespace wattle::inline layers {
namespace {

// Tokens a thread takes through an encoder's layer at once: enough to use each weight that is read well, few
// enough that what lies between the products stays in the second-level cache (96 x 1,536 floats are 590 KB).
constexpr int64_t kSlab = 96;

// Buffers of one thread, which all layers of a forward pass share.
struct Scratch {
  Matrix qkv[2], context;
  std::vector<int64_t> offsets;
};
Scratch& scratch() {
  thread_local Scratch memory;
  return memory;
}

// A part's share of the sequences: cut where one ends that is nearest to the part's share of the tokens.
IndexRange sequences_of(std::span<const int64_t> offsets, Part part) {
  const auto nearest = [&](int64_t row) {
    const auto after = std::lower_bound(offsets.begin(), offsets.end(), row);
    const bool before = after != offsets.begin() && row - *(after - 1) < *after - row;
    return after - offsets.begin() - (before ? 1 : 0);
  };
  const IndexRange rows = part.range(offsets.back());
  return {nearest(rows.begin), nearest(rows.end)};
}

// Whether whole sequences give every thread nearly the same number of tokens: then none waits for another
// within a layer.
bool are_even(std::span<const int64_t> offsets) {
  const int64_t parts = active_threads();
  const double fair = static_cast<double>(offsets.back()) / static_cast<double>(parts);
  for (int64_t i = 0; i < parts; ++i) {
    const IndexRange mine = sequences_of(offsets, {i, parts});
    const int64_t rows = offsets[static_cast<size_t>(mine.end)] - offsets[static_cast<size_t>(mine.begin)];
    if (static_cast<double>(rows) > 1.1 * fair) return false;
  }
  return true;
}

void finish_by_slabs(const Layer& layer, ConstMatrixView context, MatrixView hidden, Work& work) {
  for (int64_t first = 0; first < hidden.rows; first += kSlab) {
    const int64_t count = std::min(kSlab, hidden.rows - first);
    layer.finish(context.rows_from(first, count), hidden.rows_from(first, count), work);
  }
}

// The marks of so many rows; none where there are none.
std::span<const int32_t> marks_of(std::span<const int32_t> marks, int64_t first, int64_t count) {
  return marks.empty() ? marks : marks.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
}

// The layer for whole sequences, about a slab's tokens at a time: nothing that lies between the products
// leaves the second-level cache.
void run_sequences(const Layer& layer, MatrixView hidden, std::span<const int64_t> offsets,
                   std::span<const int32_t> global, IndexRange sequences, Work& work) {
  Scratch& memory = scratch();
  const auto row_of = [&](int64_t sequence) { return offsets[static_cast<size_t>(sequence)]; };
  for (int64_t first = sequences.begin, next; first < sequences.end; first = next) {
    memory.offsets.assign(1, 0);
    for (next = first; next < sequences.end && memory.offsets.back() < kSlab; ++next) {
      memory.offsets.push_back(row_of(next + 1) - row_of(first));
    }
    const int64_t tokens = memory.offsets.back();
    const MatrixView rows = hidden.rows_from(row_of(first), tokens);
    memory.qkv[0].resize(tokens, layer.projected_width(!global.empty()));
    memory.context.resize(tokens, layer.context_width());
    const auto marks = marks_of(global, row_of(first), tokens);
    layer.project(rows, row_of(first), memory.qkv[0].view(), marks, work);
    layer.attend(memory.qkv[0].view(), memory.offsets, marks, memory.context.view(), {0, tokens}, work);
    finish_by_slabs(layer, memory.context.view(), rows, work);
  }
}

// Threads take tokens. A step ends one layer and begins the next: whoever is ahead writes its projections
// beside those that others still read.
void run_by_tokens(std::span<const Layer* const> layers, MatrixView hidden, std::span<const int64_t> offsets,
                   std::span<const int32_t> global, Work& work) {
  Scratch& shared = scratch();
  for (Matrix& qkv : shared.qkv) qkv.resize(hidden.rows, layers.front()->projected_width(!global.empty()));
  shared.context.resize(hidden.rows, layers.front()->context_width());
  const MatrixView qkv[2] = {shared.qkv[0].view(), shared.qkv[1].view()}, context = shared.context.view();
  const auto count = static_cast<int64_t>(layers.size());
  layers_in_steps(true, count + 1, work, [&](int64_t number, Part part, Work& mine) {
    const IndexRange rows = part.range(hidden.rows);
    const MatrixView own = hidden.rows_from(rows.begin, rows.count());
    if (number > 0) {
      const Layer& layer = *layers[static_cast<size_t>(number - 1)];
      layer.attend(qkv[(number - 1) % 2], offsets, global, context, rows, mine);
      finish_by_slabs(layer, context.rows_from(rows.begin, rows.count()), own, mine);
    }
    if (number == count) return;
    layers[static_cast<size_t>(number)]->project(own, rows.begin,
                                                 qkv[number % 2].rows_from(rows.begin, rows.count()),
                                                 marks_of(global, rows.begin, rows.count()), mine);
  });
}

}  // namespace

void run_layers(std::span<const Layer* const> layers, MatrixView hidden, std::span<const int64_t> offsets,
                std::span<const int32_t> global, Work& work) {
  if (layers.empty()) return;
  const Layer& first = *layers.front();
  const bool by_team = hidden.rows >= tokens_of_team(first.weight_bytes()) && !first.is_observed();
  if (by_team && !are_even(offsets)) {
    run_by_tokens(layers, hidden, offsets, global, work);
  } else {
    layer_in_steps(by_team, work, [&](Part part, Work& mine) {
      for (const Layer* layer : layers)
        run_sequences(*layer, hidden, offsets, global, sequences_of(offsets, part), mine);
    });
  }
  for (const Layer* layer : layers) work.weight_bytes += layer->weight_bytes(!global.empty());
}

void run_layers(std::span<const Layer* const> layers, MatrixView hidden, DecoderBatch& batch, Work& work) {
  const auto count = static_cast<int64_t>(layers.size());
  for (int64_t number = 0; number < count; ++number) {
    const Layer& layer = *layers[static_cast<size_t>(number)];
    batch.qkv.resize(hidden.rows, layer.projected_width());
    batch.context.resize(hidden.rows, layer.context_width());
    const bool by_team = hidden.rows >= tokens_of_team(layer.weight_bytes()) && !layer.is_observed();
    const auto rows_of = [&](IndexRange rows) { return hidden.rows_from(rows.begin, rows.count()); };
    layer_in_steps(
        by_team, work,
        [&](Part part, Work& mine) {
          const IndexRange rows = part.range(hidden.rows);
          layer.project(rows_of(rows), rows, batch, number, mine);
        },
        [&](Part part, Work& mine) { layer.attend(batch, number, part, mine); },
        [&](Part part, Work& mine) {
          const IndexRange rows = part.range(hidden.rows);
          layer.finish(batch.context.view().rows_from(rows.begin, rows.count()), rows_of(rows), mine, &batch,
                       rows, number);
        });
    work.weight_bytes += layer.weight_bytes();
  }
}

}  // namespace wattle::inline layers
