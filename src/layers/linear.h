#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/matmul.h"
#include "layers/weights.h"

namespace wattle::inline layers {

/// The input of linear layers, quantised (or converted) once for all that read it.
class LayerInput {
 public:
  /// x [tokens, features] must stay as it is until the last layer has read it.
  void set(ConstMatrixView x);
  /// With the sums of `sums`, and those of earlier calls.
  const PackedActivations& as(Activations kind, uint32_t sums);
  ConstMatrixView values() const { return x_; }
  int64_t tokens() const { return x_.rows; }

 private:
  ConstMatrixView x_;
  std::array<PackedActivations, kActivations> packed_;
  std::array<bool, kActivations> ready_{};
};

/// One tensor of a linear layer: NAME.weight [outputs, inputs] and, where the file has it, NAME.bias
/// [outputs], or BIAS.bias for a weight that is tied to another's.
struct LinearPart {
  std::string name;
  int64_t outputs = 0;
  std::string bias = {};

  std::string bias_name() const { return (bias.empty() ? name : bias) + ".bias"; }
};

/// y = x W^T + b for one or several tensors that read the same input (q, k and v; gate and up), their outputs
/// side by side. Neighbours of one format are packed as one matrix; mixtures such as Q4_K_M need several.
class Linear {
 public:
  Linear() = default;
  Linear(Weights& weights, std::span<const LinearPart> parts, int64_t inputs);
  Linear(Weights& weights, const LinearPart& part, int64_t inputs) : Linear(weights, {&part, 1}, inputs) {}

  /// A bias that the file has under a name of its own, NAME.bias [count], for the outputs from `first` on;
  /// none where it has not.
  void add_bias(Weights& weights, const std::string& name, int64_t first, int64_t count);

  int64_t outputs() const { return outputs_; }
  /// Bytes of the weights: for the caller to add to its work, once a pass over them.
  double weight_bytes() const;
  double bytes_a_weight() const { return weight_bytes() / static_cast<double>(outputs_ * inputs_); }
  /// Whether calibration looks at the inputs, which must then come whole and in order.
  bool is_observed() const { return observe_ != nullptr; }

  /// out [tokens, outputs] = f(x W^T + b) [+ residual]. Adds all but weight_bytes() to `work`.
  void operator()(LayerInput& x, MatrixView out, Work& work,
                  ActivationFunction function = ActivationFunction::kNone,
                  ConstMatrixView residual = {}) const;
  /// For two parts of equal size, gate and up: out [tokens, outputs / 2] = f(gate) * up.
  void gated(LayerInput& x, ActivationFunction function, MatrixView out, Work& work) const;

  /// What operator() or gated() reads first, for the product that comes before it.
  ReadAhead read_ahead(bool gated = false) const;
  /// The read_ahead() of the product that comes after this one.
  void set_next(const ReadAhead& next) { next_ = next; }

 private:
  struct Block {
    PackedMatrix matrix;
    int64_t first = 0;
    Activations activations;
  };
  void multiply(std::span<const MatrixProduct> products, Work& work) const;

  std::vector<Block> blocks_;
  ReadAhead next_;
  uint32_t sums_ = 0;        ///< that some block reads
  std::vector<float> bias_;  ///< empty or [outputs]
  int64_t outputs_ = 0, inputs_ = 0;
  ObserveInput observe_;
  std::vector<std::string> names_;  ///< of the tensors, for observe_
};

}  // namespace wattle::inline layers
