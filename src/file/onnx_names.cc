#include "file/onnx_names.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <wattle/error.h>

namespace wattle::inline file {
namespace {

constexpr int kMaxSteps = 16;  // from an operator back to the tensor that it reads
constexpr std::string_view kQuantised = "_quantized", kTransposed = "_Transposed";
constexpr int64_t kSmall = 16;  // elements of shapes, axes and other constants of no interest

/// How an operator reads a weight.
enum class Layout {
  kAsIs,
  kInOut,   ///< [in, out]: the transpose of PyTorch's linear layer
  kByFlag,  ///< the same, or PyTorch's own where transB is set
  kVector,  ///< as it is, and only one dimension: others are no bias or norm
};

/// An input of an operator that is a weight; places of the inputs with its scale and zero point, -1: none.
struct Operand {
  std::string_view op;
  size_t input;
  std::string_view kind;  ///< ends the name of a tensor that is called after its node
  Layout layout;
  int scale = -1, zero_point = -1;
};
constexpr Operand kOperands[] = {
    {"MatMul", 1, "weight", Layout::kInOut},
    {"FusedMatMul", 1, "weight", Layout::kByFlag},
    {"Gemm", 1, "weight", Layout::kByFlag},
    {"Gemm", 2, "bias", Layout::kVector},
    {"MatMulInteger", 1, "weight", Layout::kInOut, -1, 3},
    {"DynamicQuantizeMatMul", 1, "weight", Layout::kInOut, 2, 3},
    {"DynamicQuantizeMatMul", 4, "bias", Layout::kVector},
    {"MatMulIntegerToFloat", 1, "weight", Layout::kInOut, 3, 5},
    {"MatMulIntegerToFloat", 6, "bias", Layout::kVector},
    {"QLinearMatMul", 3, "weight", Layout::kInOut, 4, 5},
    {"Gather", 0, "weight", Layout::kAsIs},
    {"Conv", 1, "weight", Layout::kAsIs},
    {"Conv", 2, "bias", Layout::kVector},
    {"ConvTranspose", 1, "weight", Layout::kAsIs},
    {"ConvTranspose", 2, "bias", Layout::kVector},
    {"ConvInteger", 1, "weight", Layout::kAsIs, -1, 3},
    {"LayerNormalization", 1, "weight", Layout::kVector},
    {"LayerNormalization", 2, "bias", Layout::kVector},
    {"SimplifiedLayerNormalization", 1, "weight", Layout::kVector},
    {"BatchNormalization", 1, "weight", Layout::kVector},
    {"BatchNormalization", 2, "bias", Layout::kVector},
    {"BatchNormalization", 3, "running_mean", Layout::kVector},
    {"BatchNormalization", 4, "running_var", Layout::kVector},
    {"Mul", 0, "weight", Layout::kVector},
    {"Mul", 1, "weight", Layout::kVector},
    {"Add", 0, "bias", Layout::kVector},
    {"Add", 1, "bias", Layout::kVector},
};

/// Operators of ONNX Runtime that hold weights packed in ways of their own.
constexpr std::string_view kRefused[] = {
    "MatMulNBits", "MatMulBnb4",      "MatMulFpQ4", "GatherBlockQuantized", "Attention",
    "QAttention",  "PackedAttention", "QMoE",       "DecoderAttention",     "QOrderedMatMul"};

/// A value followed back to the tensor behind it.
struct Found {
  const OnnxTensor* tensor = nullptr;
  bool turned = false;  ///< a Transpose of its two dimensions lies between
  std::string_view scale, zero_point;
  int64_t axis = -1;
};

bool turns_two(const OnnxNode& node) {
  const OnnxAttribute* order = node.find("perm");
  return order == nullptr || order->integers == std::vector<int64_t>{1, 0};
}

Found follow_back(const OnnxGraph& graph, std::string_view value) {
  Found found;
  for (int step = 0; step < kMaxSteps; ++step) {
    found.tensor = graph.tensor(value);
    if (found.tensor != nullptr) return found;
    const OnnxNode* node = graph.producer(value);
    if (node == nullptr) return {};
    if (node->op == "Transpose" && turns_two(*node)) {
      found.turned = !found.turned;
    } else if (node->op == "DequantizeLinear") {
      found.scale = node->input(1);
      found.zero_point = node->input(2);
      found.axis = node->integer("axis", 1);
    } else if (node->op != "Cast" && node->op != "Identity") {
      return {};
    }
    value = node->input(0);
  }
  return {};
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Whether an exporter made the name up: onnx::MatMul_12, /encoder/Constant_output_0, 1525, val_7.
bool is_made_up(std::string_view name) {
  if (name.empty() || name.find_first_of("/:") != std::string_view::npos || all_digits(name)) return true;
  const size_t underscore = name.rfind('_');
  return name.find('.') == std::string_view::npos && underscore != std::string_view::npos &&
         all_digits(name.substr(underscore + 1));
}

std::string_view without(std::string_view name, std::string_view ending) {
  if (name.ends_with(ending)) name.remove_suffix(ending.size());
  return name;
}

std::string_view last_part(std::string_view module) {
  return module.substr(module.rfind('.') + 1);  // npos + 1 is 0
}

/// The module of a node by its path, as PyTorch names it: "encoder.layer.0.output.dense" of
/// "/encoder/layer.0/output/dense/MatMul". A list's member brings its list's name along: "model" goes before
/// "model.0".
std::string module_of(std::string_view path) {
  if (!path.starts_with('/')) return {};
  path = path.substr(0, path.rfind('/'));
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    if (!parts.empty() && part.starts_with(std::string(parts.back()) + ".")) parts.pop_back();
    parts.push_back(part);
    path.remove_prefix(part.size());
  }
  std::string module;
  for (const std::string_view part : parts) {
    if (!module.empty()) module += '.';
    module += part;
  }
  return module;
}

/// The module whose bias is added to what a node gives, through what dequantisation puts between; empty when
/// there is none.
std::string_view module_of_bias(const OnnxGraph& graph, const OnnxNode& node) {
  constexpr std::string_view kBias = ".bias";
  const auto module = [&](std::string_view value) -> std::string_view {
    const OnnxTensor* tensor = stored_tensor(graph, value);
    if (tensor == nullptr || is_made_up(tensor->name)) return {};
    const std::string_view name = without(tensor->name, kQuantised);
    return name.ends_with(kBias) ? without(name, kBias) : std::string_view();
  };
  if (node.op == "Gemm") return module(node.input(2));
  std::string_view value = node.outputs.empty() ? "" : node.outputs[0];
  for (int step = 0; step < kMaxSteps && !value.empty(); ++step) {
    std::string_view next, found;
    graph.for_each_consumer(value, [&](const OnnxNode& consumer) {
      if (consumer.op == "Add" && found.empty()) {
        found = module(consumer.input(consumer.input(0) == value ? 1 : 0));
      } else if ((consumer.op == "Cast" || consumer.op == "Mul" || consumer.op == "Identity") &&
                 !consumer.outputs.empty()) {
        next = consumer.outputs[0];
      }
    });
    if (!found.empty()) return found;
    value = next;
  }
  return {};
}

/// GPT-2's Conv1D modules hold [in, out], which Gemm reads as it is.
bool is_conv1d(std::string_view module) {
  const std::string_view part = last_part(module);
  return part.starts_with("c_") || part == "q_attn";
}

class Namer {
 public:
  Namer(const OnnxModel& model, OnnxSide side) : model_(model), side_(side) {}

