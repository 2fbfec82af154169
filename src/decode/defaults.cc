#include "decode/defaults.h"

#include <algorithm>
#include <set>

#include <wattle/error.h>

namespace wattle::inline decode {
namespace {

constexpr std::string_view kPrefix = "wattle.generation.";

/// The keys of a task before those of the model.
class Keys {
 public:
  Keys(const Metadata& metadata, std::string_view task) : metadata_(metadata) {
    if (!task.empty()) prefixes_.push_back(std::string(kPrefix) + "task." + std::string(task) + ".");
    prefixes_.emplace_back(kPrefix);
  }

  const std::string& origin() const { return metadata_.origin(); }
  /// The full name of a key that is there.
  std::optional<std::string> find(std::string_view name) const {
    for (const std::string& prefix : prefixes_) {
      std::string key = prefix + std::string(name);
      if (metadata_.find(key) != nullptr) return key;
    }
    return std::nullopt;
  }
  std::optional<int64_t> integer(std::string_view name) const {
    const auto key = find(name);
    return key ? metadata_.integer(*key) : std::nullopt;
  }
  std::optional<double> number(std::string_view name) const {
    const auto key = find(name);
    return key ? metadata_.number(*key) : std::nullopt;
  }
  std::optional<bool> flag(std::string_view name) const {
    const auto key = find(name);
    return key ? metadata_.flag(*key) : std::nullopt;
  }
  std::optional<std::string> text(std::string_view name) const {
    const auto key = find(name);
    return key ? metadata_.text(*key) : std::nullopt;
  }
  std::span<const double> numbers(std::string_view name) const {
    const auto key = find(name);
    return key ? metadata_.numbers(*key) : std::span<const double>();
  }
  std::optional<std::vector<TokenId>> ids(std::string_view name) const {
    const auto key = find(name);
    if (!key) return std::nullopt;
    const auto values = metadata_.integers(*key);
    return std::vector<TokenId>(values.begin(), values.end());
  }
  /// Lists that stand one behind the other, each after its length.
  std::optional<std::vector<std::vector<TokenId>>> lists(std::string_view name) const {
    const auto flat = ids(name);
    if (!flat) return std::nullopt;
    std::vector<std::vector<TokenId>> lists;
    for (size_t i = 0; i < flat->size();) {
      const auto length = static_cast<size_t>((*flat)[i++]);
      if (length > flat->size() - i) {
        fail("{}: {} is cut; convert the model again from its original files", origin(), *find(name));
      }
      lists.emplace_back(flat->begin() + static_cast<std::ptrdiff_t>(i),
                         flat->begin() + static_cast<std::ptrdiff_t>(i + length));
      i += length;
    }
    return lists;
  }

 private:
  const Metadata& metadata_;
  std::vector<std::string> prefixes_;
};

std::optional<EarlyStopping> early_stopping(const Keys& keys) {
  const auto text = keys.text("early_stopping");
  if (!text) return std::nullopt;
  if (*text == "yes") return EarlyStopping::kYes;
  if (*text == "no") return EarlyStopping::kNo;
  if (*text == "never") return EarlyStopping::kNever;
  fail("{}: early_stopping is \"{}\"; convert the model again from its original files", keys.origin(), *text);
}

std::optional<std::vector<ForcedToken>> forced_tokens(const Keys& keys) {
  const auto pairs = keys.lists("forced_decoder_ids");
  if (!pairs) return std::nullopt;
  std::vector<ForcedToken> forced;
  for (const auto& pair : *pairs) {
    if (pair.size() != 2) {
      fail("{}: forced_decoder_ids holds something else than positions with tokens; correct it",
           keys.origin());
    }
    forced.push_back({pair[0], pair[1]});
  }
  return forced;
}

std::vector<SequenceBias> sequence_biases(const Keys& keys) {
  const auto sequences = keys.lists("sequence_bias_ids").value_or(std::vector<std::vector<TokenId>>());
  const auto values = keys.numbers("sequence_bias");
  if (sequences.size() != values.size()) {
    fail("{}: sequence_bias has {} values for {} sequences; correct it", keys.origin(), values.size(),
         sequences.size());
  }
  std::vector<SequenceBias> biases;
  for (size_t i = 0; i < values.size(); ++i) biases.push_back({sequences[i], static_cast<float>(values[i])});
  return biases;
}

std::optional<SamplerOptions> sampler(const Keys& keys) {
  if (!keys.flag("do_sample").value_or(false)) return std::nullopt;
  SamplerOptions sampler;
  sampler.temperature = keys.number("temperature").value_or(1);
  sampler.top_k = static_cast<int>(keys.integer("top_k").value_or(50));  // transformers' own default
  sampler.top_p = keys.number("top_p").value_or(1);
  sampler.min_p = keys.number("min_p").value_or(0);
  sampler.typical = keys.number("typical_p").value_or(1);
  return sampler;
}

std::optional<TokenId> token(const std::optional<int64_t>& id) {
  return id ? std::optional(static_cast<TokenId>(*id)) : std::nullopt;
}

}  // namespace

GenerationDefaults generation_defaults(const Metadata& metadata, const Tokenizer* tokenizer,
                                       int64_t vocabulary, std::string_view task) {
  const Keys keys(metadata, task);
  GenerationDefaults defaults;
  GenerationOptions& options = defaults.options;
  options.max_tokens = keys.integer("max_new_tokens");
  options.min_tokens = keys.integer("min_new_tokens");
  options.max_length = keys.integer("max_length");
  options.min_length = keys.integer("min_length");
  options.repetition_penalty = keys.number("repetition_penalty");
  options.sequence_bias = sequence_biases(keys);
  options.no_repeat_ngram = keys.integer("no_repeat_ngram_size");
  options.encoder_no_repeat_ngram = keys.integer("encoder_no_repeat_ngram_size");
  options.bad_words = keys.lists("bad_words_ids");
  options.forced_bos = token(keys.integer("forced_bos_token_id"));
  options.forced_eos = keys.ids("forced_eos_token_id");
  options.forced_tokens = forced_tokens(keys);
  options.suppress = keys.ids("suppress_tokens");
  options.begin_suppress = keys.ids("begin_suppress_tokens");
  options.beams = keys.integer("num_beams");
  options.length_penalty = keys.number("length_penalty");
  options.early_stopping = early_stopping(keys);
  options.end_tokens = end_tokens(metadata, tokenizer, vocabulary);
  defaults.sampler = sampler(keys);
  defaults.decoder_start = token(keys.integer("decoder_start_token_id"));
  if (!defaults.decoder_start) {
    // GGUF's key.
    defaults.decoder_start = token(
        metadata.integer(metadata.text("general.architecture").value_or("") + ".decoder_start_token_id"));
  }
  defaults.prefix = keys.text("prefix").value_or("");
  check(options, vocabulary);
  return defaults;
}

std::vector<TokenId> end_tokens(const Metadata& metadata, const Tokenizer* tokenizer, int64_t vocabulary) {
  std::set<int64_t> ids;
  for (const int64_t id : metadata.integers("wattle.generation.eos_token_id")) ids.insert(id);
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (const auto id = metadata.integer(key)) ids.insert(*id);
  }
  for (TokenId id = 0; tokenizer != nullptr && id < tokenizer->size(); ++id) {
    if (tokenizer->ends_generation(id)) ids.insert(id);
  }
  std::erase_if(ids, [&](int64_t id) { return id < 0 || id >= vocabulary; });
  return {ids.begin(), ids.end()};
}

}  // namespace wattle::inline decode
