#include "families/deberta.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "base/utf8.h"

namespace wattle::inline families {
namespace {

int64_t word_width(const Hyperparameters& hyper) {
  return hyper.count("word_embedding_length", 1, 1 << 20);
}
int64_t type_count(const Hyperparameters& hyper) {
  return hyper.metadata().integer("tokenizer.ggml.token_type_count").value_or(0);
}
bool has_positions(const Hyperparameters& hyper) {
  return hyper.flag_or("position_biased_input", true);
}

/// pos_att_type: a list, or one text with | between the terms.
std::set<std::string> position_terms(ConfigReader& config) {
  config.ignore({"pos_att_type"});  // read here, for it has several forms
  const nlohmann::json* value = config.json().find("pos_att_type");
  std::set<std::string> terms;
  if (value == nullptr) return terms;
  std::vector<std::string> parts;
  if (value->is_string()) {
    std::istringstream text(value->get<std::string>());
    for (std::string part; std::getline(text, part, '|');) parts.push_back(part);
  } else if (value->is_array() &&
             std::ranges::all_of(*value, [](const auto& part) { return part.is_string(); })) {
    parts = value->get<std::vector<std::string>>();
  } else {
    fail("{}: pos_att_type is {}; it is a list of c2p and p2c, or both with | between them", config.origin(),
         value->dump());
  }
  for (std::string& part : parts) {
    std::erase(part, ' ');
    part = lower_ascii(part);
    if (part != "c2p" && part != "p2c")
      fail("{}: pos_att_type has \"{}\"; known are c2p and p2c: use another model", config.origin(), part);
    terms.insert(part);
  }
  return terms;
}

}  // namespace

bool read_deberta_config(ConfigReader& config) {
  config.integer("num_hidden_layers", "block_count");
  const int64_t width = config.integer("hidden_size", "embedding_length");
  config.integer("embedding_size", "word_embedding_length", width);
  config.integer("intermediate_size", "feed_forward_length");
  const int64_t heads = config.integer("num_attention_heads", "attention.head_count");
  config.integer_if_there("vocab_size", "vocab_size");
  const int64_t positions = config.integer("max_position_embeddings", "context_length", 512);
  config.number("layer_norm_eps", "attention.layer_norm_epsilon", 1e-7);
  config.activation("hidden_act", "gelu");
  config.flag("position_biased_input", "position_biased_input", true);
  const std::set<std::string> terms = position_terms(config);
  const bool relative = !terms.empty() && config.flag_of("relative_attention", false);
  if (relative) {
    const int64_t distances = config.integer_of("max_relative_positions", -1);
    config.set("attention.relative_max_distance", Value::of(distances < 1 ? positions : distances));
    config.set("attention.content_to_position", Value::of(terms.contains("c2p")));
    config.set("attention.position_to_content", Value::of(terms.contains("p2c")));
  } else {
    config.ignore({"max_relative_positions", "norm_rel_ebd", "position_buckets", "relative_attention",
                   "share_att_key"});
  }
  if (heads > 0 && width % heads == 0) {
    // The terms count whether or not there are relative positions.
    const auto parts = static_cast<double>(width / heads * static_cast<int64_t>(1 + terms.size()));
    config.set("attention.scale", Value::of(1 / std::sqrt(parts)));
  }
  config.set("attention.causal", Value::of(false));
  config.set_global("tokenizer.ggml.token_type_count", Value::of(config.integer_of("type_vocab_size", 0)));
  if (named_head(config) == NetworkHeadKind::kSequence) {
    config.expect("pooler_hidden_size", width);
    (void)activation_from_name(config.word("pooler_hidden_act", "pooler_activation", "gelu"),
                               config.origin());
  }
  config.ignore({"cls_dropout", "padding_idx", "pooler_dropout", "pooler_hidden_act", "pooler_hidden_size"});
  config.ignore({"legacy"});  // the names of the masked head's tensors say which form it has
  config.tied(true);
  return relative;
}

PositionTerms::PositionTerms(const Hyperparameters& hyper)
    : content_to_position(hyper.flag_or("attention.content_to_position", false)),
      position_to_content(hyper.flag_or("attention.position_to_content", false)) {}

int64_t deberta_distances(const Hyperparameters& hyper) {
  return hyper.count_or("attention.relative_max_distance", hyper.context_length(), 1, 1 << 20);
}

void describe_deberta_embeddings(const Hyperparameters& hyper, Description& d, int64_t side) {
  const int64_t width = hyper.width(), words = word_width(hyper);
  d.prefixes({"deberta."});
  d.buffers({"embeddings.position_ids"});
  d.left_out({"pooler.", "cls.", "lm_predictions.", "mask_predictions."});
  d.table(Role::kEmbedding, "token_embd", "embeddings.word_embeddings", hyper.vocabulary(), words);
  if (has_positions(hyper)) {
    d.table(Role::kPosition, "position_embd", "embeddings.position_embeddings", hyper.context_length(),
            words);
  } else {
    d.left_out({"embeddings.position_embeddings."});
  }
  if (type_count(hyper) > 0)
    d.table(Role::kTable, "token_types", "embeddings.token_type_embeddings", type_count(hyper), words);
  if (words != width)
    d.linear({.name = "token_embd_proj",
              .source = "embeddings.embed_proj",
              .outputs = width,
              .inputs = words,
              .bias = false});
  d.norm("token_embd_norm", "embeddings.LayerNorm", width, true);
  if (PositionTerms(hyper)) {
    d.table(Role::kPosition, "relative_position_embd", "encoder.rel_embeddings", 2 * side, width);
  } else {
    d.left_out({"encoder.rel_embeddings."});
  }
}

void describe_deberta_heads(const Hyperparameters& hyper, Description& d) {
  HeadSources heads = bert_heads();
  heads.masked_width = word_width(hyper);
  describe_head(hyper, heads, d);
  if (head_of(hyper.metadata()) != NetworkHeadKind::kMasked) return;
  // The names of the first publication.
  for (const auto& [name, part] : {std::pair{"mlm.dense", "dense"}, std::pair{"mlm.norm", "LayerNorm"}}) {
    for (const char* ending : {".weight", ".bias"})
      d.alias(std::string(name) + ending, fmt::format("lm_predictions.lm_head.{}{}", part, ending));
  }
  d.alias("mlm.output.bias", "lm_predictions.lm_head.bias");
}

EncoderPlan deberta_plan(const Hyperparameters& hyper) {
  EncoderPlan plan;
  plan.embedding = {.width = hyper.width(),
                    .word_width = word_width(hyper),
                    .positions = has_positions(hyper) ? Positions::kLearned : Positions::kNone,
                    .norm_last = true,
                    .epsilon = hyper.epsilon()};
  plan.layers = bert_layers(hyper);
  plan.max_tokens = hyper.context_length();
  return plan;
}

NetworkHead::Plan deberta_head(const Hyperparameters& hyper) {
  return {.sequence = activation_from_name(hyper.word_or("pooler_activation", "gelu"), hyper.origin()),
          .masked = hyper.activation(ActivationFunction::kGelu),
          .epsilon = hyper.epsilon()};
}

void add_disentangled_bias(Weights& weights, const Hyperparameters& hyper,
                           std::shared_ptr<const DistanceRows> distances, ConstMatrixView positions,
                           const std::string& key, const std::string& query, EncoderPlan& plan) {
  const PositionTerms terms(hyper);
  const int64_t width = hyper.width();
  LayerInput input;
  input.set(positions);
  Work work;  // of loading: no part of what a pass takes
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const auto projected = [&](bool wanted, const std::string& name) {
      Matrix rows;
      if (!wanted) return rows;
      rows.resize(positions.rows, width);
      Linear(weights, {fmt::format("blk.{}.{}", i, name), width}, width)(input, rows.view(), work);
      return rows;
    };
    const Matrix keys = projected(terms.content_to_position, key),
                 queries = projected(terms.position_to_content, query);
    plan.layers[i].bias =
        std::make_shared<DisentangledBias>(plan.layers[i].attention, distances, keys.view(), queries.view());
  }
}

