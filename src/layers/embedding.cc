#include "layers/embedding.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <wattle/error.h>

#include "base/operation_times.h"
#include "base/threads.h"
#include "kernels/elementary.h"
#include "tensor/panels.h"

namespace wattle::inline layers {

TokenEmbedding::TokenEmbedding(Weights& weights, const std::string& name, int64_t width)
    : file_(&weights.file()), table_(weights.table(name, weights.file().need(name).rows(), width)) {}

void TokenEmbedding::read_row(int32_t id, std::span<float> values) const {
  thread_local std::vector<std::byte> read, rows;
  const size_t stride = row_bytes();
  if (!table_.packed) {
    decode_weights(table_.format, file_->read(table_, static_cast<size_t>(id) * stride, stride, read),
                   values);
    return;
  }
  const auto in_panel = static_cast<size_t>(id % PanelLayout::kRows);
  const size_t panel_bytes = stride * PanelLayout::kRows;
  const auto panel =
      file_->read(table_, static_cast<size_t>(id / PanelLayout::kRows) * panel_bytes, panel_bytes, read);
  rows.resize(panel_bytes);
  unpack_panel(panel_layout(table_.format), table_.row_length(), panel.data(), PanelLayout::kRows,
               rows.data());
  decode_weights(table_.format, std::span(rows).subspan(in_panel * stride, stride), values);
}

size_t TokenEmbedding::row_bytes() const {
  return wattle::row_bytes(table_.format, static_cast<size_t>(table_.row_length()));
}

void TokenEmbedding::add_row(int32_t id, float scale, std::span<float> sum) const {
  thread_local std::vector<float> values;
  values.resize(sum.size());
  if (table_.packed) {
    read_row(id, values);
  } else {
    const size_t stride = row_bytes();
    decode_weights(table_.format, table_.bytes.subspan(static_cast<size_t>(id) * stride, stride), values);
  }
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += values[i] * scale;
}

void TokenEmbedding::operator()(std::span<const int32_t> ids, float scale, MatrixView out, Work& work) const {
  const TimedOperation timed(Operation::kEmbedding);
  for (const int32_t id : ids) {
    if (id < 0 || id >= tokens())
      fail("token {}: the model's vocabulary has {}; the tokenizer belongs to another model", id, tokens());
  }
  for_each_index(static_cast<int64_t>(ids.size()), ids.size() > 16, [&](int64_t i) {
    const auto values = out.row(i);
    read_row(ids[static_cast<size_t>(i)], values);
    if (scale == 1) return;
    for (float& value : values) value *= scale;
  });
  work.weight_bytes += static_cast<double>(ids.size() * row_bytes());
  work.activation_bytes += static_cast<double>(ids.size()) * static_cast<double>(out.columns) * sizeof(float);
}

namespace {

Matrix sinusoids(int64_t rows, int64_t width, Positions kind) {
  Matrix table(rows, width);
  const int64_t half = width / 2, sines = kind == Positions::kSinusoids ? (width + 1) / 2 : half;
  const double step =
      kind == Positions::kSinusoids ? 2.0 / static_cast<double>(width) : 1.0 / static_cast<double>(half - 1);
  for (int64_t position = 0; position < rows; ++position) {
    float* row = table.row(position).data();
    std::fill(row, row + width, 0.0f);
    for (int64_t i = 0; i < half + width % 2; ++i) {
      const double angle = static_cast<double>(position) * power(10000.0, -static_cast<double>(i) * step);
      const SineCosine turned = sine_cosine(angle);
      if (i < sines) row[i] = static_cast<float>(turned.sine);
      if (sines + i < width && i < half) row[sines + i] = static_cast<float>(turned.cosine);
    }
  }
  return table;
}

}  // namespace

TextEmbedding::TextEmbedding(Weights& weights, const std::string& prefix, const EmbeddingPlan& plan)
    : plan_(plan) {
  if (plan_.word_width == 0) plan_.word_width = plan_.width;
  const auto own = [&](const std::string& name) { return weights.has(prefix + name) ? prefix + name : name; };
  words_ = TokenEmbedding(weights, own("token_embd.weight"), plan_.word_width);
  const int64_t table_width = plan_.project_words ? plan_.width : plan_.word_width;
  const auto table = [&](const std::string& name) {
    return weights.values(name, weights.file().need(name).rows(), table_width);
  };
  if (plan_.positions == Positions::kLearned) {
    positions_ = table(prefix + "position_embd.weight");
    if (positions_.rows() <= plan_.first_position) {
      fail("{}: {} positions leave none for tokens; the file is damaged, get it again",
           weights.file().metadata().origin(), positions_.rows());
    }
  } else if (plan_.positions != Positions::kNone) {
    positions_ = sinusoids(plan_.first_position + plan_.most_positions, table_width, plan_.positions);
    if (plan_.padding >= 0) std::ranges::fill(positions_.row(plan_.first_position - 1), 0.0f);
  }
  if (prefix.empty() && weights.has("token_types.weight")) types_ = table("token_types.weight");
  if (weights.has(prefix + "token_embd_norm.weight")) {
    norm_ = Norm(weights, prefix + "token_embd_norm", plan_.norm_last ? plan_.width : table_width, plan_.norm,
                 plan_.epsilon);
  }
  if (weights.has(prefix + "token_embd_proj.weight"))
    projection_ = Linear(weights, {prefix + "token_embd_proj", plan_.width}, plan_.word_width);
}

int64_t TextEmbedding::most_tokens() const {
  return positions_.rows() == 0 ? INT64_MAX : positions_.rows() - plan_.first_position;
}

void TextEmbedding::add_positions(std::span<const int64_t> positions, std::span<const int32_t> types,
                                  MatrixView out) const {
  const Matrix* places = positions_.rows() > 0 ? &positions_ : nullptr;
  for (int64_t row = 0; row < out.rows; ++row) {
    float* values = out.row(row).data();
    const auto index = static_cast<size_t>(row);
    const int32_t type = types.empty() ? 0 : types[index];
    if (types_.rows() > 0 && (type < 0 || type >= types_.rows()))
      fail("token type {}: the model has {} types; give one of them", type, types_.rows());
    const float* kind = types_.rows() > 0 ? types_.row(type).data() : nullptr;
    const float* place =
        places != nullptr ? places->row(plan_.first_position + positions[index]).data() : nullptr;
    for (int64_t i = 0; i < out.columns; ++i)
      values[i] += (place != nullptr ? place[i] : 0.0f) + (kind != nullptr ? kind[i] : 0.0f);
  }
}

void TextEmbedding::operator()(std::span<const int32_t> ids, std::span<const int64_t> positions,
                               std::span<const int32_t> types, MatrixView hidden, Work& work) const {
  if (!types.empty() && types_.rows() == 0 &&
      std::ranges::any_of(types, [](int32_t type) { return type != 0; }))
    fail("token types were given and the model has none; leave them out");
  thread_local Matrix narrow;
  const bool projects = projection_.outputs() > 0;
  if (projects) narrow.resize(hidden.rows, plan_.word_width);
  const auto project = [&] {
    LayerInput input;
    input.set(narrow.view());
    projection_(input, hidden, work);
    work.weight_bytes += projection_.weight_bytes();
  };
  words_(ids, plan_.scale, projects ? narrow.view() : hidden, work);
  if (projects && plan_.project_words) project();
  const MatrixView out = projects && !plan_.project_words ? narrow.view() : hidden;
  if (positions_.rows() > 0 || types_.rows() > 0) add_positions(positions, types, out);
  if (norm_ && !plan_.norm_last) norm_(out, out, work);
  if (projects && !plan_.project_words) project();
  if (norm_ && plan_.norm_last) norm_(hidden, hidden, work);
}

std::vector<int64_t> positions_of(const Ragged<int32_t>& tokens, int32_t padding) {
  std::vector<int64_t> positions;
  positions.reserve(tokens.items.size());
  for (int64_t sequence = 0; sequence < tokens.sequences(); ++sequence) {
    int64_t next = 0;
    for (const int32_t id : tokens.sequence(sequence)) positions.push_back(id == padding ? -1 : next++);
  }
  return positions;
}

void check_lengths(const Ragged<int32_t>& tokens, int64_t most) {
  for (int64_t i = 0; i < tokens.sequences(); ++i) {
    if (tokens.length(i) == 0) fail("sequence {} has no tokens; a model reads at least one", i);
    if (tokens.length(i) > most) {
      fail("sequence {} has {} tokens; this model reads {}: cut the text", i, tokens.length(i), most);
    }
  }
}

}  // namespace wattle::inline layers
