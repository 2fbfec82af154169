#pragma once

#include <array>
#include <filesystem>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "decode/options.h"
#include "families/capabilities.h"

namespace wattle {

inline constexpr int64_t kToyVocabulary = 64;

/// The model of tests/golden/make_generation.py: its logits are a formula of the last two tokens, which it
/// reads from its key-value cache alone, where they stand as keys and values. With `whole` they are one of
/// all tokens.
class FormulaModel : public ContinuesText {
 public:
  explicit FormulaModel(bool whole = false) : whole_(whole) {}

  std::unique_ptr<KeyValueCache> new_cache(int64_t capacity) const override {
    ++caches_made_;
    return std::make_unique<KeyValueCache>(CacheShape{2, 2, 1, capacity, Format::kF32});
  }

  void forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits,
               Work& work) override {
    ++passes_;
    if (wanted != LogitsWanted::kLast) throw std::logic_error("only the last logits are asked for");
    logits.resize(static_cast<int64_t>(inputs.size()), kToyVocabulary);
    for (size_t i = 0; i < inputs.size(); ++i) {
      for (const TokenId token : inputs[i].tokens) {
        store(*inputs[i].cache, token);
        ++work.tokens_in;
        work.macs_fp32 += 1;
      }
      write_row(*inputs[i].cache, logits.row(static_cast<int64_t>(i)));
    }
    most_inputs_ = std::max(most_inputs_, static_cast<int64_t>(inputs.size()));
  }

  int64_t vocabulary() const override { return kToyVocabulary; }
  int64_t context_length() const override { return 512; }

  int64_t passes() const { return passes_; }
  int64_t most_inputs() const { return most_inputs_; }
  int64_t caches_made() const { return caches_made_; }

 private:
  static void store(KeyValueCache& cache, TokenId token) {
    for (int64_t layer = 0; layer < 2; ++layer) {
      for (int64_t head = 0; head < 2; ++head) {
        const float key = static_cast<float>(token), value = key + static_cast<float>(10 * layer + head);
        cache.store(layer, head, cache.length(), &key, &value);
      }
    }
    cache.advance(1);
  }

  /// The token at a position, which every layer and head must remember.
  static int64_t token_at(const KeyValueCache& cache, int64_t position) {
    int64_t token = -1;
    for (int64_t layer = 0; layer < 2; ++layer) {
      for (int64_t head = 0; head < 2; ++head) {
        const HeadCache at = cache.head(layer, head);
        const auto* block =
            reinterpret_cast<const float*>(at.keys + position / kKeyBlock * at.key_block_bytes);
        const auto* values = reinterpret_cast<const float*>(at.values);
        const auto key = static_cast<int64_t>(block[position % kKeyBlock]);
        const int64_t value = static_cast<int64_t>(values[position]) - 10 * layer - head;
        if (key != value || (token >= 0 && key != token)) throw std::logic_error("the cache is muddled");
        token = key;
      }
    }
    return token;
  }

  void write_row(const KeyValueCache& cache, std::span<float> row) const {
    constexpr int64_t kPrime = 67;
    const int64_t length = cache.length(), last = token_at(cache, length - 1);
    int64_t before = length > 1 ? token_at(cache, length - 2) : 0;
    for (int64_t i = 0; whole_ && i < length; ++i) before = (before * 31 + token_at(cache, i)) % 1009;
    const int64_t factor = 1 + (31 * before + 17 * last) % (kPrime - 1);
    const auto scale = static_cast<float>(64 + (13 * before + 7 * last) % 29);
    for (int64_t token = 0; token < kToyVocabulary; ++token) {
      const auto rank = static_cast<float>(((token + 1) * factor + before * before + 3 * last) % kPrime);
      row[static_cast<size_t>(token)] = rank * rank * scale / 32768 + (token < 2 ? 1.5f : 0.0f);
    }
  }

  bool whole_;
  int64_t passes_ = 0, most_inputs_ = 0;
  mutable int64_t caches_made_ = 0;
};

/// Token i is the i-th of its pieces; the rest have no text.
class PieceTokenizer : public Tokenizer {
 public:
  explicit PieceTokenizer(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  std::vector<TokenId> encode(std::string_view, EncodeOptions) const override { return {}; }
  std::vector<TokenId> encode_parts(std::span<const TextPart>, bool) const override { return {}; }
  std::string piece(TokenId id) const override {
    return static_cast<size_t>(id) < pieces_.size() ? pieces_[static_cast<size_t>(id)] : std::string();
  }
  std::string token_text(TokenId id) const override { return piece(id); }
  /// As SentencePiece: a space at the beginning goes.
  std::string decode(std::span<const TokenId> ids) const override {
    std::string text;
    for (const TokenId id : ids) text += piece(id);
    return text.starts_with(' ') ? text.substr(1) : text;
  }
  int size() const override { return static_cast<int>(pieces_.size()); }
  std::string_view kind() const override { return "pieces"; }

 private:
  std::vector<std::string> pieces_;
};

inline nlohmann::json generation_golden(const std::string& name) {
  return read_json_file(std::filesystem::path(WATTLE_SOURCE_DIR) / "tests/golden/generation" / name);
}

/// Options under transformers' names, as the golden files have them.
inline GenerationOptions golden_options(const nlohmann::json& json) {
  using Ids = std::vector<TokenId>;
  GenerationOptions options;
  const auto set = [&](const char* key, auto& option) {
    if (!json.contains(key)) return;
    option = json[key].get<typename std::remove_reference_t<decltype(option)>::value_type>();
  };
  set("max_new_tokens", options.max_tokens);
  set("min_new_tokens", options.min_tokens);
  set("max_length", options.max_length);
  set("min_length", options.min_length);
  set("no_repeat_ngram_size", options.no_repeat_ngram);
  set("encoder_no_repeat_ngram_size", options.encoder_no_repeat_ngram);
  set("repetition_penalty", options.repetition_penalty);
  set("bad_words_ids", options.bad_words);
  set("forced_bos_token_id", options.forced_bos);
  set("suppress_tokens", options.suppress);
  set("begin_suppress_tokens", options.begin_suppress);
  set("num_beams", options.beams);
  set("length_penalty", options.length_penalty);
  if (json.contains("eos_token_id") && !json["eos_token_id"].is_null()) {
    options.end_tokens = json["eos_token_id"].get<Ids>();
  }
  if (json.contains("forced_eos_token_id")) {
    const auto& forced = json["forced_eos_token_id"];
    options.forced_eos = forced.is_array() ? forced.get<Ids>() : Ids{forced.get<TokenId>()};
  }
  if (json.contains("forced_decoder_ids")) {
    options.forced_tokens.emplace();
    for (const auto& pair : json["forced_decoder_ids"]) options.forced_tokens->push_back({pair[0], pair[1]});
  }
  if (json.contains("sequence_bias")) {
    for (const auto& pair : json["sequence_bias"]) {
      options.sequence_bias.push_back({pair[0].get<Ids>(), pair[1].get<float>()});
    }
  }
  if (json.contains("early_stopping")) {
    const auto& value = json["early_stopping"];
    options.early_stopping = value.is_string()   ? EarlyStopping::kNever
                             : value.get<bool>() ? EarlyStopping::kYes
                                                 : EarlyStopping::kNo;
  }
  options.return_sequences = json.value("num_return_sequences", 1);
  return options;
}

}  // namespace wattle
