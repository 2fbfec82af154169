#include <algorithm>
#include <cmath>
#include <cstring>

#include "families/deberta.h"

namespace wattle::inline families {
namespace {

/// Buckets of distances on either side, or 0: each distance has its own.
int64_t buckets(const Hyperparameters& hyper) {
  return hyper.count_or("attention.relative_buckets_count", 0, 0, 1 << 20);
}
/// Rows of the relative positions on either side.
int64_t side(const Hyperparameters& hyper) {
  return buckets(hyper) > 0 ? buckets(hyper) : deberta_distances(hyper);
}
bool shares_projections(const Hyperparameters& hyper) {
  return hyper.flag_or("attention.shared_position_projections", false);
}
int64_t kernel(const Hyperparameters& hyper) {
  return hyper.count_or("convolution.kernel_size", 0, 0, 1023);
}

void read_relative_positions(ConfigReader& config) {
  const int64_t buckets = config.integer_of("position_buckets", -1);
  config.set("attention.relative_buckets_count", Value::of(std::max<int64_t>(0, buckets)));
  config.flag("share_att_key", "attention.shared_position_projections", false);
  const std::string norm = config.word_of("norm_rel_ebd", "none");
  if (norm != "none" && norm != "layer_norm")
    fail("{}: norm_rel_ebd is {}; known are none and layer_norm: use another model", config.origin(), norm);
  config.set("attention.relative_norm", Value::of(norm == "layer_norm"));
}

void read_config(ConfigReader& config) {
  if (read_deberta_config(config)) read_relative_positions(config);
  const int64_t heads = config.integer_of("num_attention_heads", 0);
  if (heads > 0) config.expect("attention_head_size", config.integer_of("hidden_size", 0) / heads);
  const int64_t kernel = config.integer("conv_kernel_size", "convolution.kernel_size", 0);
  if (kernel == 0) {
    config.ignore({"conv_act", "conv_groups"});
    return;
  }
  if (kernel % 2 == 0)
    fail("{}: conv_kernel_size is {}; only odd ones keep a text's length: use another model", config.origin(),
         kernel);
  (void)activation_from_name(config.word("conv_act", "convolution.activation", "tanh"), config.origin());
  config.integer("conv_groups", "convolution.group_count", 1);
}

/// Convolution [outputs, inputs / groups, kernel] -> [outputs, kernel * inputs]: what a product over gathered
/// tokens reads, with zeros for the inputs of other groups.
Change gather_groups(int64_t inputs, int64_t kernel, int64_t groups) {
  return [=](Tensor& tensor, std::vector<std::byte>& owned) {
    const int64_t own = groups > 0 ? inputs / groups : 0;
    const std::vector<int64_t> shape = {inputs, own, kernel};
    if (own * groups != inputs || tensor.shape != shape || info(tensor.format).block_weights != 1) {
      fail("tensor {}: is no convolution of {} features by {} tokens in {} groups; get the model again",
           tensor.name, inputs, kernel, groups);
    }
    const size_t size = info(tensor.format).block_bytes;
    owned.assign(static_cast<size_t>(inputs * kernel * inputs) * size, std::byte{});
    for (int64_t out = 0; out < inputs; ++out) {
      const int64_t first = out / own * own;  // as many outputs a group as inputs
      for (int64_t in = 0; in < own; ++in) {
        for (int64_t tap = 0; tap < kernel; ++tap) {
          const auto to = static_cast<size_t>((out * kernel + tap) * inputs + first + in);
          const auto from = static_cast<size_t>((out * own + in) * kernel + tap);
          std::memcpy(owned.data() + to * size, tensor.bytes.data() + from * size, size);
        }
      }
    }
    tensor.shape = {inputs, kernel * inputs};
  };
}

void describe(const Hyperparameters& hyper, Description& d) {
  const int64_t width = hyper.width();
  const PositionTerms terms(hyper);
  describe_deberta_embeddings(hyper, d, side(hyper));
  if (terms && hyper.flag_or("attention.relative_norm", false)) {
    d.norm("relative_position_embd_norm", "encoder.LayerNorm", width, true);
  } else {
    d.left_out({"encoder.LayerNorm."});
  }
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("encoder.layer.{}.", layer));
    const auto linear = [&](std::string_view name, std::string_view source) {
      d.linear({.name = name, .source = source, .outputs = width, .inputs = width});
    };
    linear("attn_q", "attention.self.query_proj");
    linear("attn_k", "attention.self.key_proj");
    linear("attn_v", "attention.self.value_proj");
    if (terms.content_to_position && !shares_projections(hyper))
      linear("attn_pos_k", "attention.self.pos_key_proj");
    if (terms.position_to_content && !shares_projections(hyper))
      linear("attn_pos_q", "attention.self.pos_query_proj");
    describe_bert_outputs(hyper, d);
    if (layer > 0 || kernel(hyper) == 0) continue;
    d.begin("", "encoder.");
    d.linear({.name = "conv",
              .source = "conv.conv",
              .outputs = width,
              .inputs = kernel(hyper) * width,
              .change =
                  gather_groups(width, kernel(hyper), hyper.count_or("convolution.group_count", 1, 1, width)),
              .role = Role::kConvolution});
    d.norm("conv_norm", "conv.LayerNorm", width, true);
  }
  describe_deberta_heads(hyper, d);
}