  OnnxNames names() {
    for (const auto& graph : model_.graphs()) {
      for (const OnnxNode& node : graph->nodes) read_node(*graph, node);
    }
    for (const auto& graph : model_.graphs()) {
      for (const OnnxTensor& tensor : graph->tensors) add(*graph, tensor);
    }
    unwrap();
    return std::move(names_);
  }

 private:
  /// The first operator that reads a tensor as a weight.
  struct Use {
    const OnnxGraph* graph = nullptr;
    const OnnxNode* node = nullptr;
    const Operand* operand = nullptr;
    Found found;
  };

  void read_node(const OnnxGraph& graph, const OnnxNode& node) {
    if (node.domain == "com.microsoft" &&
        std::find(std::begin(kRefused), std::end(kRefused), node.op) != std::end(kRefused)) {
      fail(
          "{}: holds weights packed for {} of ONNX Runtime, which is not read here; get the export before "
          "that optimisation, in float32 or int8",
          model_.origin(), node.op);
    }
    if (node.op == "DequantizeLinear" || node.op == "QuantizeLinear") {
      helpers_.insert(node.input(1));
      helpers_.insert(node.input(2));
    }
    if (node.op == "DequantizeLinear") note_scales(graph, node);
    for (const Operand& operand : kOperands) {
      if (operand.op == node.op) note_use(graph, node, operand);
    }
  }

