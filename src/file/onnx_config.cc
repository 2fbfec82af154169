#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include <wattle/error.h>

#include "file/onnx.h"
#include "file/onnx_facts.h"

namespace wattle::inline file {
namespace {

using nlohmann::json;

/// The weights of all files of a model by their shapes, and what the graphs show.
class Survey {
 public:
  explicit Survey(std::string origin) : origin_(std::move(origin)) {}

  void add(const OnnxSource& source) {
    const OnnxModel model(source.bytes, source.origin);
    for (const OnnxWeight& weight : name_weights(model, source.side).weights)
      shapes_.emplace(weight.name, weight.shape());
    facts_.add(model, source.external);
  }

  const OnnxFacts& facts() const { return facts_; }

  /// The shape of the tensor of this name, whatever stands in front of it; null when there is none.
  const std::vector<int64_t>* find(const std::string& ending) const {
    for (const auto& [name, shape] : shapes_) {
      if (name == ending || name.ends_with("." + ending)) return &shape;
    }
    return nullptr;
  }

  int64_t size(const std::string& ending, size_t dimension) const {
    const auto* shape = find(ending);
    if (shape == nullptr || dimension >= shape->size()) missing("the tensor " + ending);
    return (*shape)[dimension];
  }

  /// How many of "layer.{}.attention..." there are, numbered from 0.
  int64_t layers(const std::string& before, const std::string& after) const {
    int64_t count = 0;
    while (find(before + std::to_string(count) + after) != nullptr) ++count;
    return count;
  }

  /// Heads that share `inner` features.
  int64_t heads(int64_t inner) const {
    const int64_t heads = facts_.heads_of(inner);
    if (heads == 0) missing("the number of attention heads");
    return heads;
  }

  double epsilon() const {
    const auto epsilon = facts_.norm_epsilon();
    if (!epsilon) missing("one epsilon of the norms");
    return *epsilon;
  }

  std::string activation() const {
    const std::string activation = facts_.activation();
    if (activation.empty()) missing("the activation");
    return activation;
  }

  [[noreturn]] void missing(const std::string& what) const {
    fail(
        "{}: has no config.json beside it, and its graph does not show {}; put the model's config.json there "
        "(model_type, sizes, heads: the model's page has it)",
        origin_, what);
  }

