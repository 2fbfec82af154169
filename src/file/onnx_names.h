#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "file/onnx_graph.h"

namespace wattle::inline file {

/// A tensor of an ONNX graph that is a weight, and how it becomes what PyTorch has.
struct OnnxWeight {
  const OnnxTensor* tensor = nullptr;
  const OnnxGraph* graph = nullptr;  ///< where the names of scales are to be looked up
  std::string name;                  ///< PyTorch's: "encoder.layer.0.attention.self.query.weight"
  bool from_path = false;            ///< the name is a node's, for the tensor has none of its own
  bool transposed = false;           ///< stored as [in, out]
  /// Of integers that stand for weights: names of their scales and zero points (empty: 0), and the dimension
  /// of the stored tensor that several go along.
  std::string_view scale, zero_point;
  int64_t axis = -1;

  std::vector<int64_t> shape() const;  ///< PyTorch's
};

struct OnnxNames {
  std::vector<OnnxWeight> weights;
  /// Tensors of some size that nothing names and no known operator reads: tables of positions, masks.
  std::vector<std::string> nameless;
};

/// Which of two files a graph is; an encoder's names get "encoder." in front.
enum class OnnxSide { kWhole, kEncoder };

/// Finds the weights of a model. An initialiser that PyTorch named keeps its name and form. One that the
/// exporter made (`onnx::MatMul_123`: a weight turned over for MatMul) is called after the module of the node
/// that reads it, `/encoder/layer.0/output/dense/MatMul`, or after the bias that is added next. Wrappers
/// around the whole model (`model.0.auto_model.`) are taken off. Error for operators that hold weights in a
/// form that is not read here.
OnnxNames name_weights(const OnnxModel& model, OnnxSide side = OnnxSide::kWhole);

/// The tensor that a value is but for Transpose, Cast, Identity and DequantizeLinear; null for others.
const OnnxTensor* stored_tensor(const OnnxGraph& graph, std::string_view value);

}  // namespace wattle::inline file
