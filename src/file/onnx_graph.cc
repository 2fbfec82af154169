#include "file/onnx_graph.h"

#include <algorithm>
#include <bit>

#include <wattle/error.h>

#include "base/utf8.h"
#include "file/protobuf.h"
#include "file/readers.h"

namespace wattle::inline file {
namespace {

constexpr std::string_view kWhat = "ONNX model";
constexpr int kMaxDepth = 16;  // of graphs in graphs; exporters nest two
constexpr size_t kMaxParts =
    1'000'000;  // nodes, tensors and their names together: a few bytes each in a file
constexpr size_t kMaxDimensions = 16;

/// A repeated number: packed into one field, or one field for each.
void add_numbers(const ProtoField& field, const std::string& origin, std::vector<int64_t>& numbers) {
  if (field.wire == ProtoField::kVarint) return numbers.push_back(static_cast<int64_t>(field.value));
  for (ByteReader reader(field.bytes, origin); reader.remaining() > 0;) {
    numbers.push_back(static_cast<int64_t>(read_varint(reader)));
  }
}

}  // namespace

int64_t OnnxTensor::elements() const {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

const OnnxAttribute* OnnxNode::find(std::string_view attribute) const {
  const auto place = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const OnnxAttribute& known) { return known.name == attribute; });
  return place == attributes.end() ? nullptr : &*place;
}

int64_t OnnxNode::integer(std::string_view attribute, int64_t otherwise) const {
  const OnnxAttribute* found = find(attribute);
  return found == nullptr ? otherwise : found->integer.value_or(otherwise);
}

const OnnxTensor* OnnxGraph::tensor(std::string_view name) const {
  for (const OnnxGraph* graph = this; graph != nullptr; graph = graph->parent) {
    const auto place = graph->tensor_named.find(name);
    if (place != graph->tensor_named.end()) return &graph->tensors[place->second];
    if (graph->producer_of.count(name) != 0) return nullptr;
  }
  return nullptr;
}

const OnnxNode* OnnxGraph::producer(std::string_view name) const {
  for (const OnnxGraph* graph = this; graph != nullptr && !name.empty(); graph = graph->parent) {
    const auto place = graph->producer_of.find(name);
    if (place != graph->producer_of.end()) return &graph->nodes[place->second];
  }
  return nullptr;
}

bool is_onnx(std::span<const std::byte> bytes) {
  constexpr auto kIrVersion = std::byte{0x08};  // field 1, a varint
  constexpr auto kMostVersions = std::byte{64};
  constexpr uint8_t kFollowing[] = {0x12, 0x1a, 0x22, 0x28,
                                    0x32, 0x3a, 0x42};  // producer, ..., graph, opsets
  return bytes.size() > 2 && bytes[0] == kIrVersion && bytes[1] > std::byte{0} && bytes[1] < kMostVersions &&
         std::find(std::begin(kFollowing), std::end(kFollowing), std::to_integer<uint8_t>(bytes[2])) !=
             std::end(kFollowing);
}

OnnxModel::OnnxModel(std::span<const std::byte> bytes, std::string origin) : origin_(std::move(origin)) {
  constexpr uint64_t kGraph = 7;
  for_each_proto_field(bytes, origin_, kWhat, [&](const ProtoField& field) {
    if (field.number == kGraph && field.wire == ProtoField::kBytes) read_graph(field.bytes, nullptr, 0);
  });
  if (graphs_.empty())
    fail("{}: holds no graph; it is no ONNX model, or one that is cut: get it again", origin_);
  for (const auto& graph : graphs_) link(*graph);
}

std::string_view OnnxModel::name_of(std::string_view text) const {
  const bool printable =
      std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (!printable || !is_utf8(text))
    fail("{}: holds a name that is no text; the file is corrupt, get it again", origin_);
  return text;
}

void OnnxModel::read_graph(std::span<const std::byte> message, const OnnxGraph* parent, int depth) {
  constexpr uint64_t kNode = 1, kInitializer = 5, kSparse = 15;
  if (depth > kMaxDepth) {
    fail("{}: nests graphs {} deep, which no exporter does; the file is corrupt, get it again", origin_,
         depth);
  }
  graphs_.push_back(std::make_unique<OnnxGraph>());
  OnnxGraph& graph = *graphs_.back();
  graph.parent = parent;
  for_each_proto_field(message, origin_, kWhat, [&](const ProtoField& field) {
    if (field.wire != ProtoField::kBytes) return;
    if (field.number == kNode) read_node(field.bytes, graph, depth);
    if (field.number == kInitializer) graph.tensors.push_back(read_tensor(field.bytes));
    if (field.number == kSparse)
      fail("{}: holds sparse tensors, which are not read here; export the model again without pruning",
           origin_);
  });
}

