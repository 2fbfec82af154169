#include "models/shapes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <random>

#include <fmt/ranges.h>
#include <wattle/error.h>
#include <yaml-cpp/yaml.h>
#include <nlohmann/json.hpp>

#include "families/family.h"
#include "families/heads.h"
#include "families/open_file.h"
#include "kernels/elementary.h"
#include "models/convert.h"

namespace wattle::inline models {

std::string_view embedded_shapes_yaml();

namespace {

constexpr std::string_view kPrefix = "shape:";
constexpr size_t kPoolBlocks = 1024;
constexpr float kStandardDeviation = 0.02f;  // what the families' training starts from

// A node of YAML, whose scalars have no types, as JSON: numbers, true and false where they read as such.
nlohmann::json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    nlohmann::json object = nlohmann::json::object();
    for (const auto& entry : node) object[entry.first.as<std::string>()] = to_json(entry.second);
    return object;
  }
  if (node.IsSequence()) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& entry : node) list.push_back(to_json(entry));
    return list;
  }
  int64_t integer = 0;
  if (YAML::convert<int64_t>::decode(node, integer)) return integer;
  double number = 0;
  if (YAML::convert<double>::decode(node, number)) return number;
  bool flag = false;
  if (YAML::convert<bool>::decode(node, flag)) return flag;
  return node.as<std::string>();
}

/// The parts of "shape:NAME+HEAD=LABELS@PRECISION".
struct ShapeName {
  std::string name, head;
  std::vector<std::string> labels;
};