 private:
  std::string origin_;
  std::map<std::string, std::vector<int64_t>> shapes_;
  OnnxFacts facts_;
};

/// What bert, roberta and mpnet have in common; `query` is the name of a layer's query weight.
json encoder_config(const Survey& survey, const std::string& query) {
  const int64_t inner = survey.size("encoder.layer.0." + query, 0);
  return {{"hidden_size", survey.size("embeddings.word_embeddings.weight", 1)},
          {"vocab_size", survey.size("embeddings.word_embeddings.weight", 0)},
          {"max_position_embeddings", survey.size("embeddings.position_embeddings.weight", 0)},
          {"num_hidden_layers", survey.layers("encoder.layer.", "." + query)},
          {"num_attention_heads", survey.heads(inner)},
          {"intermediate_size", survey.size("encoder.layer.0.intermediate.dense.weight", 0)},
          {"layer_norm_eps", survey.epsilon()},
          {"hidden_act", survey.activation()}};
}

json bert_config(const Survey& survey) {
  json config = encoder_config(survey, "attention.self.query.weight");
  config["type_vocab_size"] = survey.size("embeddings.token_type_embeddings.weight", 0);
  config["position_embedding_type"] = "absolute";
  // RoBERTa counts its positions from the padding on, with a running sum; its tensors are BERT's.
  const bool counts = survey.facts().has("CumSum");
  config["model_type"] = counts ? "roberta" : "bert";
  config["pad_token_id"] = counts ? 1 : 0;
  return config;
}

json mpnet_config(const Survey& survey) {
  json config = encoder_config(survey, "attention.attn.q.weight");
  config["relative_attention_num_buckets"] = survey.size("encoder.relative_attention_bias.weight", 0);
  config["model_type"] = "mpnet";
  config["pad_token_id"] = 1;
  return config;
}

json distilbert_config(const Survey& survey) {
  return {{"model_type", "distilbert"},
          {"dim", survey.size("embeddings.word_embeddings.weight", 1)},
          {"vocab_size", survey.size("embeddings.word_embeddings.weight", 0)},
          {"max_position_embeddings", survey.size("embeddings.position_embeddings.weight", 0)},
          {"n_layers", survey.layers("transformer.layer.", ".attention.q_lin.weight")},
          {"n_heads", survey.heads(survey.size("transformer.layer.0.attention.q_lin.weight", 0))},
          {"hidden_dim", survey.size("transformer.layer.0.ffn.lin1.weight", 0)},
          {"activation", survey.activation()},
          {"sinusoidal_pos_embds", false},
          {"pad_token_id", 0}};
}

json t5_config(const Survey& survey) {
  const std::string first = "block.0.layer.0.SelfAttention.";
  const std::string table = survey.find("shared.weight") != nullptr ? "shared.weight" : "embed_tokens.weight";
  const int64_t inner = survey.size(first + "q.weight", 0);
  const int64_t heads = survey.heads(inner);
  const int64_t encoder = survey.layers("encoder.block.", ".layer.0.SelfAttention.q.weight");
  const int64_t decoder = survey.layers("decoder.block.", ".layer.0.SelfAttention.q.weight");
  if (encoder == 0) survey.missing("the layers of an encoder; its file belongs beside the decoder's");
  const bool gated = survey.find("DenseReluDense.wi_0.weight") != nullptr;
  const std::string activation = survey.activation();
  const std::string inner_weight = gated ? "DenseReluDense.wi_0.weight" : "DenseReluDense.wi.weight";
  const bool has_head = survey.find("lm_head.weight") != nullptr;
  return {{"model_type", "t5"},
          {"architectures", {decoder > 0 ? "T5ForConditionalGeneration" : "T5EncoderModel"}},
          {"is_encoder_decoder", decoder > 0},
          {"d_model", survey.size(table, 1)},
          {"vocab_size", survey.size(table, 0)},
          {"d_kv", inner / heads},
          {"d_ff", survey.size(inner_weight, 0)},
          {"num_heads", heads},
          {"num_layers", encoder},
          {"num_decoder_layers", decoder > 0 ? decoder : encoder},
          {"relative_attention_num_buckets", survey.size(first + "relative_attention_bias.weight", 0)},
          {"relative_attention_max_distance", survey.facts().relative_distance().value_or(128)},
          {"layer_norm_epsilon", survey.epsilon()},
          {"feed_forward_proj",
           gated ? (activation == "gelu_new" ? "gated-gelu" : "gated-" + activation) : activation},
          // A table that is used twice is scaled before its second use.
          {"tie_word_embeddings", !has_head || survey.facts().has_scaled_head()},
          {"pad_token_id", 0},
          {"eos_token_id", 1},
          {"decoder_start_token_id", 0}};
}

/// Kinds of models by a tensor that only they have.
struct Kind {
  const char* tensor;
  json (*config)(const Survey& survey);
};
constexpr Kind kKinds[] = {
    {"layer.0.attention.self.query.weight", bert_config},
    {"layer.0.attention.attn.q.weight", mpnet_config},
    {"transformer.layer.0.attention.q_lin.weight", distilbert_config},
    {"block.0.layer.0.SelfAttention.q.weight", t5_config},
};
/// Tensors that look like one of those, of models that compute otherwise.
constexpr const char* kOthers[] = {"encoder.rel_embeddings.weight", "embeddings_project.weight",
                                   "embeddings.x_position_embeddings.weight",
                                   "layer.0.attention.self.distance_embedding.weight"};

}  // namespace

json onnx_config(const std::filesystem::path& path) {
  Survey survey(path.string());
  std::vector<MappedFile> mappings;
  for_each_onnx_file(path, mappings, [&](const OnnxSource& source) { survey.add(source); });
  for (const char* other : kOthers) {
    if (survey.find(other) != nullptr) survey.missing("what kind of model it is");
  }
  for (const Kind& kind : kKinds) {
    if (survey.find(kind.tensor) != nullptr) return kind.config(survey);
  }
  survey.missing("what kind of model it is");
}

}  // namespace wattle::inline file
