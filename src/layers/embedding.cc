#include "layers/embedding.h"

#include <wattle/error.h>

#include "base/operation_times.h"
#include "base/threads.h"
#include "tensor/panels.h"

namespace wattle {

TokenEmbedding::TokenEmbedding(Weights& weights, const std::string& name, int64_t width)
    : file_(&weights.file()), table_(weights.table(name, weights.file().need(name).rows(), width)) {}

void TokenEmbedding::read_row(int32_t id, std::span<float> values) const {
  thread_local std::vector<std::byte> read, rows;
  const size_t stride = row_bytes(table_.format, values.size());
  if (!table_.packed) {
    decode(table_.format, file_->read(table_, static_cast<size_t>(id) * stride, stride, read), values);
    return;
  }
  const auto in_panel = static_cast<size_t>(id % PanelLayout::kRows);
  const size_t panel_bytes = stride * PanelLayout::kRows;
  const auto panel =
      file_->read(table_, static_cast<size_t>(id / PanelLayout::kRows) * panel_bytes, panel_bytes, read);
  rows.resize(panel_bytes);
  unpack_panel(panel_layout(table_.format), table_.row_length(), panel.data(), PanelLayout::kRows,
               rows.data());
  decode(table_.format, std::span(rows).subspan(in_panel * stride, stride), values);
}

void TokenEmbedding::operator()(std::span<const int32_t> ids, float scale, MatrixView out, Work& work) const {
  const TimedOperation timed(Operation::kEmbedding);
  for (const int32_t id : ids) {
    if (id < 0 || id >= tokens())
      fail("token {}: the model's vocabulary has {}; the tokenizer belongs to another model", id, tokens());
  }
  std::string error;
#pragma omp parallel for num_threads(threads()) if (ids.size() > 16)
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto values = out.row(static_cast<int64_t>(i));
    try {
      read_row(ids[i], values);
    } catch (const Error& failure) {
#pragma omp critical
      error = failure.what();
    }
    if (scale == 1) continue;
    for (float& value : values) value *= scale;
  }
  if (!error.empty()) throw Error(error);
  work.weight_bytes +=
      static_cast<double>(ids.size() * row_bytes(table_.format, static_cast<size_t>(table_.row_length())));
  work.activation_bytes += static_cast<double>(ids.size()) * static_cast<double>(out.columns) * sizeof(float);
}

void add_positions(std::span<const int64_t> offsets, const Matrix& positions, int64_t first, MatrixView out) {
  for (size_t sequence = 0; sequence + 1 < offsets.size(); ++sequence) {
    for (int64_t row = offsets[sequence]; row < offsets[sequence + 1]; ++row) {
      float* values = out.row(row).data();
      const float* position = positions.row(first + row - offsets[sequence]).data();
      for (int64_t i = 0; i < out.columns; ++i) values[i] += position[i];
    }
  }
}

void check_lengths(const Ragged<int32_t>& tokens, int64_t most) {
  for (int64_t i = 0; i < tokens.sequences(); ++i) {
    if (tokens.length(i) == 0) fail("sequence {} has no tokens; a model reads at least one", i);
    if (tokens.length(i) > most) {
      fail("sequence {} has {} tokens; this model reads {}: cut the text", i, tokens.length(i), most);
    }
  }
}

}  // namespace wattle
