#pragma once

#include <array>
#include <cstdint>

#include "file/model_file.h"

namespace wattle::inline file {

/// The values of one tensor. Extremes, mean, deviation and histogram are those of the finite ones.
struct TensorStatistics {
  int64_t count = 0, zeros = 0, nans = 0, infinities = 0;
  double min = 0, max = 0, mean = 0, deviation = 0;  ///< 0 when no value is finite
  std::array<int64_t, 16> histogram{};  ///< of equal steps from min to max, which falls in the last
};

/// Decodes the tensor piece by piece, twice; memory does not grow with it.
TensorStatistics tensor_statistics(const Tensor& tensor);

/// What a model needs to run, in bytes.
struct MemoryNeed {
  size_t weights = 0;      ///< as stored; packing keeps their size
  size_t cache = 0;        ///< keys and values of `context` tokens as F16; 0 for encoders
  size_t activations = 0;  ///< an estimate of what a pass over `tokens` at once holds
  int64_t context = 0;     ///< the longest the model was trained with, at most 4096
  int64_t tokens = 0;      ///< tokens of a pass: at most 512
  size_t total() const { return weights + cache + activations; }
};

/// nullopt for a file without an architecture and its numbers.
std::optional<MemoryNeed> memory_need(const ModelFile& file);

}  // namespace wattle::inline file
