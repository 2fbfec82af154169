#pragma once

#include <functional>

#include "families/family.h"
#include "families/text_decoder.h"

namespace wattle::inline families {

/// The keys that Llama's config.json shares with those of Qwen, Gemma and others: sizes, heads, epsilon,
/// vocabulary. Returns the width of a head; `head_dim` is what the family takes where the file says nothing
/// (0: width / heads). `rms_norm`: whether its norms are of that kind, and their epsilon is read.
int64_t read_llama_config(ConfigReader& config, int64_t head_dim = 0, bool rms_norm = true);

/// In what the tensors of Llama's relatives differ.
struct LlamaTensors {
  enum class Biases { kNever, kAlways, kInSomeFiles };
  Biases query_key_value = Biases::kNever, others = Biases::kNever;
  bool interleaved = false;  ///< GGUF has the rows of queries and keys in the order of RopePairs::kNeighbours
  bool head_norms = false;   ///< queries and keys are normalised
  bool sandwich = false;     ///< norms after attention and feed-forward as well
  Change norm = {};          ///< of every norm on import
  bool norm_bias = false;
  bool fused = false;  ///< queries, keys and values are one matrix, and so are gate and up
  Biases feed_forward_norm = Biases::kAlways;  ///< without one the feed-forward reads attention's
};

/// Every tensor, output matrix and head included.
void describe_llama(const Hyperparameters& hyper, const LlamaTensors& tensors, Description& description);

/// Pre-norm layers with RMSNorm and a gate, rotated by `rope`.
DecoderPlan llama_plan(const Hyperparameters& hyper, ActivationFunction function, std::shared_ptr<Rope> rope);

/// The network of Llama and of those relatives that differ by their tensors alone: the plan above with a SiLU
/// gate, rotations of base 10,000 where the file says nothing, and the sliding window in the layers that have
/// it.
std::unique_ptr<Network> build_llama(Weights& weights, const Hyperparameters& hyper,
                                     const NetworkOptions& options, RopePairs pairs);

/// Which layers have the sliding window, as config.json's `layer_types` say, or `has_window(layer)` where it
/// has none: attention.sliding_window_pattern, 1 where a layer has it.
void read_window_layers(ConfigReader& config, const std::function<bool(int64_t layer)>& has_window);
/// The same for families that may have none: sliding_window with use_sliding_window and max_window_layers.
void read_layer_windows(ConfigReader& config);
/// Whether a layer has the window: as attention.sliding_window_pattern says (a flag a layer, or a period
/// whose last layer has none), or `otherwise`.
bool has_window(const Hyperparameters& hyper, int64_t layer, bool otherwise);
void set_layer_windows(const Hyperparameters& hyper, DecoderPlan& plan);

}  // namespace wattle::inline families
