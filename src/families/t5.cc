#include <cmath>

#include "families/family.h"
#include "families/text_translator.h"

namespace wattle::inline families {
namespace {

constexpr int64_t kReach =
    4096;  // tokens that biases by distance are made for; the architecture has no limit

int64_t decoder_layers(const Hyperparameters& hyper) {
  return hyper.count_or("decoder_block_count", hyper.layers(), 0, 1024);
}

void read_config(ConfigReader& config) {
  const nlohmann::json* names = config.json().find("architectures");
  const bool encoder_alone = names != nullptr && names->is_array() && !names->empty() &&
                             names->front().is_string() &&
                             names->front().get<std::string>().ends_with("EncoderModel");
  const int64_t layers = config.integer("num_layers", "block_count");
  const int64_t decoder_layers = config.integer_of("num_decoder_layers", layers);
  config.set("decoder_block_count", Value::of(encoder_alone ? 0 : decoder_layers));
  config.integer("d_model", "embedding_length");
  config.integer("d_ff", "feed_forward_length");
  config.integer("num_heads", "attention.head_count");
  const int64_t head_dim = config.integer("d_kv", "attention.key_length", 64);
  config.set("attention.value_length", Value::of(head_dim));
  config.integer_if_there("vocab_size", "vocab_size");
  config.integer("n_positions", "context_length", 512);
  config.integer("relative_attention_num_buckets", "attention.relative_buckets_count", 32);
  config.integer("relative_attention_max_distance", "attention.relative_max_distance", 128);
  config.number("layer_norm_epsilon", "attention.layer_norm_epsilon", 1e-6);
  const double epsilon = config.number_of("layer_norm_epsilon", 1e-6);
  config.set("attention.layer_norm_rms_epsilon", Value::of(epsilon));
  config.integer("decoder_start_token_id", "decoder_start_token_id", 0);
  const std::string kind = config.word_of("feed_forward_proj", "relu");
  const bool gated = kind.starts_with("gated-");
  std::string function = gated ? kind.substr(6) : kind;
  if (kind == "gated-gelu") function = "gelu_new";  // as the reference reads it
  (void)activation_from_name(function, config.origin());
  config.set("hidden_activation", Value::of(function));
  config.set("gated", Value::of(gated));
  config.ignore({"dense_act_fn", "is_gated_act", "output_past", "n_positions"});  // the first two follow
  config.tied(true);
}

void describe_stack(const Hyperparameters& hyper, bool decoder, Description& d) {
  const std::string to = decoder ? "dec." : "enc.", from = decoder ? "decoder." : "encoder.";
  const int64_t width = hyper.width(), inner = hyper.inner_width();
  const AttentionShape shape = hyper.attention();
  const int64_t queries = shape.heads * shape.head_dim;
  const auto linear = [&](std::string_view name, const std::string& source, int64_t outputs, int64_t inputs) {
    d.linear({.name = name, .source = source, .outputs = outputs, .inputs = inputs, .bias = false});
  };
  for (int64_t layer = 0; layer < (decoder ? decoder_layers(hyper) : hyper.layers()); ++layer) {
    d.begin(fmt::format("{}blk.{}.", to, layer), fmt::format("{}block.{}.layer.", from, layer));
    d.norm("attn_norm", "0.layer_norm", width, false);
    linear("attn_q", "0.SelfAttention.q", queries, width);
    linear("attn_k", "0.SelfAttention.k", queries, width);
    linear("attn_v", "0.SelfAttention.v", queries, width);
    linear("attn_o", "0.SelfAttention.o", width, queries);
    if (layer == 0)
      d.table(Role::kTable, "attn_rel_b", "0.SelfAttention.relative_attention_bias",
              hyper.count("attention.relative_buckets_count", 4, 4096), shape.heads);
    // GGUF files of llama.cpp hold the bias of cross-attention too, with which no release computes.
    if (decoder && layer == 0) d.table(Role::kTable, "cross_attn_rel_b", "", kAnySize, shape.heads, {}, true);
    if (decoder) {
      d.norm("cross_attn_norm", "1.layer_norm", width, false);
      linear("cross_attn_q", "1.EncDecAttention.q", queries, width);
      linear("cross_attn_k", "1.EncDecAttention.k", queries, width);
      linear("cross_attn_v", "1.EncDecAttention.v", queries, width);
      linear("cross_attn_o", "1.EncDecAttention.o", width, queries);
    }
    const std::string last = decoder ? "2." : "1.";
    d.norm("ffn_norm", last + "layer_norm", width, false);
    const bool gated = hyper.flag_or("gated", true);
    if (gated) linear("ffn_gate", last + "DenseReluDense.wi_0", inner, width);
    linear("ffn_up", last + (gated ? "DenseReluDense.wi_1" : "DenseReluDense.wi"), inner, width);
    linear("ffn_down", last + "DenseReluDense.wo", width, inner);
  }
  d.begin("", "");
  d.norm(to + "output_norm", from + "final_layer_norm", width, false);
}

void describe(const Hyperparameters& hyper, Description& d) {
  // The first files hold a bias of cross-attention that no release computes with.
  d.buffers({"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias."});
  d.table(Role::kEmbedding, "token_embd", "shared", hyper.vocabulary(), hyper.width());
  for (const char* name : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"})
    d.alias("token_embd.weight", name);
  describe_stack(hyper, false, d);
  if (decoder_layers(hyper) == 0) return;
  describe_stack(hyper, true, d);
  d.table(Role::kOutput, "output", "lm_head", hyper.vocabulary(), hyper.width(), {}, true);
}

/// T5 (Raffel et al. 2020), Flan-T5, mT5: pre-norm layers with RMSNorm, scores that are not scaled, biases by
/// buckets of distance that all layers share. Where output and words are one matrix, what it reads is scaled.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  LayerPlan layer{.width = hyper.width(),
                  .inner_width = hyper.inner_width(),
                  .attention = hyper.attention(),
                  .norm = NormKind::kRms,
                  .epsilon = hyper.epsilon(),
                  .function = hyper.activation(hyper.flag_or("gated", true) ? ActivationFunction::kGeluTanh
                                                                            : ActivationFunction::kRelu)};
  layer.attention.scale = 1;
  const auto bias = [&](const char* name, bool two_ways) {
    return bucket_bias(weights, name, hyper.count("attention.relative_buckets_count", 4, 4096),
                       layer.attention.heads,
                       hyper.count_or("attention.relative_max_distance", 128, 1, 1 << 20), kReach, two_ways);
  };
  EncoderPlan encoder{.prefix = "enc.", .max_tokens = kReach};
  encoder.embedding = {.width = hyper.width(), .norm = layer.norm, .epsilon = layer.epsilon};
  layer.bias = bias("enc.blk.0.attn_rel_b.weight", true);
  encoder.layers.assign(static_cast<size_t>(hyper.layers()), layer);
  if (decoder_layers(hyper) == 0)
    return std::make_unique<TextEncoder>(weights, std::move(encoder), NetworkHead::Plan{});

  layer.bias = bias("dec.blk.0.attn_rel_b.weight", false);
  DecoderPlan decoder = decoder_plan(hyper, layer);
  decoder.prefix = "dec.";
  decoder.layers.resize(static_cast<size_t>(decoder_layers(hyper)), layer);
  decoder.context_length = kReach;
  if (!weights.has("output.weight")) decoder.logit_scale = 1 / std::sqrt(static_cast<float>(hyper.width()));
  const auto start = static_cast<int32_t>(hyper.count_or("decoder_start_token_id", 0, 0, INT32_MAX));
  return std::make_unique<TextTranslator>(weights, std::move(encoder), std::move(decoder), start, options);
}

constexpr std::string_view kTypes[] = {"t5", "mt5"};

}  // namespace

const Family& t5_family() {
  static constexpr Family kFamily{"t5", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
