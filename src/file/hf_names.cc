#include "file/hf_names.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include <wattle/error.h>

namespace wattle {
namespace {

constexpr NameRule kBertNames[] = {
    {"embeddings.word_embeddings", "token_embd"},
    {"embeddings.position_embeddings", "position_embd"},
    {"embeddings.token_type_embeddings", "token_types"},
    {"embeddings.LayerNorm", "token_embd_norm"},
    {"encoder.layer.{}.attention.self.query", "blk.{}.attn_q"},
    {"encoder.layer.{}.attention.self.key", "blk.{}.attn_k"},
    {"encoder.layer.{}.attention.self.value", "blk.{}.attn_v"},
    {"encoder.layer.{}.attention.output.dense", "blk.{}.attn_output"},
    {"encoder.layer.{}.attention.output.LayerNorm", "blk.{}.attn_output_norm"},
    {"encoder.layer.{}.intermediate.dense", "blk.{}.ffn_up"},
    {"encoder.layer.{}.output.dense", "blk.{}.ffn_down"},
    {"encoder.layer.{}.output.LayerNorm", "blk.{}.layer_output_norm"},
};
constexpr std::string_view kBertPrefixes[] = {"bert."};
constexpr std::string_view kBertUnused[] = {"embeddings.position_ids", "pooler.", "cls.", "classifier.",
                                            "qa_outputs."};
constexpr KeyRule kEncoderKeys[] = {
    {"num_hidden_layers", "block_count"},
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"num_attention_heads", "attention.head_count"},
    {"layer_norm_eps", "attention.layer_norm_epsilon", KeyRule::kFloat},
};
constexpr ExpectedWord kEncoderWords[] = {{"hidden_act", "gelu"}, {"position_embedding_type", "absolute"}};

constexpr NameRule kMpnetNames[] = {
    {"embeddings.word_embeddings", "token_embd"},
    {"embeddings.position_embeddings", "position_embd"},
    {"embeddings.LayerNorm", "token_embd_norm"},
    {"encoder.relative_attention_bias", "attn_rel_b"},
    {"encoder.layer.{}.attention.attn.q", "blk.{}.attn_q"},
    {"encoder.layer.{}.attention.attn.k", "blk.{}.attn_k"},
    {"encoder.layer.{}.attention.attn.v", "blk.{}.attn_v"},
    {"encoder.layer.{}.attention.attn.o", "blk.{}.attn_output"},
    {"encoder.layer.{}.attention.LayerNorm", "blk.{}.attn_output_norm"},
    {"encoder.layer.{}.intermediate.dense", "blk.{}.ffn_up"},
    {"encoder.layer.{}.output.dense", "blk.{}.ffn_down"},
    {"encoder.layer.{}.output.LayerNorm", "blk.{}.layer_output_norm"},
};
constexpr std::string_view kMpnetPrefixes[] = {"mpnet."};
constexpr std::string_view kMpnetUnused[] = {"embeddings.position_ids", "pooler.", "lm_head.", "classifier.",
                                             "qa_outputs."};

constexpr NameRule kLlamaNames[] = {
    {"embed_tokens", "token_embd"},
    {"norm", "output_norm"},
    {"lm_head", "output"},
    {"layers.{}.input_layernorm", "blk.{}.attn_norm"},
    {"layers.{}.self_attn.q_proj", "blk.{}.attn_q", Change::kInterleaveQueries},
    {"layers.{}.self_attn.k_proj", "blk.{}.attn_k", Change::kInterleaveKeys},
    {"layers.{}.self_attn.v_proj", "blk.{}.attn_v"},
    {"layers.{}.self_attn.o_proj", "blk.{}.attn_output"},
    {"layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"},
    {"layers.{}.mlp.gate_proj", "blk.{}.ffn_gate"},
    {"layers.{}.mlp.up_proj", "blk.{}.ffn_up"},
    {"layers.{}.mlp.down_proj", "blk.{}.ffn_down"},
};
constexpr NameRule kQwen2Names[] = {
    {"embed_tokens", "token_embd"},
    {"norm", "output_norm"},
    {"lm_head", "output"},
    {"layers.{}.input_layernorm", "blk.{}.attn_norm"},
    {"layers.{}.self_attn.q_proj", "blk.{}.attn_q"},
    {"layers.{}.self_attn.k_proj", "blk.{}.attn_k"},
    {"layers.{}.self_attn.v_proj", "blk.{}.attn_v"},
    {"layers.{}.self_attn.o_proj", "blk.{}.attn_output"},
    {"layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"},
    {"layers.{}.mlp.gate_proj", "blk.{}.ffn_gate"},
    {"layers.{}.mlp.up_proj", "blk.{}.ffn_up"},
    {"layers.{}.mlp.down_proj", "blk.{}.ffn_down"},
};
constexpr std::string_view kDecoderPrefixes[] = {"model."};
constexpr std::string_view kDecoderUnused[] = {"layers.{}.self_attn.rotary_emb.", "score."};
constexpr KeyRule kDecoderKeys[] = {
    {"num_hidden_layers", "block_count"},
    {"max_position_embeddings", "context_length"},
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads", "attention.head_count_kv", KeyRule::kInteger, false},
    {"head_dim", "attention.key_length", KeyRule::kInteger, false},
    {"head_dim", "attention.value_length", KeyRule::kInteger, false},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", KeyRule::kFloat},
    {"vocab_size", "vocab_size"},
};
constexpr ExpectedWord kLlamaWords[] = {{"hidden_act", "silu"}};

constexpr NameRule kGemma3Names[] = {
    {"embed_tokens", "token_embd"},
    {"norm", "output_norm", Change::kAddOne},
    {"lm_head", "output"},
    {"layers.{}.input_layernorm", "blk.{}.attn_norm", Change::kAddOne},
    {"layers.{}.self_attn.q_proj", "blk.{}.attn_q"},
    {"layers.{}.self_attn.k_proj", "blk.{}.attn_k"},
    {"layers.{}.self_attn.v_proj", "blk.{}.attn_v"},
    {"layers.{}.self_attn.q_norm", "blk.{}.attn_q_norm", Change::kAddOne},
    {"layers.{}.self_attn.k_norm", "blk.{}.attn_k_norm", Change::kAddOne},
    {"layers.{}.self_attn.o_proj", "blk.{}.attn_output"},
    {"layers.{}.post_attention_layernorm", "blk.{}.post_attention_norm", Change::kAddOne},
    {"layers.{}.pre_feedforward_layernorm", "blk.{}.ffn_norm", Change::kAddOne},
    {"layers.{}.post_feedforward_layernorm", "blk.{}.post_ffw_norm", Change::kAddOne},
    {"layers.{}.mlp.gate_proj", "blk.{}.ffn_gate"},
    {"layers.{}.mlp.up_proj", "blk.{}.ffn_up"},
    {"layers.{}.mlp.down_proj", "blk.{}.ffn_down"},
};
constexpr std::string_view kGemma3Prefixes[] = {"model.", "language_model."};
constexpr std::string_view kGemma3Unused[] = {"vision_tower.", "multi_modal_projector.",
                                              "layers.{}.self_attn.rotary_emb."};
constexpr ExpectedWord kGemma3Words[] = {{"hidden_activation", "gelu_pytorch_tanh"}};

std::string key(const ModelFile::Contents& contents, std::string_view name) {
  return contents.metadata.need_text("general.architecture") + "." + std::string(name);
}

void set_integer(ModelFile::Contents& contents, std::string_view name, int64_t value) {
  if (value < 0 || value > int64_t{UINT32_MAX}) {
    fail("{}: {} would be {}; correct config.json or get it again", contents.metadata.origin(), name, value);
  }
  contents.metadata.set(key(contents, name), Value::of(value));
}

void finish_bert(const JsonView& config, ModelFile::Contents& contents) {
  set_integer(contents, "context_length", config.integer("max_position_embeddings").value_or(512));
  contents.metadata.set(key(contents, "attention.causal"), Value::of(false));
  contents.metadata.set("tokenizer.ggml.token_type_count",
                        Value::of(config.integer("type_vocab_size").value_or(2)));
}

void finish_mpnet(const JsonView& config, ModelFile::Contents& contents) {
  // The first two rows of the position table belong to no token: counting begins after the padding id, 1.
  set_integer(contents, "context_length", config.integer("max_position_embeddings").value_or(514) - 2);
  set_integer(contents, "attention.relative_buckets_count",
              config.integer("relative_attention_num_buckets").value_or(32));
  contents.metadata.set(key(contents, "attention.causal"), Value::of(false));
}

/// Llama 3.1 and later slow down the lower frequencies of the rotation; the factors travel as a tensor, one
/// for each pair of a head, as llama.cpp reads them.
void add_rope_factors(const JsonView& scaling, double base, int64_t head_dim, ModelFile::Contents& contents) {
  const auto need = [&](const char* name) {
    const auto value = scaling.number(name);
    if (!value || !(*value > 0))
      fail("{}: rope_scaling lacks a positive {}; correct the file", scaling.origin(), name);
    return *value;
  };
  const double factor = need("factor");
  const double low = need("low_freq_factor");
  const double high = need("high_freq_factor");
  const double context = need("original_max_position_embeddings");
  if (head_dim <= 0 || head_dim > 65536 || high <= low) {
    fail("{}: rope_scaling asks for the impossible; correct the file", scaling.origin());
  }
  std::vector<float> factors;
  for (int64_t i = 0; i < head_dim; i += 2) {
    const double frequency = std::pow(base, -static_cast<double>(i) / static_cast<double>(head_dim));
    const double wavelength = 2 * std::numbers::pi / frequency;
    const double smooth = std::clamp((context / wavelength - low) / (high - low), 0.0, 1.0);
    factors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
  }
  const auto bytes = std::as_bytes(std::span(factors));
  contents.owned.push_back(std::make_unique<std::vector<std::byte>>(bytes.begin(), bytes.end()));
  contents.tensors.push_back(
      {"rope_freqs.weight", Format::kF32, {static_cast<int64_t>(factors.size())}, *contents.owned.back()});
}

/// Rotary positions: base, and the ways to stretch them that are known here.
void finish_decoder(const JsonView& config, ModelFile::Contents& contents) {
  const int64_t heads = contents.metadata.need_integer(key(contents, "attention.head_count"));
  const int64_t width = contents.metadata.need_integer(key(contents, "embedding_length"));
  if (heads < 1) fail("{}: num_attention_heads is {}; correct the file", config.origin(), heads);
  const int64_t head_dim = config.integer("head_dim").value_or(width / heads);
  if (!config.integer("num_key_value_heads")) set_integer(contents, "attention.head_count_kv", heads);
  set_integer(contents, "rope.dimension_count", head_dim);

  const JsonView parameters = config.child("rope_parameters");
  const double base = config.number("rope_theta").value_or(parameters.number("rope_theta").value_or(10000));
  contents.metadata.set(key(contents, "rope.freq_base"), Value::of(base));
  const JsonView scaling = config.find("rope_scaling") != nullptr ? config.child("rope_scaling") : parameters;
  const std::string kind = scaling.text("rope_type").value_or(scaling.text("type").value_or("default"));
  if (kind == "llama3") {
    add_rope_factors(scaling, base, head_dim, contents);
  } else if (kind == "linear") {
    contents.metadata.set(key(contents, "rope.scaling.type"), Value::of(std::string("linear")));
    contents.metadata.set(key(contents, "rope.scaling.factor"),
                          Value::of(scaling.number("factor").value_or(1)));
  } else if (kind != "default") {
    fail("{}: rope_scaling of the kind {} is not known here, only llama3 and linear; use another model",
         config.origin(), kind);
  }
}

void finish_qwen2(const JsonView& config, ModelFile::Contents& contents) {
  if (config.flag("use_sliding_window").value_or(false)) {
    fail("{}: use_sliding_window is not known here for qwen2; use another model", config.origin());
  }
  finish_decoder(config, contents);
}

/// Gemma 3's constants are part of the architecture in GGUF: a model with others would compute something
/// else.
void finish_gemma3(const JsonView& config, ModelFile::Contents& contents) {
  const auto expect = [&](const char* name, double value) {
    const double found = config.number(name).value_or(value);
    if (found != value) {
      fail("{}: {} is {} where gemma3 files mean {}; use another model", config.origin(), name, found, value);
    }
  };
  constexpr double kHeadDim = 256;      // what the reference takes where config.json says nothing
  constexpr int64_t kLayersOf27B = 62;  // it alone scales by width / heads
  expect("sliding_window_pattern", 6);
  expect("_sliding_window_pattern", 6);
  expect("rope_local_base_freq", 10000);
  for (const char* cap : {"final_logit_softcapping", "attn_logit_softcapping"}) {
    if (config.find(cap) != nullptr)
      fail("{}: {} is not known for gemma3; use another model", config.origin(), cap);
  }
  const auto head_dim = config.number("head_dim").value_or(kHeadDim);
  if (config.integer("num_hidden_layers") != kLayersOf27B) expect("query_pre_attn_scalar", head_dim);
  set_integer(contents, "attention.key_length", static_cast<int64_t>(head_dim));
  set_integer(contents, "attention.value_length", static_cast<int64_t>(head_dim));
  set_integer(contents, "attention.sliding_window", config.integer("sliding_window").value_or(4096));
  finish_decoder(config, contents);
  if (!config.number("rope_theta") && !config.child("rope_parameters").number("rope_theta")) {
    contents.metadata.set(key(contents, "rope.freq_base"), Value::of(1000000.0));
  }
}

constexpr HfFamily kFamilies[] = {
    {"bert", "bert", kBertPrefixes, kBertNames, kBertUnused, kEncoderKeys, kEncoderWords, true, finish_bert},
    {"mpnet", "mpnet", kMpnetPrefixes, kMpnetNames, kMpnetUnused, kEncoderKeys, kEncoderWords, true,
     finish_mpnet},
    {"llama", "llama", kDecoderPrefixes, kLlamaNames, kDecoderUnused, kDecoderKeys, kLlamaWords, false,
     finish_decoder},
    {"qwen2", "qwen2", kDecoderPrefixes, kQwen2Names, kDecoderUnused, kDecoderKeys, kLlamaWords, false,
     finish_qwen2},
    {"gemma3_text", "gemma3", kGemma3Prefixes, kGemma3Names, kGemma3Unused, kDecoderKeys, kGemma3Words, true,
     finish_gemma3},
    {"gemma3", "gemma3", kGemma3Prefixes, kGemma3Names, kGemma3Unused, kDecoderKeys, kGemma3Words, true,
     finish_gemma3},
};

/// Puts {} in the place of the first number between dots and returns the number's digits.
std::string take_layer(std::string& name) {
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const size_t end = name.find_first_not_of("0123456789", dot + 1);
    if (end == std::string::npos || end == dot + 1 || name[end] != '.') continue;
    const std::string digits = name.substr(dot + 1, end - dot - 1);
    name.replace(dot + 1, digits.size(), "{}");
    return digits;
  }
  return {};
}