  /// An embedding's rows are looked up as integers and dequantised later: the scale belongs to the table.
  void note_scales(const OnnxGraph& graph, const OnnxNode& dequantise) {
    std::string_view value = dequantise.input(0);
    for (int step = 0; step < kMaxSteps; ++step) {
      if (const OnnxTensor* tensor = graph.tensor(value)) {
        scales_.emplace(tensor, &dequantise);
        return;
      }
      const OnnxNode* node = graph.producer(value);
      if (node == nullptr) return;
      if (node->op != "Gather" && node->op != "Transpose" && node->op != "Unsqueeze" && node->op != "Reshape")
        return;
      value = node->input(0);
    }
  }

  void note_use(const OnnxGraph& graph, const OnnxNode& node, const Operand& operand) {
    Found found = follow_back(graph, node.input(operand.input));
    if (found.tensor == nullptr || found.tensor->elements() <= 1) return;
    const auto name_at = [&](int place, std::string_view otherwise) {
      if (place < 0) return otherwise;
      helpers_.insert(node.input(static_cast<size_t>(place)));
      return node.input(static_cast<size_t>(place));
    };
    found.scale = name_at(operand.scale, found.scale);
    found.zero_point = name_at(operand.zero_point, found.zero_point);
    if (operand.layout == Layout::kVector && found.tensor->shape.size() != 1) return;
    // Constants inside the graph are no vectors of weights: scales, limits, masks.
    if ((operand.op == "Mul" || operand.op == "Add") && !found.tensor->name.starts_with("onnx::")) return;
    uses_.emplace(found.tensor, Use{&graph, &node, &operand, found});
  }

  void add(const OnnxGraph& graph, const OnnxTensor& tensor) {
    OnnxWeight weight;
    weight.tensor = &tensor;
    weight.graph = &graph;
    const auto place = uses_.find(&tensor);
    const Use* use = place == uses_.end() ? nullptr : &place->second;
    if (use == nullptr && helpers_.count(tensor.name) != 0) return;
    set_scales(use, weight);
    const std::string_view given = without(tensor.name, kQuantised);
    const std::string_view own = without(given, kTransposed);
    if (is_helper(graph, tensor.name)) return;
    const bool says_weight = own.ends_with("weight") || own.ends_with("bias");
    if (is_made_up(own) || (use == nullptr && own.find('.') == std::string_view::npos && !says_weight)) {
      if (use != nullptr) set_name(*use, weight);
    } else {
      weight.name = own;
      weight.transposed = own != given || (use != nullptr && is_turned_gemm(*use, own));
    }
    weight.transposed = weight.transposed && tensor.shape.size() == 2;
    if (!weight.name.empty()) {
      names_.weights.push_back(std::move(weight));
    } else if (tensor.elements() > kSmall) {
      names_.nameless.emplace_back(tensor.name);
    }
  }

  /// ONNX Runtime's quantiser makes MatMul of Gemm and turns the weights over; before 1.15 under their own
  /// name.
  static bool is_turned_gemm(const Use& use, std::string_view name) {
    return use.node->name.find("Gemm_MatMul") != std::string_view::npos && use.operand->kind == "weight" &&
           !use.found.turned && !is_conv1d(without(name, ".weight"));
  }

  /// Scales and zero points of the quantiser, which it calls after the weight.
  static bool is_helper(const OnnxGraph& graph, std::string_view name) {
    for (const std::string_view ending : {"_scale", "_zero_point"}) {
      if (name.ends_with(ending) &&
          graph.tensor(std::string(without(name, ending)) + std::string(kQuantised)) != nullptr)
        return true;
    }
    return false;
  }

  void set_scales(const Use* use, OnnxWeight& weight) const {
    constexpr int64_t kUint8 = 2, kInt8 = 3;
    if (weight.tensor->type != kUint8 && weight.tensor->type != kInt8) return;
    if (use != nullptr) {
      weight.scale = use->found.scale;
      weight.zero_point = use->found.zero_point;
      weight.axis = use->operand->layout == Layout::kAsIs ? 0 : use->found.axis;
    }
    if (const auto place = scales_.find(weight.tensor); place != scales_.end()) {
      weight.scale = place->second->input(1);
      weight.zero_point = place->second->input(2);
      weight.axis = place->second->integer("axis", 1);
    }
    if (!weight.scale.empty() || !weight.tensor->name.ends_with(kQuantised)) return;
    const std::string base(without(weight.tensor->name, kQuantised));
    const auto named = [&](const std::string& name) {
      const OnnxTensor* tensor = weight.graph->tensor(name);
      return tensor == nullptr ? std::string_view() : tensor->name;
    };
    weight.scale = named(base + "_scale");
    if (weight.zero_point.empty()) weight.zero_point = named(base + "_zero_point");
    if (weight.scale.empty()) {
      fail("{}: tensor {} has no scale {}_scale; export the model again", model_.origin(),
           weight.tensor->name, base);
    }
  }

