#pragma once

#include "families/family.h"
#include "families/text_decoder.h"

namespace wattle::inline families {

/// Where Hugging Face keeps the tensors of GPT's relatives, without endings; those of a layer follow `layer`.
/// An empty source: the family has no such tensor.
struct GptSources {
  std::vector<std::string> prefixes = {"transformer."};
  std::string words = "wte", positions = {}, words_norm = {}, last_norm = "ln_f", output = "lm_head";
  std::string layer = "h.{}.";
  std::string attention_norm = "ln_1", feed_forward_norm = "ln_2";
  std::string query_key_value = {}, query = {}, key = {}, value = {};  ///< fused, or apart
  std::string attention_output, up, down;
};

/// In what their tensors differ.
struct GptTensors {
  enum class Biases { kNever, kAlways, kInSomeFiles };
  Biases query_key_value = Biases::kAlways, attention_output = Biases::kAlways,
         feed_forward = Biases::kAlways, output = Biases::kNever;
  bool norm_bias = true;
  int64_t unused_positions = 0;      ///< rows of the position table before the first token's
  Change matrix = {};                ///< of every matrix of a layer on import
  Change query_key_value_rows = {};  ///< of the fused matrix and bias on import, after `matrix`
};

/// Every tensor, output matrix and head included.
void describe_gpt(const Hyperparameters& hyper, const GptSources& sources, const GptTensors& tensors,
                  Description& description);

/// Pre-norm layers with layer norms, or whatever norms the file has.
LayerPlan gpt_layer(const Hyperparameters& hyper, ActivationFunction function);

/// A decoder of such layers whose queries and keys are rotated, bases and scaling as the file says.
DecoderPlan rotated_plan(Weights& weights, const Hyperparameters& hyper, LayerPlan layer, RopePairs pairs);

/// Sizes of a layer under the older names n_embd, n_layer, n_head, n_inner (null: four times the width),
/// n_positions (or n_ctx); returns the width of a head.
int64_t read_gpt2_sizes(ConfigReader& config);

}  // namespace wattle::inline families
