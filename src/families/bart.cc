#include "families/bart.h"

#include <cmath>

namespace wattle::inline families {
namespace {

/// Sizes of the encoder or of the decoder.
struct Sizes {
  int64_t layers, inner;
  AttentionShape attention;
};

Sizes sizes_of(const Hyperparameters& hyper, bool decoder) {
  Sizes sizes{hyper.layers(), hyper.inner_width(), hyper.attention()};
  if (!decoder) return sizes;
  sizes.layers = hyper.count("decoder_block_count", 1, 1024);
  sizes.inner = hyper.count("decoder_feed_forward_length", 1, 1 << 24);
  const int64_t heads = hyper.count("decoder_attention_head_count", 1, 4096);
  if (hyper.width() % heads != 0)
    fail("{}: {} heads do not divide a width of {}; the file is damaged, get it again", hyper.origin(), heads,
         hyper.width());
  sizes.attention = {heads, heads, hyper.width() / heads,
                     static_cast<float>(1 / std::sqrt(static_cast<double>(hyper.width() / heads)))};
  return sizes;
}

int64_t context_of(const Hyperparameters& hyper, bool decoder) {
  const int64_t context = hyper.context_length();
  return decoder ? hyper.count_or("decoder_context_length", context, 1, int64_t{1} << 31) : context;
}

/// The matrices of self-attention.
void describe_attention(const BartStyle& style, int64_t width, bool decoder, Description& d) {
  const auto linear = [&](std::string_view name, std::string_view source) {
    d.linear({.name = name, .source = source, .outputs = width, .inputs = width});
  };
  if (decoder || !style.longformer) {
    linear("attn_q", "self_attn.q_proj");
    linear("attn_k", "self_attn.k_proj");
    linear("attn_v", "self_attn.v_proj");
    return linear("attn_output", "self_attn.out_proj");
  }
  linear("attn_q", "self_attn.longformer_self_attn.query");
  linear("attn_k", "self_attn.longformer_self_attn.key");
  linear("attn_v", "self_attn.longformer_self_attn.value");
  linear("attn_q_global", "self_attn.longformer_self_attn.query_global");
  linear("attn_k_global", "self_attn.longformer_self_attn.key_global");
  linear("attn_v_global", "self_attn.longformer_self_attn.value_global");
  linear("attn_output", "self_attn.output");
}

void describe_stack(const Hyperparameters& hyper, const BartStyle& style, bool decoder, Description& d) {
  const std::string to = decoder ? "dec." : "enc.", from = decoder ? "decoder." : "encoder.";
  const Sizes sizes = sizes_of(hyper, decoder);
  const int64_t width = hyper.width();
  const auto linear = [&](std::string_view name, std::string_view source, int64_t outputs, int64_t inputs) {
    d.linear({.name = name, .source = source, .outputs = outputs, .inputs = inputs});
  };
  d.begin(to, from);
  // Files of families with sinusoids may hold theirs.
  const int64_t positions = context_of(hyper, decoder) + style.first_position;
  d.table(Role::kPosition, "position_embd", "embed_positions", positions, width, {},
          style.positions != Positions::kLearned);
  if (style.embedding_norm) d.norm("token_embd_norm", "layernorm_embedding", width, true);
  for (int64_t layer = 0; layer < sizes.layers; ++layer) {
    d.begin(fmt::format("{}blk.{}.", to, layer), fmt::format("{}layers.{}.", from, layer));
    d.norm(style.norm_first ? "attn_norm" : "attn_output_norm", "self_attn_layer_norm", width, true);
    describe_attention(style, width, decoder, d);
    if (decoder) {
      d.norm(style.norm_first ? "cross_attn_norm" : "cross_attn_output_norm", "encoder_attn_layer_norm",
             width, true);
      linear("cross_attn_q", "encoder_attn.q_proj", width, width);
      linear("cross_attn_k", "encoder_attn.k_proj", width, width);
      linear("cross_attn_v", "encoder_attn.v_proj", width, width);
      linear("cross_attn_o", "encoder_attn.out_proj", width, width);
    }
    d.norm(style.norm_first ? "ffn_norm" : "layer_output_norm", "final_layer_norm", width, true);
    linear("ffn_up", "fc1", sizes.inner, width);
    linear("ffn_down", "fc2", width, sizes.inner);
  }
  d.begin("", "");
  if (style.norm_first) d.norm(to + "output_norm", from + "layer_norm", width, true);
}

EmbeddingPlan embedding_of(const Weights& weights, const std::string& prefix, const Hyperparameters& hyper,
                           const BartStyle& style) {
  return {.width = hyper.width(),
          .scale = hyper.flag_or("scale_embedding", false) ? std::sqrt(static_cast<float>(hyper.width())) : 1,
          .positions = weights.has(prefix + "position_embd.weight") ? Positions::kLearned : style.positions,
          .first_position = style.first_position,
          .padding = style.padding,
          .most_positions = hyper.context_length(),
          .epsilon = hyper.epsilon()};
}

LayerPlan layer_of(const Hyperparameters& hyper, const Sizes& sizes) {
  return {.width = hyper.width(),
          .inner_width = sizes.inner,
          .attention = sizes.attention,
          .epsilon = hyper.epsilon(),
          .function = hyper.activation(ActivationFunction::kGelu)};
}

/// A token sees those at most half a window away.
void set_windows(const Hyperparameters& hyper, EncoderPlan& encoder) {
  const std::span<const int64_t> windows = hyper.integers("attention.sliding_window");
  if (windows.size() != encoder.layers.size()) {
    fail("{}: has attention windows for {} layers and {} layers; correct its configuration", hyper.origin(),
         windows.size(), encoder.layers.size());
  }
  for (size_t i = 0; i < windows.size(); ++i) {
    if (windows[i] < 2 || windows[i] > 1 << 24 || windows[i] % 2 != 0)
      fail(
          "{}: layer {} has an attention window of {}, where an even number is needed; correct its "
          "configuration",
          hyper.origin(), i, windows[i]);
    encoder.layers[i].window = windows[i] / 2;
  }
}

}  // namespace

void read_bart_config(ConfigReader& config, const std::string& activation) {
  config.integer("encoder_layers", "block_count");
  config.integer("decoder_layers", "decoder_block_count");
  config.integer("d_model", "embedding_length");
  config.integer("encoder_ffn_dim", "feed_forward_length");
  config.integer("decoder_ffn_dim", "decoder_feed_forward_length");
  config.integer("encoder_attention_heads", "attention.head_count");
  config.integer("decoder_attention_heads", "decoder_attention_head_count");
  config.integer_if_there("vocab_size", "vocab_size");
  config.integer("max_position_embeddings", "context_length", 1024);
  config.integer("decoder_start_token_id", "decoder_start_token_id", 2);
  config.set("attention.layer_norm_epsilon", Value::of(1e-5));
  config.flag("scale_embedding", "scale_embedding", false);
  config.activation("activation_function", activation);
  // num_hidden_layers repeats encoder_layers; the others are of fairseq and of training, or said by the
  // tensors.
  config.ignore({"activation_dropout", "add_bias_logits", "add_final_layer_norm", "classif_dropout",
                 "extra_pos_embeddings", "force_bos_token_to_be_generated", "normalize_before",
                 "normalize_embedding", "num_hidden_layers", "save_step", "static_position_embeddings"});
  config.tied(true);
}

void describe_bart(const Hyperparameters& hyper, const BartStyle& style, Description& d) {
  d.prefixes({"model.", "led."});
  d.table(Role::kEmbedding, "token_embd", "shared", hyper.vocabulary(), hyper.width());
  d.alias("token_embd.weight", "encoder.embed_tokens.weight");
  const int64_t own_words = hyper.count_or("decoder_vocab_size", 0, 0, int64_t{1} << 31);
  if (own_words > 0) {
    d.table(Role::kEmbedding, "dec.token_embd", "decoder.embed_tokens", hyper.vocabulary(), hyper.width());
  } else {
    d.alias("token_embd.weight", "decoder.embed_tokens.weight");
  }
  const int64_t outputs = own_words > 0 ? own_words : hyper.vocabulary();
  describe_stack(hyper, style, false, d);
  describe_stack(hyper, style, true, d);
  d.table(Role::kOutput, "output", "lm_head", outputs, hyper.width(), {}, true);
  d.tensor({"output.bias", "final_logits_bias", {outputs}, Role::kBias, flatten(), true});
  describe_head(
      hyper, {.sequence_dense = "classification_head.dense", .sequence_out = "classification_head.out_proj"},
      d);
  d.left_out({"classification_head.", "qa_outputs."});
}

std::unique_ptr<Network> build_bart(Weights& weights, const Hyperparameters& hyper, const BartStyle& style,
                                    const NetworkOptions& options) {
  const Sizes of_encoder = sizes_of(hyper, false), of_decoder = sizes_of(hyper, true);
  EncoderPlan encoder;
  encoder.prefix = "enc.";
  encoder.embedding = embedding_of(weights, "enc.", hyper, style);
  encoder.max_tokens = hyper.context_length();
  encoder.layers.assign(static_cast<size_t>(of_encoder.layers), layer_of(hyper, of_encoder));
  if (style.longformer) set_windows(hyper, encoder);
  DecoderPlan decoder = decoder_plan(hyper, layer_of(hyper, of_decoder));
  decoder.prefix = "dec.";
  decoder.embedding = embedding_of(weights, "dec.", hyper, style);
  decoder.context_length = context_of(hyper, true);
  decoder.layers.resize(static_cast<size_t>(of_decoder.layers), layer_of(hyper, of_decoder));
  const auto start = static_cast<int32_t>(hyper.count_or("decoder_start_token_id", 0, 0, INT32_MAX));
  return std::make_unique<TextTranslator>(weights, std::move(encoder), std::move(decoder), start, options);
}

namespace {

constexpr BartStyle kStyle{};

void read_config(ConfigReader& config) {
  read_bart_config(config, "gelu");
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_bart(hyper, kStyle, d);
}

/// BART (Lewis et al. 2020), DistilBART: learned positions, norms after attention and feed-forward.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  return build_bart(weights, hyper, kStyle, options);
}

constexpr std::string_view kTypes[] = {"bart"};

}  // namespace

const Family& bart_family() {
  static constexpr Family kFamily{"bart", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