namespace {

void read_config(ConfigReader& config) {
  read_deberta_config(config);
  config.flag("talking_head", "attention.talking_heads", false);
}

void describe(const Hyperparameters& hyper, Description& d) {
  const int64_t width = hyper.width(), heads = hyper.attention().heads;
  const PositionTerms terms(hyper);
  describe_deberta_embeddings(hyper, d, deberta_distances(hyper));
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("encoder.layer.{}.", layer));
    d.linear({.name = "attn_qkv",
              .source = "attention.self.in_proj",
              .outputs = 3 * width,
              .inputs = width,
              .bias = false,
              .change = regroup_rows(heads, 3)});
    d.tensor({"attn_q.bias", "attention.self.q_bias", {width}, Role::kBias});
    d.tensor({"attn_v.bias", "attention.self.v_bias", {width}, Role::kBias});
    if (terms.content_to_position)
      d.linear({.name = "attn_pos_k",
                .source = "attention.self.pos_proj",
                .outputs = width,
                .inputs = width,
                .bias = false});
    if (terms.position_to_content)
      d.linear(
          {.name = "attn_pos_q", .source = "attention.self.pos_q_proj", .outputs = width, .inputs = width});
    if (hyper.flag_or("attention.talking_heads", false)) {
      d.table(Role::kTable, "attn_talk_scores", "attention.self.head_logits_proj", heads, heads);
      d.table(Role::kTable, "attn_talk_probs", "attention.self.head_weights_proj", heads, heads);
    }
    describe_bert_outputs(hyper, d);
  }
  describe_deberta_heads(hyper, d);
}

/// A row for every distance; those beyond the last share it.
std::shared_ptr<const DistanceRows> distance_rows(int64_t reach, int64_t distances) {
  auto all = std::make_shared<DistanceRows>();
  all->reach = reach;
  for (int64_t distance = 1 - reach; distance < reach; ++distance)
    all->rows.push_back(
        static_cast<int32_t>(std::clamp<int64_t>(distance + distances, 0, 2 * distances - 1)));
  return all;
}

/// DeBERTa (He et al. 2021): BERT's layers with disentangled attention, fused queries, keys and values of
/// which the keys have no bias.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions&) {
  EncoderPlan plan = deberta_plan(hyper);
  if (PositionTerms(hyper)) {
    const int64_t distances = deberta_distances(hyper);
    const Matrix positions = weights.values("relative_position_embd.weight", 2 * distances, hyper.width());
    add_disentangled_bias(weights, hyper, distance_rows(plan.max_tokens, distances), positions.view(),
                          "attn_pos_k", "attn_pos_q", plan);
  }
  return std::make_unique<TextEncoder>(weights, std::move(plan), deberta_head(hyper));
}

constexpr std::string_view kTypes[] = {"deberta"};

}  // namespace

const Family& deberta_family() {
  static constexpr Family kFamily{"deberta", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
