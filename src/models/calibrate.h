#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "file/model_file.h"
#include "tensor/matrix.h"

namespace wattle::inline models {

/// Mean squared input of each column of every linear layer: the factor by which an error of a weight of that
/// column counts in the layer's output when inputs are independent (the diagonal of the layer's Hessian, as
/// in Optimal Brain Damage, LeCun et al. 1990).
class InputStatistics {
 public:
  /// Adds the rows of an input [tokens, k] of the tensor `name`. Rows that are not finite numbers are left
  /// out.
  void add(const std::string& name, ConstMatrixView input);

  /// [row_length], or empty for a tensor that no input was seen of.
  std::span<const float> of(const Tensor& tensor) const;

  size_t tensors() const { return sums_.size(); }

 private:
  struct Sums {
    std::vector<double> squares;
    std::vector<float> means;
    int64_t rows = 0;
  };
  std::unordered_map<std::string, Sums> sums_;
};

/// Runs the model at `path` over `texts` (each an encoder's input; for a decoder, one text of all) up to
/// about `most_tokens` tokens, and collects the inputs of its linear layers. `progress` is called with tokens
/// done. Throws Error when the texts hold no token, or the model has no tokenizer.
InputStatistics calibrate(const std::string& path, std::span<const std::string> texts, int64_t most_tokens,
                          const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace wattle::inline models
