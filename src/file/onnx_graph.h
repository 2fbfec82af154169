#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace wattle::inline file {

/// The parts of an ONNX file (github.com/onnx/onnx, onnx.proto) that say where weights lie and what they are
/// called. Everything is a view into the file's bytes: its weights are hundreds of megabytes, which the
/// protobuf library would copy.

/// A TensorProto: an initialiser, or the value of a Constant node under the name of that node's output.
struct OnnxTensor {
  std::string_view name;
  int64_t type = 0;  ///< TensorProto.DataType
  std::vector<int64_t> shape;
  std::span<const std::byte> message;  ///< the whole TensorProto; onnx_values.h reads its values

  int64_t elements() const;  ///< of a shape that was checked
};

/// An AttributeProto of numbers or a text; others have no values here.
struct OnnxAttribute {
  std::string_view name;
  std::optional<int64_t> integer;
  std::optional<float> number;
  std::vector<int64_t> integers;
  std::string_view text;
};

struct OnnxNode {
  std::string_view op, domain, name;
  std::vector<std::string_view> inputs, outputs;
  std::vector<OnnxAttribute> attributes;

  /// Empty for an input that is not given.
  std::string_view input(size_t index) const { return index < inputs.size() ? inputs[index] : ""; }
  const OnnxAttribute* find(std::string_view attribute) const;
  int64_t integer(std::string_view attribute, int64_t otherwise) const;
};

/// One graph: the model's own, or the body of an If, Loop or Scan node, which sees its parent's names too.
struct OnnxGraph {
  const OnnxGraph* parent = nullptr;
  std::vector<OnnxTensor> tensors;
  std::vector<OnnxNode> nodes;
  std::unordered_map<std::string_view, size_t> tensor_named, producer_of;
  std::unordered_map<std::string_view, std::vector<size_t>> consumers_of;

  /// Null when no tensor, or no node, of this graph or those around it gives the name.
  const OnnxTensor* tensor(std::string_view name) const;
  const OnnxNode* producer(std::string_view name) const;
  /// Calls `visit(node)` for the nodes of this graph that read the name.
  template <typename Visit>
  void for_each_consumer(std::string_view name, Visit&& visit) const {
    const auto place = consumers_of.find(name);
    if (place == consumers_of.end()) return;
    for (const size_t node : place->second) visit(nodes[node]);
  }
};

/// Whether the bytes begin as an ONNX model does: with its ir_version.
bool is_onnx(std::span<const std::byte> bytes);

/// The model's graph and those inside it, the outer ones first. Error for a file that is cut or corrupt, for
/// a graph whose nodes go in a circle, and for sparse tensors.
class OnnxModel {
 public:
  OnnxModel(std::span<const std::byte> bytes, std::string origin);

  const std::string& origin() const { return origin_; }
  const std::vector<std::unique_ptr<OnnxGraph>>& graphs() const { return graphs_; }

 private:
  void read_graph(std::span<const std::byte> message, const OnnxGraph* parent, int depth);
  void read_node(std::span<const std::byte> message, OnnxGraph& graph, int depth);
  OnnxAttribute read_attribute(std::span<const std::byte> message, const OnnxNode& node, OnnxGraph& graph,
                               int depth);
  OnnxTensor read_tensor(std::span<const std::byte> message);
  std::string_view name_of(std::string_view text) const;
  void link(OnnxGraph& graph) const;

  std::string origin_;
  std::vector<std::unique_ptr<OnnxGraph>> graphs_;
  size_t parts_ = 0;
};

}  // namespace wattle::inline file