std::string with_layer(std::string_view rule, const std::string& layer) {
  std::string name(rule);
  const size_t place = name.find("{}");
  if (place != std::string::npos) name.replace(place, 2, layer);
  return name;
}

/// Cuts ".weight" or ".bias" off; the first BERT files call the two of a norm gamma and beta.
std::string_view take_kind(std::string& name) {
  constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {".weight", ".weight"}, {".bias", ".bias"}, {".gamma", ".weight"}, {".beta", ".bias"}};
  for (const auto& [ending, kind] : kKinds) {
    if (!name.ends_with(ending)) continue;
    name.resize(name.size() - ending.size());
    return kind;
  }
  return {};
}

}  // namespace

const HfFamily& hf_family(const std::string& model_type, const std::string& origin) {
  std::string known;
  for (const HfFamily& family : kFamilies) {
    if (family.model_type == model_type) return family;
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  fail("{}: the model type \"{}\" is not known; use a model of one of {}", origin, model_type, known);
}

MappedName gguf_name(const HfFamily& family, std::string_view hf_name, bool tied, const std::string& origin) {
  std::string name(hf_name);
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view prefix : family.prefixes) {
      if (!name.starts_with(prefix)) continue;
      name.erase(0, prefix.size());
      found = true;
    }
  }
  const std::string layer = take_layer(name);
  for (const std::string_view unused : family.unused) {
    if (name.starts_with(unused)) return {};
  }
  const std::string_view kind = take_kind(name);
  if (tied && name == "lm_head") return {};
  for (const NameRule& rule : family.names) {
    if (!kind.empty() && rule.from == name)
      return {with_layer(rule.to, layer) + std::string(kind), rule.change};
  }
  fail("{}: the tensor {} has no place in a model of the type {}; use the published files of the model",
       origin, hf_name, family.model_type);
}

void read_hf_config(const HfFamily& family, const JsonView& config, ModelFile::Contents& contents) {
  contents.metadata.set("general.architecture", Value::of(std::string(family.architecture)));
  for (const ExpectedWord& word : family.expected) {
    const std::string found = config.text(std::string(word.key)).value_or(std::string(word.value));
    if (found != word.value) {
      fail("{}: {} is \"{}\" and only \"{}\" is known for {}; use another model", config.origin(), word.key,
           found, word.value, family.model_type);
    }
  }
  for (const KeyRule& rule : family.keys) {
    const std::string from(rule.from);
    if (config.find(from) == nullptr) {
      if (rule.required) fail("{}: lacks \"{}\"; get the file again", config.origin(), from);
      continue;
    }
    if (rule.kind == KeyRule::kInteger) {
      set_integer(contents, rule.to, *config.integer(from));
    } else {
      contents.metadata.set(key(contents, rule.to), Value::of(*config.number(from)));
    }
  }
  family.finish(config, contents);
}

}  // namespace wattle
