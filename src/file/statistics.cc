#include "file/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace wattle::inline file {
namespace {

/// Calls `visit` with the values of the tensor, some rows at a time.
template <typename Visit>
void for_each_piece(const Tensor& tensor, Visit&& visit) {
  constexpr int64_t kPieceWeights = 1 << 20;
  const int64_t rows = tensor.rows();
  if (rows == 0) return;
  const int64_t rows_at_once = std::max<int64_t>(1, kPieceWeights / tensor.row_length());
  const size_t row_bytes = tensor.bytes.size() / static_cast<size_t>(rows);
  std::vector<float> values;
  for (int64_t row = 0; row < rows; row += rows_at_once) {
    const int64_t count = std::min(rows_at_once, rows - row);
    values.resize(static_cast<size_t>(count * tensor.row_length()));
    decode_weights(
        tensor.format,
        tensor.bytes.subspan(static_cast<size_t>(row) * row_bytes, static_cast<size_t>(count) * row_bytes),
        values);
    visit(std::span<const float>(values));
  }
}

/// Numbers of a family that files give as an integer or, where layers differ, as one a layer.
std::optional<int64_t> architecture_number(const Metadata& metadata, const std::string& key) {
  const Value* value = metadata.find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != ValueType::kArray) return metadata.integer(key);
  const auto values = metadata.integers(key);
  return values.empty() ? std::nullopt : std::optional(*std::max_element(values.begin(), values.end()));
}

}  // namespace

TensorStatistics tensor_statistics(const Tensor& tensor) {
  TensorStatistics found;
  double sum = 0;
  double squares = 0;
  double least = std::numeric_limits<double>::infinity();
  double most = -least;
  int64_t finite = 0;
  for_each_piece(tensor, [&](std::span<const float> values) {
    for (const float value : values) {
      found.zeros += value == 0;
      found.nans += std::isnan(value);
      found.infinities += std::isinf(value);
      if (!std::isfinite(value)) continue;
      const double number = value;
      ++finite;
      sum += number;
      squares += number * number;
      least = std::min(least, number);
      most = std::max(most, number);
    }
    found.count += static_cast<int64_t>(values.size());
  });
  if (finite == 0) return found;
  found.min = least;
  found.max = most;
  found.mean = sum / static_cast<double>(finite);
  found.deviation = std::sqrt(std::max(0.0, squares / static_cast<double>(finite) - found.mean * found.mean));
  const auto bins = static_cast<double>(found.histogram.size());
  const double scale = most > least ? bins / (most - least) : 0;
  for_each_piece(tensor, [&](std::span<const float> values) {
    for (const float value : values) {
      if (!std::isfinite(value)) continue;
      const auto bin = static_cast<size_t>((static_cast<double>(value) - least) * scale);
      ++found.histogram[std::min(bin, found.histogram.size() - 1)];
    }
  });
  return found;
}

std::optional<MemoryNeed> memory_need(const ModelFile& file) {
  constexpr int64_t kLongestContext = 4096;  // what a cache holds unless asked otherwise
  constexpr int64_t kTokensAtOnce = 512;
  const Metadata& metadata = file.metadata();
  const auto architecture = metadata.text("general.architecture");
  if (!architecture) return std::nullopt;
  const auto number = [&](const char* name) { return architecture_number(metadata, *architecture + name); };
  const auto layers = number(".block_count");
  const auto width = number(".embedding_length");
  const auto inner = number(".feed_forward_length");
  const auto heads = number(".attention.head_count");
  if (!layers || !width || !inner || !heads || *heads < 1) return std::nullopt;

  MemoryNeed need;
  for (const Tensor& tensor : file.tensors()) need.weights += tensor.bytes.size();
  need.context = std::min(number(".context_length").value_or(kLongestContext), kLongestContext);
  need.tokens = std::min(need.context, kTokensAtOnce);
  const int64_t kv_heads = number(".attention.head_count_kv").value_or(*heads);
  const int64_t head_dim = number(".attention.key_length").value_or(*width / *heads);
  const bool causal = metadata.flag(*architecture + ".attention.causal").value_or(true);
  // Plain doubles: the numbers are a file's and may be anything.
  const auto bytes = [](double value) { return static_cast<size_t>(std::clamp(value, 0.0, 1e18)); };
  const auto as_double = [](int64_t value) { return static_cast<double>(value); };
  if (causal) {
    need.cache = bytes(2.0 * 2.0 * as_double(*layers) * as_double(kv_heads) * as_double(head_dim) *
                       as_double(need.context));
  }
  // Hidden state, its normalised copy and the residual; queries, keys, values and their sum; gate and up.
  const double per_token = 3.0 * as_double(*width) +
                           2.0 * as_double(*heads + kv_heads) * as_double(head_dim) + 2.0 * as_double(*inner);
  const Tensor* words = file.find("token_embd.weight");
  const double logits = causal && words != nullptr ? as_double(words->rows()) : 0;
  need.activations = bytes(4.0 * (as_double(need.tokens) * per_token + logits));
  return need;
}

}  // namespace wattle::inline file
