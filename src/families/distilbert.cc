#include "families/family.h"
#include "families/text_encoder.h"

namespace wattle::inline families {
namespace {

constexpr double kEpsilon = 1e-12;  // part of the architecture

void read_config(ConfigReader& config) {
  config.integer("n_layers", "block_count");
  config.integer("dim", "embedding_length");
  config.integer("hidden_dim", "feed_forward_length");
  config.integer("n_heads", "attention.head_count");
  config.integer_if_there("vocab_size", "vocab_size");
  config.integer("max_position_embeddings", "context_length", 512);
  config.set("attention.layer_norm_epsilon", Value::of(kEpsilon));
  config.activation("activation", "gelu");
  config.set("attention.causal", Value::of(false));
  // Sinusoidal positions are a table of the file like learned ones.
  config.ignore({"sinusoidal_pos_embds", "qa_dropout", "seq_classif_dropout"});
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  const int64_t width = hyper.width(), inner = hyper.inner_width();
  d.prefixes({"distilbert."});
  d.buffers({"embeddings.position_ids"});
  d.left_out({"vocab_transform.", "vocab_layer_norm.", "vocab_projector."});
  d.table(Role::kEmbedding, "token_embd", "embeddings.word_embeddings", hyper.vocabulary(), width);
  d.table(Role::kPosition, "position_embd", "embeddings.position_embeddings", hyper.context_length(), width);
  d.norm("token_embd_norm", "embeddings.LayerNorm", width, true);
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("transformer.layer.{}.", layer));
    d.linear({.name = "attn_q", .source = "attention.q_lin", .outputs = width, .inputs = width});
    d.linear({.name = "attn_k", .source = "attention.k_lin", .outputs = width, .inputs = width});
    d.linear({.name = "attn_v", .source = "attention.v_lin", .outputs = width, .inputs = width});
    d.linear({.name = "attn_output", .source = "attention.out_lin", .outputs = width, .inputs = width});
    d.norm("attn_output_norm", "sa_layer_norm", width, true);
    d.linear({.name = "ffn_up", .source = "ffn.lin1", .outputs = inner, .inputs = width});
    d.linear({.name = "ffn_down", .source = "ffn.lin2", .outputs = width, .inputs = inner});
    d.norm("layer_output_norm", "output_layer_norm", width, true);
  }
  describe_head(hyper,
                {.sequence_dense = "pre_classifier",
                 .sequence_out = "classifier",
                 .masked_dense = "vocab_transform",
                 .masked_norm = "vocab_layer_norm",
                 .masked_out = "vocab_projector",
                 .masked_bias = "vocab_projector.bias"},
                d);
}

/// DistilBERT (Sanh et al. 2019): BERT's layers without token types.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions&) {
  const ActivationFunction function = hyper.activation(ActivationFunction::kGelu);
  EncoderPlan plan;
  plan.embedding = {.width = hyper.width(), .positions = Positions::kLearned, .epsilon = hyper.epsilon()};
  plan.layers.assign(static_cast<size_t>(hyper.layers()), {.width = hyper.width(),
                                                           .inner_width = hyper.inner_width(),
                                                           .attention = hyper.attention(),
                                                           .epsilon = hyper.epsilon(),
                                                           .function = function});
  plan.max_tokens = hyper.context_length();
  return std::make_unique<TextEncoder>(
      weights, std::move(plan),
      NetworkHead::Plan{
          .sequence = ActivationFunction::kRelu, .masked = function, .epsilon = hyper.epsilon()});
}

constexpr std::string_view kTypes[] = {"distilbert"};

}  // namespace

const Family& distilbert_family() {
  static constexpr Family kFamily{"distilbert", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
