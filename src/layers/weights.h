#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "file/model_file.h"
#include "kernels/matmul.h"
#include "tensor/matrix.h"

namespace wattle::inline layers {

/// Sees the input [tokens, k] of a product before it runs, with the names of the tensors that it is
/// multiplied by.
using ObserveInput = std::function<void(std::span<const std::string> tensors, ConstMatrixView input)>;

/// Where a family takes its weights from while it is built: the tensors of a file, or of a shape, whose bytes
/// are generated when they are asked for. Gives pages back as they are packed, so that the peak is the model
/// plus little.
class Weights {
 public:
  /// Bytes of a tensor that has none in the file.
  using Generate = std::function<std::vector<std::byte>(const Tensor&)>;

  explicit Weights(const ModelFile& file, std::optional<Activations> activations = {}, Generate generate = {})
      : file_(file), activations_(activations), generate_(std::move(generate)) {}

  const ModelFile& file() const { return file_; }
  bool has(std::string_view name) const { return file_.find(name) != nullptr; }
  const Tensor& need(const std::string& name, std::initializer_list<int64_t> shape) const;

  /// Tensors [n, k] of one k and one format, all packed in the file or none, as one matrix. What is packed
  /// stays in the mapping.
  PackedMatrix pack(std::span<const Tensor* const> tensors);
  /// A vector (norm, bias) as floats; its tensor may have several dimensions (a norm's weights head by head).
  std::vector<float> vector(const std::string& name, int64_t length);
  /// A small matrix [rows, columns] as floats (position embeddings).
  Matrix values(const std::string& name, int64_t rows, int64_t columns);
  /// An embedding table [rows, columns], kept as it is stored: rows are decoded as they are needed.
  Tensor table(const std::string& name, int64_t rows, int64_t columns);

  /// What products with weights of a format read: what the user asked for where 8-bit is the default, else
  /// the default.
  Activations activations(Format format) const;

  /// Linear layers built from now on show their inputs to `observe`.
  void observe_inputs(ObserveInput observe) { observe_ = std::move(observe); }
  const ObserveInput& observer() const { return observe_; }

  /// Bytes of all weights taken so far; a table that is also packed as the output matrix counts once.
  size_t bytes() const { return bytes_; }
  /// Tables generated for a shape; the model keeps them alive.
  std::vector<std::vector<std::byte>> take_generated_tables() { return std::move(tables_); }

 private:
  const ModelFile& file_;
  std::optional<Activations> activations_;
  void decode_into(const Tensor& tensor, std::span<float> values);
  void count(const Tensor& tensor, size_t bytes);
  void check_panels(const Tensor& packed) const;
  PackedMatrix map(std::span<const Tensor* const> packed);

  Generate generate_;
  ObserveInput observe_;
  std::vector<std::vector<std::byte>> tables_;
  std::set<std::string> counted_;
  size_t bytes_ = 0;
};

}  // namespace wattle::inline layers
