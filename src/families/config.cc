#include "families/config.h"

#include <algorithm>
#include <cstdint>

#include <wattle/error.h>

#include "families/hyperparameters.h"

namespace wattle::inline families {
namespace {

/// Keys that say how a model was trained or is to be called, not what it computes.
constexpr std::string_view kOfTraining[] = {"_attn_implementation",
                                            "_commit_hash",
                                            "_name_or_path",
                                            "add_cross_attention",
                                            "architectures",
                                            "attention_dropout",
                                            "attention_probs_dropout_prob",
                                            "attn_implementation",
                                            "auto_map",
                                            "begin_suppress_tokens",
                                            "bos_token_id",
                                            "chunk_size_feed_forward",
                                            "classifier_dropout",
                                            "classifier_dropout_prob",
                                            "cross_attention_hidden_size",
                                            "decoder_layerdrop",
                                            "decoder_start_token_id",
                                            "diversity_penalty",
                                            "do_sample",
                                            "dropout",
                                            "dropout_rate",
                                            "dtype",
                                            "early_stopping",
                                            "embd_pdrop",
                                            "embedding_dropout",
                                            "encoder_layerdrop",
                                            "encoder_no_repeat_ngram_size",
                                            "eos_token_id",
                                            "exponential_decay_length_penalty",
                                            "finetuning_task",
                                            "forced_bos_token_id",
                                            "forced_eos_token_id",
                                            "gradient_checkpointing",
                                            "hidden_dropout",
                                            "hidden_dropout_prob",
                                            "id2label",
                                            "init_std",
                                            "initializer_factor",
                                            "initializer_range",
                                            "is_encoder_decoder",
                                            "keys_to_ignore_at_inference",
                                            "label2id",
                                            "layerdrop",
                                            "length_penalty",
                                            "mask_token_id",
                                            "max_length",
                                            "min_length",
                                            "mlp_dropout",
                                            "model_type",
                                            "no_repeat_ngram_size",
                                            "num_beam_groups",
                                            "num_beams",
                                            "num_return_sequences",
                                            "output_attentions",
                                            "output_hidden_states",
                                            "output_past",
                                            "output_scores",
                                            "pad_token_id",
                                            "prefix",
                                            "pretraining_tp",
                                            "problem_type",
                                            "remove_invalid_values",
                                            "repetition_penalty",
                                            "resid_pdrop",
                                            "return_dict",
                                            "return_dict_in_generate",
                                            "sep_token_id",
                                            "suppress_tokens",
                                            "task_specific_params",
                                            "temperature",
                                            "tf_legacy_loss",
                                            "tie_encoder_decoder",
                                            "tie_word_embeddings",
                                            "tokenizer_class",
                                            "top_k",
                                            "top_p",
                                            "torch_dtype",
                                            "torchscript",
                                            "transformers_version",
                                            "typical_p",
                                            "unsloth_fixed",
                                            "unsloth_version",
                                            "use_bfloat16",
                                            "use_cache",
                                            "bad_words_ids",
                                            "unk_token_id",
                                            "cls_token_id"};

}  // namespace

ConfigReader::ConfigReader(const JsonView& config, std::string architecture, Metadata& metadata)
    : config_(config), architecture_(std::move(architecture)), metadata_(metadata) {}

void ConfigReader::set(std::string_view to, Value value) {
  metadata_.set(architecture_ + "." + std::string(to), std::move(value));
}

int64_t ConfigReader::integer(const std::string& from, std::string_view to) {
  if (!has(from)) fail("{}: lacks \"{}\"; get the file again", origin(), from);
  return integer(from, to, 0);
}

int64_t ConfigReader::integer(const std::string& from, std::string_view to, int64_t fallback) {
  const int64_t value = integer_of(from, fallback);
  if (value < 0 || value > int64_t{UINT32_MAX})
    fail("{}: {} is {}, where a number from 0 to 2^32 is needed; correct the file or get it again", origin(),
         from, value);
  set(to, Value::of(value));
  return value;
}

void ConfigReader::integer_if_there(const std::string& from, std::string_view to) {
  if (has(from)) integer(from, to, 0);
}

double ConfigReader::number(const std::string& from, std::string_view to) {
  if (!has(from)) fail("{}: lacks \"{}\"; get the file again", origin(), from);
  return number(from, to, 0);
}

double ConfigReader::number(const std::string& from, std::string_view to, double fallback) {
  const double value = number_of(from, fallback);
  set(to, Value::of(value));
  return value;
}

bool ConfigReader::flag(const std::string& from, std::string_view to, bool fallback) {
  const bool value = flag_of(from, fallback);
  set(to, Value::of(value));
  return value;
}

std::string ConfigReader::word(const std::string& from, std::string_view to, const std::string& fallback) {
  std::string value = word_of(from, fallback);
  set(to, Value::of(value));
  return value;
}

int64_t ConfigReader::integer_of(const std::string& from, int64_t fallback) {
  read_.insert(from);
  return config_.integer(from).value_or(fallback);
}

double ConfigReader::number_of(const std::string& from, double fallback) {
  read_.insert(from);
  return config_.number(from).value_or(fallback);
}

bool ConfigReader::flag_of(const std::string& from, bool fallback) {
  read_.insert(from);
  return config_.flag(from).value_or(fallback);
}

std::string ConfigReader::word_of(const std::string& from, const std::string& fallback) {
  read_.insert(from);
  return config_.text(from).value_or(fallback);
}

JsonView ConfigReader::child(const std::string& from) {
  read_.insert(from);
  return config_.child(from);
}

void ConfigReader::expect(const std::string& from, const nlohmann::json& value) {
  read_.insert(from);
  const nlohmann::json* found = config_.find(from);
  if (found != nullptr && *found != value) {
    fail("{}: {} is {} and only {} is known for {}; use another model", origin(), from, found->dump(),
         value.dump(), architecture_);
  }
}

void ConfigReader::activation(const std::string& from, const std::string& fallback) {
  (void)activation_from_name(word(from, "hidden_activation", fallback), origin());
}

void ConfigReader::ignore(std::initializer_list<const char*> keys) {
  for (const char* key : keys) ignored_.insert(key);
}

std::vector<std::string> ConfigReader::unread() const {
  std::vector<std::string> names;
  config_.each_key([&](const std::string& key) {
    if (read_.count(key) == 0 && ignored_.count(key) == 0 &&
        std::ranges::find(kOfTraining, key) == std::end(kOfTraining))
      names.push_back(key);
  });
  return names;
}

}  // namespace wattle::inline families