std::vector<std::string> labels_in(const std::string& text, const std::string& model) {
  std::vector<std::string> labels;
  const bool number = text.find_first_not_of("0123456789") == std::string::npos;
  if (number && (text.size() > 4 || std::stoi("0" + text) < 1))
    fail("{}: a head has 1 to 9999 labels, not \"{}\"", model, text);
  for (int i = 0; number && i < std::stoi(text); ++i) labels.push_back(fmt::format("LABEL_{}", i));
  for (size_t begin = 0; !number && begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    labels.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (std::ranges::count(labels, "") > 0)
    fail("{}: a label is empty; write for example +token=O,B-PER", model);
  return labels;
}

ShapeName shape_name(const std::string& model) {
  const std::string shape = model.substr(kPrefix.size(), model.find('@') - kPrefix.size());
  const size_t plus = shape.find('+');
  ShapeName parts{shape.substr(0, plus), {}, {}};
  if (plus == std::string::npos) return parts;
  const size_t equals = shape.find('=', plus);
  parts.head = shape.substr(plus + 1, equals == std::string::npos ? equals : equals - plus - 1);
  const bool of_labels = parts.head == "sequence" || parts.head == "token";
  if (of_labels != (equals != std::string::npos) ||
      (!of_labels && parts.head != "span" && parts.head != "masked")) {
    fail(
        "{}: what stands after + is no head; write +sequence=LABELS, +token=LABELS (a number, or names with "
        "commas), "
        "+span or +masked",
        model);
  }
  if (of_labels) parts.labels = labels_in(shape.substr(equals + 1), model);
  return parts;
}

/// The configuration as that of a model with the head would be published.
void add_head(nlohmann::json& config, const ShapeName& shape) {
  if (shape.head.empty()) return;
  config["architectures"] = {shape.head == "sequence" ? "ShapeForSequenceClassification"
                             : shape.head == "token"  ? "ShapeForTokenClassification"
                             : shape.head == "span"   ? "ShapeForQuestionAnswering"
                                                      : "ShapeForMaskedLM"};
  for (size_t i = 0; i < shape.labels.size(); ++i) config["id2label"][std::to_string(i)] = shape.labels[i];
}

int64_t pooling_type(const std::string& name) {
  return name == "mean" ? 1 : name == "cls" ? 2 : 0;
}

const YAML::Node& catalogue() {
  static const YAML::Node node = YAML::Load(std::string(embedded_shapes_yaml()));
  return node;
}

// The entry that has the name, or says under `also` that it serves for it; null where none does.
YAML::Node entry_of(const std::string& name) {
  if (const YAML::Node own = catalogue()[name]) return own;
  for (const auto& entry : catalogue()) {
    for (const auto& other : entry.second["also"]) {
      if (other.as<std::string>() == name) return entry.second;
    }
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

// FNV-1a: the seed of a tensor is its name's hash, the same on every machine.
uint64_t hash(std::string_view text) {
  uint64_t value = 0xcbf29ce484222325u;
  for (const char letter : text) value = (value ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
  return value;
}

// Encoded blocks of normally distributed values. Encoding every weight would take minutes for a K-quant; the
// products take the same time whichever blocks they read.
const std::vector<std::byte>& pool(Format format) {
  static std::mutex mutex;
  static std::map<Format, std::vector<std::byte>> pools;
  const std::lock_guard lock(mutex);
  std::vector<std::byte>& blocks = pools[format];
  if (!blocks.empty()) return blocks;
  const FormatInfo& layout = info(format);
  std::mt19937_64 random(hash("pool"));
  std::vector<float> values(kPoolBlocks * layout.block_weights);
  for (size_t i = 0; i < values.size(); i += 2) {
    // Box-Muller by hand: the standard library's normal_distribution differs between implementations.
    const double u = (static_cast<double>(random() >> 11) + 1) * 0x1p-53,
                 v = static_cast<double>(random() >> 11) * 0x1p-53;
    const double radius = kStandardDeviation * std::sqrt(-2 * natural_logarithm(u));
    const SineCosine at = sine_cosine(2 * 3.14159265358979323846 * v);
    values[i] = static_cast<float>(radius * at.cosine);
    values[i + 1] = static_cast<float>(radius * at.sine);
  }
  blocks.resize(kPoolBlocks * layout.block_bytes);
  layout.encode(values, {}, blocks);
  return blocks;
}

}  // namespace

bool is_shape(std::string_view model) {
  return model.starts_with(kPrefix);
}

Precision shape_precision(std::string_view model) {
  const size_t at = model.find('@');
  return at == std::string_view::npos ? Precision() : Precision::parse(model.substr(at + 1));
}

std::string shape_at(std::string_view model, const Precision& precision) {
  const Precision weights = precision.of_weights();
  const std::string_view shape = model.substr(0, model.find('@'));
  return weights.changes_weights() ? fmt::format("{}@{}", shape, weights.name()) : std::string(shape);
}

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const auto& entry : catalogue()) names.push_back(entry.first.as<std::string>());
  return names;
}

ModelFile shape_file(const std::string& model) {
  const ShapeName shape = shape_name(model);
  const std::string& name = shape.name;
  const YAML::Node node = entry_of(name);
  if (!node) fail("{}: no such shape; known are {}", model, fmt::join(shape_names(), ", "));
  nlohmann::json config = to_json(node["config"]);
  add_head(config, shape);
  ModelFile::Contents contents = contents_of_config(config, model);
  if (!shape.head.empty() && !head_of(contents.metadata))
    fail("{}: models of the architecture {} have no such head; leave +{} out", model,
         contents.metadata.need_text("general.architecture"), shape.head);
  Metadata& metadata = contents.metadata;
  const std::string architecture = metadata.need_text("general.architecture");
  const bool causal = metadata.flag(architecture + ".attention.causal").value_or(true);
  const Precision published(causal ? Format::kBF16 : Format::kF32), precision = shape_precision(model);
  const Description description = describe(metadata);
  for (Tensor& tensor : contents.tensors) {
    tensor.format = format_for(tensor, description, published).format;
    tensor.format = format_for(tensor, description, precision).format;
  }
  unused_roles(precision, contents.tensors, description, model);
  metadata.set("general.name", Value::of(name));
  metadata.set("wattle.shape.source", Value::of(node["source"].as<std::string>()));
  metadata.set("wattle.shape.tokenizer", Value::of(node["tokenizer"].as<std::string>()));
  if (node["pooling"])
    metadata.set(architecture + ".pooling_type", Value::of(pooling_type(node["pooling"].as<std::string>())));
  return ModelFile(std::move(contents));
}

std::vector<std::byte> shape_bytes(const Tensor& tensor) {
  const FormatInfo& layout = info(tensor.format);
  const size_t row = row_bytes(tensor.format, static_cast<size_t>(tensor.row_length()));
  std::vector<std::byte> bytes(row * static_cast<size_t>(tensor.rows()));
  if (!tensor.bytes.empty())
    return {tensor.bytes.begin(), tensor.bytes.end()};  // what the configuration itself says
  if (tensor.name.ends_with("norm.weight")) {
    const std::vector<float> ones(static_cast<size_t>(tensor.elements()), 1.0f);
    layout.encode(ones, {}, bytes);
    return bytes;
  }
  // Runs of at least 64 weights: single floats would take a draw each.
  const std::vector<std::byte>& blocks = pool(tensor.format);
  const size_t run = layout.block_bytes * (layout.block_weights >= 64 ? 1 : 64 / layout.block_weights);
  std::mt19937_64 random(hash(tensor.name));
  for (size_t i = 0; i < bytes.size(); i += run) {
    const size_t from = random() % (blocks.size() / run) * run;
    std::memcpy(bytes.data() + i, blocks.data() + from, std::min(run, bytes.size() - i));
  }
  return bytes;
}

}  // namespace wattle::inline models
