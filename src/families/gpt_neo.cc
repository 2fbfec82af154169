#include "families/gpt.h"
#include "families/llama.h"

namespace wattle::inline families {
namespace {

/// attention_types: [[["global", "local"], 6]] means six times global, local.
std::vector<int64_t> local_layers(ConfigReader& config) {
  config.ignore({"attention_types", "attention_layers"});  // the second is the first spread out
  const nlohmann::json* types = config.json().find("attention_types");
  if (types == nullptr || !types->is_array())
    fail("{}: lacks attention_types; get the file again", config.origin());
  const int64_t layers = config.integer_of("num_layers", 0);
  std::vector<int64_t> local;
  for (const nlohmann::json& entry : *types) {
    const bool known = entry.is_array() && entry.size() == 2 && entry[0].is_array() &&
                       entry[1].is_number_integer() && entry[1].get<int64_t>() >= 0 &&
                       entry[1].get<int64_t>() <= layers;
    if (!known)
      fail("{}: attention_types is no list of kinds and their numbers; correct the file", config.origin());
    for (int64_t i = 0; i < entry[1].get<int64_t>(); ++i) {
      for (const nlohmann::json& kind : entry[0]) {
        if (kind != "local" && kind != "global")
          fail("{}: attention_types has {}; known are global and local", config.origin(), kind.dump());
        local.push_back(kind == "local" ? 1 : 0);
      }
    }
  }
  if (static_cast<int64_t>(local.size()) != layers)
    fail("{}: attention_types is of {} layers and there are {}; correct the file", config.origin(),
         local.size(), layers);
  return local;
}

void read_config(ConfigReader& config) {
  const int64_t width = config.integer("hidden_size", "embedding_length");
  config.integer("num_layers", "block_count");
  config.integer("num_heads", "attention.head_count");
  config.integer("intermediate_size", "feed_forward_length", 4 * width);
  config.integer("max_position_embeddings", "context_length");
  config.integer_if_there("vocab_size", "vocab_size");
  config.number("layer_norm_epsilon", "attention.layer_norm_epsilon", 1e-5);
  config.set("attention.scale", Value::of(1.0));
  config.integer("window_size", "attention.sliding_window", 256);
  config.set("attention.sliding_window_pattern", Value::of(local_layers(config)));
  config.activation("activation_function", "gelu_new");
  config.ignore({"embed_dropout", "resid_dropout"});
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_gpt(hyper,
               {.positions = "wpe",
                .query = "attn.attention.q_proj",
                .key = "attn.attention.k_proj",
                .value = "attn.attention.v_proj",
                .attention_output = "attn.attention.out_proj",
                .up = "mlp.c_fc",
                .down = "mlp.c_proj"},
               {.query_key_value = GptTensors::Biases::kNever}, d);
}

/// GPT-Neo (Black et al. 2021): GPT-2 whose scores are not scaled, with a window in some layers.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  DecoderPlan plan = decoder_plan(hyper, gpt_layer(hyper, ActivationFunction::kGeluTanh));
  plan.embedding.positions = Positions::kLearned;
  set_layer_windows(hyper, plan);
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"gpt_neo"};

}  // namespace

const Family& gpt_neo_family() {
  static constexpr Family kFamily{"gptneo", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
