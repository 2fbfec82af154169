#include <algorithm>

#include "families/bart.h"

namespace wattle::inline families {
namespace {

constexpr int64_t kMostLayers = 1024;  // more are refused where the file is opened
constexpr BartStyle kStyle{.first_position = 0, .longformer = true};

/// attention_window: one number, or one a layer of the encoder.
std::vector<int64_t> windows_of(ConfigReader& config) {
  config.ignore({"attention_window"});  // read here
  const auto layers = static_cast<size_t>(std::min(config.integer_of("encoder_layers", 0), kMostLayers));
  const nlohmann::json* given = config.json().find("attention_window");
  if (given == nullptr || given->is_number_integer())
    return std::vector<int64_t>(layers, given == nullptr ? 512 : given->get<int64_t>());
  std::vector<int64_t> windows;
  if (given->is_array()) {
    for (const nlohmann::json& window : *given)
      windows.push_back(window.is_number_integer() ? window.get<int64_t>() : 0);
  }
  if (windows.size() != layers)
    fail("{}: attention_window is {}, neither a number nor a list of {}; correct the file", config.origin(),
         given->dump(), layers);
  return windows;
}

void read_config(ConfigReader& config) {
  read_bart_config(config, "gelu");
  config.integer("max_encoder_position_embeddings", "context_length", 16384);
  config.integer("max_decoder_position_embeddings", "decoder_context_length", 1024);
  config.set("attention.sliding_window", Value::of(windows_of(config)));
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_bart(hyper, kStyle, d);
}

/// LED (Beltagy et al. 2020): BART with an encoder for long texts, whose tokens see their neighbours and the
/// tokens that the caller marks as global (TokenMarks::global; for summaries the first).
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  return build_bart(weights, hyper, kStyle, options);
}

constexpr std::string_view kTypes[] = {"led"};

}  // namespace

const Family& led_family() {
  static constexpr Family kFamily{"led", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
