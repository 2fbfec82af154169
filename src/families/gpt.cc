#include "families/gpt.h"

namespace wattle::inline families {

void describe_gpt(const Hyperparameters& hyper, const GptSources& sources, const GptTensors& tensors,
                  Description& d) {
  using Biases = GptTensors::Biases;
  const int64_t width = hyper.width(), inner = hyper.inner_width();
  const AttentionShape shape = hyper.attention();
  const int64_t queries = shape.heads * shape.head_dim, keys = shape.kv_heads * shape.head_dim;
  const auto linear = [&](std::string_view name, const std::string& source, int64_t outputs, int64_t inputs,
                          Biases biases, const Change& change, const Change& bias_change = {}) {
    if (source.empty()) return;
    d.linear({.name = name,
              .source = source,
              .outputs = outputs,
              .inputs = inputs,
              .bias = biases != Biases::kNever,
              .change = change,
              .bias_change = bias_change,
              .bias_optional = biases == Biases::kInSomeFiles});
  };
  const auto norm = [&](std::string_view name, const std::string& source) {
    if (!source.empty()) d.norm(name, source, width, tensors.norm_bias);
  };
  const Change fused = tensors.matrix && tensors.query_key_value_rows
                           ? both(tensors.matrix, tensors.query_key_value_rows)
                       : tensors.matrix ? tensors.matrix
                                        : tensors.query_key_value_rows;
  d.prefixes(sources.prefixes);
  d.buffers({".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias",
             ".rotary_emb.inv_freq", ".attn.causal_mask", ".attn.embed_positions"});
  d.table(Role::kEmbedding, "token_embd", sources.words, hyper.vocabulary(), width);
  if (!sources.positions.empty())
    d.table(Role::kPosition, "position_embd", sources.positions,
            hyper.context_length() + tensors.unused_positions, width);
  norm("token_embd_norm", sources.words_norm);
  d.tensor({"rope_freqs.weight", "", {kAnySize}, Role::kTable, {}, true});
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    std::string begin = sources.layer;
    begin.replace(begin.find("{}"), 2, std::to_string(layer));
    d.begin(fmt::format("blk.{}.", layer), begin);
    norm("attn_norm", sources.attention_norm);
    linear("attn_qkv", sources.query_key_value, queries + 2 * keys, width, tensors.query_key_value, fused,
           tensors.query_key_value_rows);
    linear("attn_q", sources.query, queries, width, tensors.query_key_value, tensors.matrix);
    linear("attn_k", sources.key, keys, width, tensors.query_key_value, tensors.matrix);
    linear("attn_v", sources.value, keys, width, tensors.query_key_value, tensors.matrix);
    linear("attn_output", sources.attention_output, width, queries, tensors.attention_output, tensors.matrix);
    norm("ffn_norm", sources.feed_forward_norm);
    linear("ffn_up", sources.up, inner, width, tensors.feed_forward, tensors.matrix);
    linear("ffn_down", sources.down, width, inner, tensors.feed_forward, tensors.matrix);
  }
  d.begin("", "");
  norm("output_norm", sources.last_norm);
  d.table(Role::kOutput, "output", sources.output, hyper.vocabulary(), width, {}, true);
  if (tensors.output != Biases::kNever)
    d.tensor({"output.bias",
              sources.output + ".bias",
              {hyper.vocabulary()},
              Role::kBias,
              {},
              tensors.output == Biases::kInSomeFiles});
  describe_decoder_head(hyper, d);
}

LayerPlan gpt_layer(const Hyperparameters& hyper, ActivationFunction function) {
  return {.width = hyper.width(),
          .inner_width = hyper.inner_width(),
          .attention = hyper.attention(),
          .epsilon = hyper.epsilon(),
          .function = hyper.activation(function)};
}

DecoderPlan rotated_plan(Weights& weights, const Hyperparameters& hyper, LayerPlan layer, RopePairs pairs) {
  const auto rope = rope_of(weights, hyper, layer.attention.head_dim, pairs, 10000);
  layer.rope = rope;
  DecoderPlan plan = decoder_plan(hyper, layer);
  plan.ropes = {rope};
  return plan;
}

int64_t read_gpt2_sizes(ConfigReader& config) {
  const int64_t width = config.integer("n_embd", "embedding_length");
  config.integer("n_layer", "block_count");
  const int64_t heads = config.integer("n_head", "attention.head_count");
  if (heads < 1 || width % heads != 0)
    fail("{}: {} heads do not divide a width of {}; correct the file", config.origin(), heads, width);
  config.integer("n_inner", "feed_forward_length", 4 * width);
  config.integer("n_positions", "context_length", config.integer_of("n_ctx", 1024));
  config.integer_if_there("vocab_size", "vocab_size");
  config.number("layer_norm_epsilon", "attention.layer_norm_epsilon", 1e-5);
  // How sequences are summed up for multiple choice.
  config.ignore({"summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
                 "summary_use_proj"});
  return width / heads;
}

}  // namespace wattle::inline families
