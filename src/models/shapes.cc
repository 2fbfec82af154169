#include "models/shapes.h"

#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <random>

#include <fmt/ranges.h>
#include <wattle/error.h>
#include <yaml-cpp/yaml.h>

#include "models/convert.h"

namespace wattle {

std::string_view embedded_shapes_yaml();

namespace {

constexpr std::string_view kPrefix = "shape:";
constexpr int64_t kRelativeBuckets = 32;  // of mpnet
constexpr int64_t kTokenTypes = 2;        // of bert
constexpr size_t kPoolBlocks = 1024;
constexpr float kStandardDeviation = 0.02f;  // what the families' training starts from

// One configuration of shapes.yaml, while its tensors are listed.
struct Shape {
  std::string name, family;
  YAML::Node node;
  Precision precision, published;
  ModelFile::Contents contents;

  int64_t number(const char* key) const { return node[key].as<int64_t>(); }
  int64_t number_or(const char* key, int64_t fallback) const { return node[key].as<int64_t>(fallback); }
  void set(const std::string& key, Value value) {
    contents.metadata.set(family + "." + key, std::move(value));
  }
  void add(std::string tensor_name, std::vector<int64_t> dimensions) {
    Tensor tensor{std::move(tensor_name), Format::kF32, std::move(dimensions), {}};
    tensor.format = format_for(tensor, published).format;
    tensor.format = format_for(tensor, precision).format;
    contents.tensors.push_back(std::move(tensor));
  }
  void add_linear(const std::string& tensor_name, int64_t outputs, int64_t inputs, bool bias) {
    add(tensor_name + ".weight", {outputs, inputs});
    if (bias) add(tensor_name + ".bias", {outputs});
  }
  void add_norm(const std::string& tensor_name, int64_t size, bool bias) {
    add(tensor_name + ".weight", {size});
    if (bias) add(tensor_name + ".bias", {size});
  }
};

void list_encoder(Shape& shape) {
  const int64_t width = shape.number("width"), inner = shape.number("inner");
  const bool mpnet = shape.family == "mpnet";
  shape.set("attention.layer_norm_epsilon", Value::of(mpnet ? 1e-5 : 1e-12));
  const std::string pooling = shape.node["pooling"].as<std::string>("none");
  shape.set("pooling_type", Value::of(int64_t{pooling == "mean" ? 1 : pooling == "cls" ? 2 : 0}));
  shape.add("token_embd.weight", {shape.number("vocabulary"), width});
  shape.add("position_embd.weight", {shape.number("context") + (mpnet ? 2 : 0), width});
  if (mpnet) {
    shape.set("attention.relative_buckets_count", Value::of(kRelativeBuckets));
    shape.add("attn_rel_b.weight", {kRelativeBuckets, shape.number("heads")});
  } else {
    shape.add("token_types.weight", {kTokenTypes, width});
  }
  shape.add_norm("token_embd_norm", width, true);
  for (int64_t layer = 0; layer < shape.number("layers"); ++layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
      shape.add_linear(prefix + part, width, width, true);
    }
    shape.add_norm(prefix + "attn_output_norm", width, true);
    shape.add_linear(prefix + "ffn_up", inner, width, true);
    shape.add_linear(prefix + "ffn_down", width, inner, true);
    shape.add_norm(prefix + "layer_output_norm", width, true);
  }
}

void list_decoder(Shape& shape) {
  const int64_t width = shape.number("width"), inner = shape.number("inner"), heads = shape.number("heads");
  const int64_t head_dim = shape.number_or("head_dim", width / heads);
  const int64_t kv_width = shape.number_or("kv_heads", heads) * head_dim;
  const bool gemma = shape.family == "gemma3", biased = shape.family == "qwen2";
  shape.set("attention.layer_norm_rms_epsilon", Value::of(shape.node["epsilon"].as<double>()));
  shape.set("attention.head_count_kv", Value::of(shape.number_or("kv_heads", heads)));
  shape.set("attention.key_length", Value::of(head_dim));
  shape.set("attention.value_length", Value::of(head_dim));
  shape.set("rope.freq_base", Value::of(shape.node["rope"].as<double>()));
  if (shape.node["rope_factor"]) {
    shape.set("rope.scaling.type", Value::of(std::string("linear")));
    shape.set("rope.scaling.factor", Value::of(shape.node["rope_factor"].as<double>()));
  }
  if (gemma) shape.set("attention.sliding_window", Value::of(shape.number("window")));
  shape.add("token_embd.weight", {shape.number("vocabulary"), width});
  shape.add_norm("output_norm", width, false);
  if (!shape.node["tied"].as<bool>(false)) shape.add("output.weight", {shape.number("vocabulary"), width});
  for (int64_t layer = 0; layer < shape.number("layers"); ++layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    shape.add_norm(prefix + "attn_norm", width, false);
    shape.add_linear(prefix + "attn_q", heads * head_dim, width, biased);
    shape.add_linear(prefix + "attn_k", kv_width, width, biased);
    shape.add_linear(prefix + "attn_v", kv_width, width, biased);
    shape.add_linear(prefix + "attn_output", width, heads * head_dim, false);
    shape.add_norm(prefix + "ffn_norm", width, false);
    shape.add_linear(prefix + "ffn_gate", inner, width, false);
    shape.add_linear(prefix + "ffn_up", inner, width, false);
    shape.add_linear(prefix + "ffn_down", width, inner, false);
    if (!gemma) continue;
    shape.add_norm(prefix + "attn_q_norm", head_dim, false);
    shape.add_norm(prefix + "attn_k_norm", head_dim, false);
    shape.add_norm(prefix + "post_attention_norm", width, false);
    shape.add_norm(prefix + "post_ffw_norm", width, false);
  }
}

const YAML::Node& catalogue() {
  static const YAML::Node node = YAML::Load(std::string(embedded_shapes_yaml()));
  return node;
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
    const double radius = kStandardDeviation * std::sqrt(-2 * std::log(u)),
                 angle = 2 * 3.14159265358979323846 * v;
    values[i] = static_cast<float>(radius * std::cos(angle));
    values[i + 1] = static_cast<float>(radius * std::sin(angle));
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
  const std::string rest = model.substr(kPrefix.size());
  Shape shape;
  shape.name = rest.substr(0, rest.find('@'));
  const YAML::Node node = catalogue()[shape.name];
  if (!node) fail("{}: no such shape; known are {}", model, fmt::join(shape_names(), ", "));
  shape.node = node;
  shape.family = node["family"].as<std::string>();
  const bool encoder = shape.family == "bert" || shape.family == "mpnet";
  shape.published = encoder ? Format::kF32 : Format::kBF16;
  shape.precision = shape_precision(model);
  shape.contents.path = model;
  shape.contents.kind = "shape";
  shape.contents.metadata = Metadata(model);
  Metadata& metadata = shape.contents.metadata;
  metadata.set("general.architecture", Value::of(shape.family));
  metadata.set("general.name", Value::of(shape.name));
  metadata.set("wattle.shape.source", Value::of(node["source"].as<std::string>()));
  metadata.set("wattle.shape.tokenizer", Value::of(node["tokenizer"].as<std::string>()));
  shape.set("block_count", Value::of(shape.number("layers")));
  shape.set("embedding_length", Value::of(shape.number("width")));
  shape.set("feed_forward_length", Value::of(shape.number("inner")));
  shape.set("attention.head_count", Value::of(shape.number("heads")));
  shape.set("context_length", Value::of(shape.number("context")));
  encoder ? list_encoder(shape) : list_decoder(shape);
  unused_roles(shape.precision, shape.contents.tensors, model);
  return ModelFile(std::move(shape.contents));
}

std::vector<std::byte> shape_bytes(const Tensor& tensor) {
  const FormatInfo& layout = info(tensor.format);
  const size_t row = row_bytes(tensor.format, static_cast<size_t>(tensor.row_length()));
  std::vector<std::byte> bytes(row * static_cast<size_t>(tensor.rows()));
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

}  // namespace wattle
