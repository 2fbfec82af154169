#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/work.h"
#include "layers/weights.h"
#include "tensor/matrix.h"

namespace wattle::inline layers {

enum class NormKind {
  kLayer,  ///< (x - mean) / sqrt(variance + epsilon) * weight [+ bias] (Ba et al. 2016)
  kRms,    ///< x / sqrt(mean(x^2) + epsilon) * weight (Zhang and Sennrich 2019)
};

/// A normalisation of rows, or none. Tensors NAME.weight [width] and, where the file has it, NAME.bias
/// [width].
class Norm {
 public:
  Norm() = default;
  /// An empty bias is none.
  Norm(NormKind kind, float epsilon, std::vector<float> weight, std::vector<float> bias = {})
      : kind_(kind), epsilon_(epsilon), weight_(std::move(weight)), bias_(std::move(bias)) {}
  Norm(Weights& weights, const std::string& name, int64_t width, NormKind kind, float epsilon);
  /// None where the file has no NAME.weight: which of its norms a family has, its description says.
  static Norm where_there(Weights& weights, const std::string& name, int64_t width, NormKind kind,
                          float epsilon);

  /// One that has no weights and is applied all the same: as if they were 1.
  static Norm plain(int64_t width, NormKind kind, float epsilon) {
    return {kind, epsilon, std::vector<float>(static_cast<size_t>(width), 1.0f)};
  }

  explicit operator bool() const { return !weight_.empty(); }
  int64_t size() const { return static_cast<int64_t>(weight_.size()); }

  /// out = norm(x), row by row. x and out may be the same.
  void operator()(ConstMatrixView x, MatrixView out, Work& work) const;
  /// sum += norm(x), row by row; x is replaced by its norm.
  void add(MatrixView x, MatrixView sum, Work& work) const;
  /// The norm of one row in place, by the part of the weights that begins at `first` (heads with weights of
  /// their own).
  void apply(std::span<float> row, int64_t first = 0) const;

 private:
  void apply(std::span<const float> row, float* out, int64_t first) const;

  NormKind kind_ = NormKind::kLayer;
  float epsilon_ = 0;
  std::vector<float> weight_, bias_;
};

}  // namespace wattle::inline layers
