#include "text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <limits>

#include <wattle/error.h>

namespace wattle::inline text {
namespace {

/// Tokens that end an answer in the chat templates and the pre-training of published models, beside the one
/// that eos_token_id names: a model that was trained with two of them may stop with either.
constexpr std::string_view kEndTexts[] = {"<|im_end|>",      "<end_of_turn>", "<|eot_id|>", "<|endoftext|>",
                                          "<|end_of_text|>", "<|eom_id|>",    "<|end|>",    "<eos>"};

/// Files name tokens that their vocabulary does not have, of a larger one that they were cut from.
std::optional<TokenId> special_id(const Metadata& metadata, std::string_view key, int size) {
  const auto id = metadata.integer(key);
  if (!id || *id < 0 || *id >= size) return std::nullopt;
  return static_cast<TokenId>(*id);
}

void need_for(const Metadata& metadata, bool wanted, std::string_view key, int size) {
  const auto id = metadata.integer(key);
  if (!wanted || !id || (*id >= 0 && *id < size)) return;
  fail(
      "{}: {} is {}, but the vocabulary has {} tokens, and texts are to begin or end with it; convert or "
      "pull the "
      "model again",
      metadata.origin(), key, *id, size);
}

}  // namespace

TokenTable::TokenTable(size_t expected) {
  slots_.resize(std::bit_ceil(std::max<size_t>(16, expected + expected / 3 + 1)));
  mask_ = slots_.size() - 1;
}

bool TokenTable::insert(std::string_view text, TokenId id) {
  if ((used_ + 1) * 4 > slots_.size() * 3) {
    TokenTable larger(slots_.size());  // room for as many tokens as there are slots now
    for (const Slot& slot : slots_) {
      if (slot.id >= 0) larger.insert(slot.text(), slot.id);
    }
    *this = std::move(larger);
  }
  size_t slot = std::hash<std::string_view>{}(text)&mask_;
  for (; slots_[slot].id >= 0; slot = (slot + 1) & mask_) {
    if (slots_[slot].text() == text) return false;
  }
  slots_[slot] = {text.data(), static_cast<uint32_t>(text.size()), id};
  ++used_;
  longest_ = std::max(longest_, text.size());
  return true;
}

Vocabulary::Vocabulary(const Metadata& metadata) : origin_(metadata.origin()) {
  const auto tokens = metadata.strings("tokenizer.ggml.tokens");
  if (tokens.empty()) fail("{}: no tokens (tokenizer.ggml.tokens); convert or pull the model again", origin_);
  if (tokens.size() > static_cast<size_t>(std::numeric_limits<TokenId>::max())) {
    fail("{}: {} tokens are more than ids can number; pull the model again", origin_, tokens.size());
  }
  texts_.assign(tokens.begin(), tokens.end());
  read_types(metadata);
  read_special(metadata);
  find_end_tokens();
}

void Vocabulary::read_types(const Metadata& metadata) {
  const auto types = metadata.integers("tokenizer.ggml.token_type");
  types_.assign(texts_.size(), TokenType::kNormal);
  if (types.empty()) return;
  if (types.size() != texts_.size()) {
    fail("{}: {} tokens but {} entries in tokenizer.ggml.token_type; convert or pull the model again",
         origin_, texts_.size(), types.size());
  }
  for (size_t i = 0; i < types.size(); ++i) {
    // 0 is the specification's "undefined", which some converters write for padding.
    if (types[i] < 0 || types[i] > 6) {
      fail("{}: token {} is of type {}, which GGUF does not know; convert or pull the model again", origin_,
           i, types[i]);
    }
    types_[i] = types[i] == 0 ? TokenType::kUnused : static_cast<TokenType>(types[i]);
  }
}

void Vocabulary::read_special(const Metadata& metadata) {
  const auto id = [&](std::string_view key) { return special_id(metadata, key, size()); };
  special_.bos = id("tokenizer.ggml.bos_token_id");
  special_.eos = id("tokenizer.ggml.eos_token_id");
  special_.eot = id("tokenizer.ggml.eot_token_id");
  special_.unk = id("tokenizer.ggml.unknown_token_id");
  special_.sep = id("tokenizer.ggml.seperator_token_id");  // the specification's spelling
  if (!special_.sep) special_.sep = id("tokenizer.ggml.separator_token_id");
  special_.cls = id("tokenizer.ggml.cls_token_id");
  special_.pad = id("tokenizer.ggml.padding_token_id");
  special_.mask = id("tokenizer.ggml.mask_token_id");
  special_.add_bos = metadata.flag("tokenizer.ggml.add_bos_token").value_or(false);
  special_.add_eos = metadata.flag("tokenizer.ggml.add_eos_token").value_or(false);
  need_for(metadata, special_.add_bos, "tokenizer.ggml.bos_token_id", size());
  need_for(metadata, special_.add_eos, "tokenizer.ggml.eos_token_id", size());
  if (!metadata.find("tokenizer.ggml.token_type")) {
    for (const auto& marked : {special_.bos, special_.eos, special_.eot, special_.unk, special_.sep,
                               special_.cls, special_.pad, special_.mask}) {
      if (marked) types_[static_cast<size_t>(*marked)] = TokenType::kControl;
    }
  }
}

void Vocabulary::find_end_tokens() {
  if (special_.eos) end_tokens_.push_back(*special_.eos);
  if (special_.eot) end_tokens_.push_back(*special_.eot);
  for (TokenId id = 0; id < size(); ++id) {
    if (!is_marked(id)) continue;
    if (std::find(std::begin(kEndTexts), std::end(kEndTexts), text(id)) != std::end(kEndTexts)) {
      end_tokens_.push_back(id);
    }
  }
}

std::optional<TokenId> Vocabulary::find(std::string_view text) const {
  const auto place = std::find(texts_.begin(), texts_.end(), text);
  if (place == texts_.end()) return std::nullopt;
  return static_cast<TokenId>(place - texts_.begin());
}

TokenTable Vocabulary::table(const std::function<bool(TokenId)>& wanted) const {
  TokenTable table(texts_.size());
  for (TokenId id = 0; id < size(); ++id) {
    if (!wanted(id) || text(id).empty()) continue;
    table.insert(text(id), id);
  }
  return table;
}

}  // namespace wattle::inline text
