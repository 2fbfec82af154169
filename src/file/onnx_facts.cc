#include "file/onnx_facts.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "file/onnx_names.h"

namespace wattle::inline file {

void OnnxFacts::add(const OnnxModel& model, const ExternalData& external) {
  constexpr float kCubic = 0.044715F;  // of GELU by tanh
  origin_ = &model.origin();
  external_ = &external;
  for (const auto& graph : model.graphs()) {
    for (const OnnxNode& node : graph->nodes) add_node(*graph, node);
    for (const OnnxTensor& tensor : graph->tensors) {
      constexpr int64_t kFloat = 1;
      if (tensor.elements() != 1 || tensor.type != kFloat) continue;
      const auto value = small_values(tensor, 1, *origin_, external);
      if (value && std::fabs((*value)[0] - kCubic) < 1e-6F) cubic_ = true;
    }
  }
}

void OnnxFacts::add_node(const OnnxGraph& graph, const OnnxNode& node) {
  operators_.emplace(node.op);
  if (node.op == "Reshape") add_reshape(graph, node);
  if (node.op == "Sqrt" || node.op.ends_with("LayerNormalization")) add_epsilon(graph, node);
  if (node.op == "Log") add_distance(graph, node);
  if (node.op.starts_with("MatMul")) add_head(graph, node);
  if (node.op == "Gelu") {
    const OnnxAttribute* way = node.find("approximate");
    (way != nullptr && way->text == "tanh" ? cubic_ : exact_gelu_) = true;
  }
}

std::optional<float> OnnxFacts::constant(const OnnxGraph& graph, std::string_view value) const {
  constexpr int kMaxSteps = 4;  // a Constant behind Unsqueeze, Cast and the like
  for (int step = 0; step < kMaxSteps; ++step) {
    if (const OnnxTensor* tensor = stored_tensor(graph, value)) {
      if (tensor->elements() != 1) return std::nullopt;
      const auto numbers = small_values(*tensor, 1, *origin_, *external_);
      return numbers ? std::optional((*numbers)[0]) : std::nullopt;
    }
    const OnnxNode* node = graph.producer(value);
    if (node == nullptr) return std::nullopt;
    if (node->op == "Constant") {
      for (const OnnxAttribute& attribute : node->attributes) {
        if (attribute.number) return attribute.number;
        if (attribute.integer && attribute.name != "type") return static_cast<float>(*attribute.integer);
        if (attribute.integers.size() == 1) return static_cast<float>(attribute.integers[0]);
      }
      return std::nullopt;
    }
    if (node->op != "Unsqueeze" && node->op != "Squeeze") return std::nullopt;
    value = node->input(0);
  }
  return std::nullopt;
}

/// Attention divides [batch, tokens, features] to [batch, tokens, heads, features of a head].
void OnnxFacts::add_reshape(const OnnxGraph& graph, const OnnxNode& node) {
  constexpr size_t kDimensions = 4;
  std::vector<std::optional<float>> shape;
  const OnnxNode* producer = graph.producer(node.input(1));
  if (const OnnxTensor* tensor = stored_tensor(graph, node.input(1))) {
    if (const auto numbers = small_values(*tensor, kDimensions, *origin_, *external_))
      shape.assign(numbers->begin(), numbers->end());
  } else if (producer != nullptr && producer->op == "Constant") {
    for (const OnnxAttribute& attribute : producer->attributes) {
      if (attribute.integers.size() == kDimensions)
        shape.assign(attribute.integers.begin(), attribute.integers.end());
    }
  } else if (producer != nullptr && producer->op == "Concat" && producer->inputs.size() == kDimensions) {
    for (const std::string_view input : producer->inputs) shape.push_back(constant(graph, input));
  }
  if (shape.size() != kDimensions || !shape[2] || !shape[3] || *shape[2] < 1 || *shape[3] < 1) return;
  constexpr float kMost = 1 << 20;
  if (*shape[2] > kMost || *shape[3] > kMost) return;
  divisions_.emplace(static_cast<int64_t>(*shape[2]), static_cast<int64_t>(*shape[3]));
}

/// A norm of one node has its epsilon as an attribute; one of several nodes adds it before the root.
void OnnxFacts::add_epsilon(const OnnxGraph& graph, const OnnxNode& node) {
  constexpr float kDefault = 1e-5F;  // of the operator LayerNormalization
  if (node.op != "Sqrt") {
    const OnnxAttribute* epsilon = node.find("epsilon");
    epsilons_.insert(epsilon == nullptr ? kDefault : epsilon->number.value_or(kDefault));
    return;
  }
  const OnnxNode* add = graph.producer(node.input(0));
  if (add == nullptr || add->op != "Add") return;
  for (const size_t side : {size_t{0}, size_t{1}}) {
    if (const auto number = constant(graph, add->input(side))) epsilons_.insert(*number);
  }
}

/// Buckets of T5's positions: exact + log(distance / exact) / log(most / exact) x others.
void OnnxFacts::add_distance(const OnnxGraph& graph, const OnnxNode& node) {
  const OnnxNode* before = graph.producer(node.input(0));
  const auto exact =
      before != nullptr && before->op == "Div" ? constant(graph, before->input(1)) : std::nullopt;
  if (!exact || node.outputs.empty()) return;
  graph.for_each_consumer(node.outputs[0], [&](const OnnxNode& after) {
    const auto logarithm = after.op == "Div" ? constant(graph, after.input(1)) : std::nullopt;
    if (!logarithm || !(*logarithm > 0) || *logarithm > 20) return;
    relative_distance_ =
        std::llround(static_cast<double>(*exact) * std::exp(static_cast<double>(*logarithm)));
  });
}

void OnnxFacts::add_head(const OnnxGraph& graph, const OnnxNode& node) {
  if (node.name.find("lm_head/") == std::string_view::npos) return;
  const OnnxNode* before = graph.producer(node.input(0));
  if (before != nullptr && before->op == "DynamicQuantizeLinear") before = graph.producer(before->input(0));
  if (before == nullptr || before->op != "Mul") return;
  scaled_head_ = scaled_head_ || constant(graph, before->input(0)) || constant(graph, before->input(1));
}

int64_t OnnxFacts::heads_of(int64_t features) const {
  int64_t heads = 0;
  for (const auto& [count, width] : divisions_) {
    if (count * width != features) continue;
    if (heads != 0) return 0;
    heads = count;
  }
  return heads;
}

std::optional<double> OnnxFacts::norm_epsilon() const {
  if (epsilons_.size() != 1) return std::nullopt;
  // The shortest decimal of the float is the number that the model's author wrote: 1e-12, not 9.99999996e-13.
  const std::string written = fmt::format("{}", *epsilons_.begin());
  double epsilon = 0;
  std::from_chars(written.data(), written.data() + written.size(), epsilon);
  return epsilon;
}

std::string OnnxFacts::activation() const {
  if (has("Erf") || has("BiasGelu") || exact_gelu_) return "gelu";
  if (has("FastGelu") || cubic_) return "gelu_new";
  if (has("Relu")) return "relu";
  return has("Sigmoid") ? "silu" : "";
}

}  // namespace wattle::inline file