/// Near distances have rows of their own; from half of the buckets on they grow with the logarithm, up to
/// `furthest`.
int64_t bucket_of(int64_t distance, int64_t buckets, int64_t furthest) {
  const int64_t middle = buckets / 2, magnitude = std::abs(distance);
  if (buckets == 0 || magnitude <= middle) return distance;
  const auto share = [&](int64_t value) {
    return std::log(static_cast<float>(value) / static_cast<float>(middle));
  };
  const float steps = std::ceil(share(magnitude) / share(furthest - 1) * static_cast<float>(middle - 1));
  return (distance < 0 ? -1 : 1) * (middle + static_cast<int64_t>(steps));
}

std::shared_ptr<const DistanceRows> distance_rows(const Hyperparameters& hyper, int64_t reach) {
  const int64_t furthest = deberta_distances(hyper), rows = side(hyper);
  if (buckets(hyper) == 1 || (buckets(hyper) > 1 && furthest <= buckets(hyper) / 2 + 1)) {
    fail("{}: {} buckets of positions do not reach over {} distances; the file is damaged, get it again",
         hyper.origin(), buckets(hyper), furthest);
  }
  auto all = std::make_shared<DistanceRows>();
  all->reach = reach;
  for (int64_t distance = 1 - reach; distance < reach; ++distance) {
    const int64_t row = bucket_of(distance, buckets(hyper), furthest) + rows;
    all->rows.push_back(static_cast<int32_t>(std::clamp<int64_t>(row, 0, 2 * rows - 1)));
  }
  return all;
}

/// DeBERTa v2 (He et al. 2021), v3 (He, Gao and Chen 2021), mDeBERTa: relative positions in buckets,
/// normalised and mostly multiplied by the matrices of queries and keys themselves; the large v2 have a
/// convolution after the first layer.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions&) {
  EncoderPlan plan = deberta_plan(hyper);
  plan.convolution_kernel = kernel(hyper);
  plan.convolution_function =
      activation_from_name(hyper.word_or("convolution.activation", "tanh"), hyper.origin());
  if (PositionTerms(hyper)) {
    Matrix positions = weights.values("relative_position_embd.weight", 2 * side(hyper), hyper.width());
    const Norm norm = Norm::where_there(weights, "relative_position_embd_norm", hyper.width(),
                                        NormKind::kLayer, hyper.epsilon());
    Work work;
    if (norm) norm(positions.view(), positions.view(), work);
    const std::string prefix = shares_projections(hyper) ? "attn_" : "attn_pos_";
    add_disentangled_bias(weights, hyper, distance_rows(hyper, plan.max_tokens), positions.view(),
                          prefix + "k", prefix + "q", plan);
  }
  return std::make_unique<TextEncoder>(weights, std::move(plan), deberta_head(hyper));
}

constexpr std::string_view kTypes[] = {"deberta-v2"};

}  // namespace

const Family& deberta_v2_family() {
  static constexpr Family kFamily{"deberta-v2", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