  void set_name(const Use& use, OnnxWeight& weight) const {
    const std::string by_path = module_of(use.node->name);
    const std::string_view by_bias =
        use.operand->kind == "weight" ? module_of_bias(*use.graph, *use.node) : std::string_view();
    const bool bias_says = !by_bias.empty() && (by_path.empty() || last_part(by_path) == last_part(by_bias));
    const std::string module = bias_says ? std::string(by_bias) : by_path;
    if (module.empty()) return;
    weight.from_path = !bias_says;
    weight.name = module + "." + std::string(use.operand->kind);
    const Layout layout = use.operand->layout;
    const bool flag = layout == Layout::kByFlag && use.node->integer("transB", 0) != 0;
    const bool linear = layout == Layout::kInOut || layout == Layout::kByFlag;
    const bool stored_out_in = flag != use.found.turned;
    weight.transposed = linear ? !stored_out_in : use.found.turned;
    if (linear && is_conv1d(module)) weight.transposed = !weight.transposed;
  }

  /// Takes the modules off that wrap the whole model, and puts an encoder's own in front. A wrapper that is
  /// never called itself is in the names of parameters and not in the paths of nodes.
  void unwrap() {
    const auto any = [](const OnnxWeight&) { return true; };
    const auto own = [](const OnnxWeight& weight) { return !weight.from_path; };
    const std::string whole = wrapper_of(any), parameters = wrapper_of(own);
    const bool only_parameters =
        whole.empty() &&
        std::none_of(names_.weights.begin(), names_.weights.end(), [&](const OnnxWeight& weight) {
          return weight.from_path && weight.name.starts_with(parameters);
        });
    for (OnnxWeight& weight : names_.weights) {
      weight.name.erase(0, whole.size());
      if (only_parameters && own(weight)) weight.name.erase(0, parameters.size());
      if (side_ != OnnxSide::kEncoder) continue;
      const std::string_view first = std::string_view(weight.name).substr(0, weight.name.find('.'));
      if (first != "encoder" && first != "shared" && first != "model") weight.name.insert(0, "encoder.");
    }
  }

  /// The modules that all names of `counted` weights begin with, and behind which several modules lie.
  std::string wrapper_of(bool (*counted)(const OnnxWeight& weight)) const {
    constexpr std::string_view kParts[] = {"encoder", "decoder", "text_model", "vision_model",
                                           "language_model"};
    std::vector<std::string_view> names;
    for (const OnnxWeight& weight : names_.weights) {
      if (counted(weight)) names.push_back(weight.name);
    }
    if (names.empty()) return {};
    const std::string_view first = names[0];
    size_t length = 0;
    for (size_t dot = first.find('.'); dot != std::string::npos; dot = first.find('.', length)) {
      const std::string_view part = first.substr(length, dot - length), prefix = first.substr(0, dot + 1);
      const bool shared = std::all_of(names.begin(), names.end(),
                                      [&](std::string_view name) { return name.starts_with(prefix); });
      if (!shared || std::find(std::begin(kParts), std::end(kParts), part) != std::end(kParts)) break;
      length = dot + 1;
    }
    std::set<std::string_view> inside;
    for (std::string_view rest : names) {
      rest.remove_prefix(length);
      const size_t dot = rest.find('.');
      // The members of a list, or the tensors of one module, are no model of their own.
      if (dot == std::string_view::npos || all_digits(rest.substr(0, dot))) return {};
      inside.insert(rest.substr(0, dot));
    }
    return inside.size() < 2 ? std::string() : std::string(first.substr(0, length));
  }

  const OnnxModel& model_;
  OnnxSide side_;
  std::unordered_map<const OnnxTensor*, Use> uses_;
  std::unordered_map<const OnnxTensor*, const OnnxNode*> scales_;
  std::unordered_set<std::string_view> helpers_;  ///< names of scales and zero points
  OnnxNames names_;
};

}  // namespace

std::vector<int64_t> OnnxWeight::shape() const {
  std::vector<int64_t> shape = tensor->shape;
  if (transposed) std::reverse(shape.begin(), shape.end());
  return shape;
}

const OnnxTensor* stored_tensor(const OnnxGraph& graph, std::string_view value) {
  return follow_back(graph, value).tensor;
}

OnnxNames name_weights(const OnnxModel& model, OnnxSide side) {
  return Namer(model, side).names();
}

}  // namespace wattle::inline file