void OnnxModel::read_node(std::span<const std::byte> message, OnnxGraph& graph, int depth) {
  OnnxNode node;
  std::vector<std::span<const std::byte>> attributes;
  for_each_proto_field(message, origin_, kWhat, [&](const ProtoField& field) {
    if (field.wire != ProtoField::kBytes) return;
    if (++parts_ > kMaxParts)
      fail("{}: has more than {} nodes and names, which no model has; get the file again", origin_,
           kMaxParts);
    if (field.number == 1) node.inputs.push_back(field.text());
    if (field.number == 2) node.outputs.push_back(name_of(field.text()));
    if (field.number == 3) node.name = name_of(field.text());
    if (field.number == 4) node.op = name_of(field.text());
    if (field.number == 7) node.domain = field.text();
    if (field.number == 5) attributes.push_back(field.bytes);
  });
  for (const auto attribute : attributes)
    node.attributes.push_back(read_attribute(attribute, node, graph, depth));
  graph.nodes.push_back(std::move(node));
}

OnnxAttribute OnnxModel::read_attribute(std::span<const std::byte> message, const OnnxNode& node,
                                        OnnxGraph& graph, int depth) {
  constexpr uint64_t kName = 1, kFloat = 2, kInteger = 3, kText = 4, kTensor = 5, kGraph = 6, kIntegers = 8,
                     kGraphs = 11;
  OnnxAttribute attribute;
  for_each_proto_field(message, origin_, kWhat, [&](const ProtoField& field) {
    switch (field.number) {
      case kName:
        attribute.name = field.text();
        break;
      case kFloat:
        attribute.number = std::bit_cast<float>(static_cast<uint32_t>(field.value));
        break;
      case kInteger:
        attribute.integer = static_cast<int64_t>(field.value);
        break;
      case kText:
        attribute.text = field.text();
        break;
      case kIntegers:
        add_numbers(field, origin_, attribute.integers);
        break;
      case kTensor:
        if (node.op == "Constant" && node.outputs.size() == 1) {
          graph.tensors.push_back(read_tensor(field.bytes));
          graph.tensors.back().name = node.outputs[0];
        }
        break;
      case kGraph:
      case kGraphs:
        read_graph(field.bytes, &graph, depth + 1);
        break;
      default:
        break;
    }
  });
  return attribute;
}

OnnxTensor OnnxModel::read_tensor(std::span<const std::byte> message) {
  constexpr uint64_t kShape = 1, kType = 2, kName = 8;
  OnnxTensor tensor;
  tensor.message = message;
  for_each_proto_field(message, origin_, kWhat, [&](const ProtoField& field) {
    if (field.number == kShape) add_numbers(field, origin_, tensor.shape);
    if (field.number == kType) tensor.type = static_cast<int64_t>(field.value);
    if (field.number == kName) tensor.name = name_of(field.text());
  });
  if (tensor.shape.size() > kMaxDimensions || ++parts_ > kMaxParts) {
    fail("{}: tensor {} has {} dimensions, which is not possible; the file is corrupt, get it again", origin_,
         tensor.name, tensor.shape.size());
  }
  checked_elements(tensor.shape, origin_, tensor.name);
  return tensor;
}

/// Fills the maps of names, and refuses nodes that wait for each other: taken away one by one as soon as
/// nothing of this graph is missing to them, all must go (Kahn, 1962).
void OnnxModel::link(OnnxGraph& graph) const {
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    if (!graph.tensor_named.emplace(graph.tensors[i].name, i).second)
      fail("{}: tensor {} is there twice; the file is corrupt, get it again", origin_, graph.tensors[i].name);
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string_view input : graph.nodes[i].inputs) {
      if (!input.empty()) graph.consumers_of[input].push_back(i);
    }
    for (const std::string_view output : graph.nodes[i].outputs) {
      if (output.empty()) continue;
      if (!graph.producer_of.emplace(output, i).second)
        fail("{}: two nodes give {}; the file is corrupt, get it again", origin_, output);
    }
  }
  std::vector<size_t> missing(graph.nodes.size(), 0);
  std::vector<size_t> ready;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string_view input : graph.nodes[i].inputs) missing[i] += graph.producer_of.count(input);
    if (missing[i] == 0) ready.push_back(i);
  }
  size_t done = 0;
  for (; !ready.empty(); ++done) {
    const size_t node = ready.back();
    ready.pop_back();
    for (const std::string_view output : graph.nodes[node].outputs) {
      const auto place = graph.consumers_of.find(output);
      if (place == graph.consumers_of.end()) continue;
      for (const size_t next : place->second) {
        if (--missing[next] == 0) ready.push_back(next);
      }
    }
  }
  if (done == graph.nodes.size()) return;
  const auto waiting = std::find_if(missing.begin(), missing.end(), [](size_t count) { return count > 0; });
  fail("{}: the nodes of the graph go in a circle through {}; the file is corrupt, get it again", origin_,
       graph.nodes[static_cast<size_t>(waiting - missing.begin())].name);
}

}  // namespace wattle::inline file
