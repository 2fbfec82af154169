#include "decode/options.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <wattle/error.h>

namespace wattle::inline decode {
namespace {

constexpr int64_t kMostBeams = 256;

void check_count(const std::optional<int64_t>& value, const char* what, int64_t least) {
  if (value && *value < least) fail("{} {}: must be {} or more", what, *value, least);
}

void check_ids(const GenerationOptions& options, int64_t vocabulary) {
  check_tokens(options.end_tokens, "end tokens", vocabulary);
  for (const auto& [token, bias] : options.logit_bias) {
    check_tokens({&token, 1}, "logit bias", vocabulary);
    if (std::isnan(bias)) fail("logit bias of token {}: is not a number", token);
  }
  for (const SequenceBias& entry : options.sequence_bias) {
    if (entry.tokens.empty()) fail("sequence bias: a sequence has no tokens; give at least one");
    check_tokens(entry.tokens, "sequence bias", vocabulary);
    if (std::isnan(entry.bias)) fail("sequence bias: is not a number");
  }
  if (options.bad_words) {
    for (const auto& word : *options.bad_words) {
      if (word.empty()) fail("bad words: one has no tokens; give at least one");
      check_tokens(word, "bad words", vocabulary);
    }
  }
  if (options.forced_bos) check_tokens({&*options.forced_bos, 1}, "forced first token", vocabulary);
  if (options.forced_eos) check_tokens(*options.forced_eos, "forced last token", vocabulary);
  if (options.suppress) check_tokens(*options.suppress, "suppressed tokens", vocabulary);
  if (options.begin_suppress) check_tokens(*options.begin_suppress, "suppressed first tokens", vocabulary);
  if (options.forced_tokens) {
    for (const ForcedToken& forced : *options.forced_tokens) {
      check_tokens({&forced.token, 1}, "forced tokens", vocabulary);
    }
  }
}

void check_beams(const GenerationOptions& options) {
  const int64_t beams = options.beam_count();
  if (beams < 1 || beams > kMostBeams) fail("{} beams: give 1 to {}", beams, kMostBeams);
  if (options.length_penalty && !std::isfinite(*options.length_penalty)) {
    fail("length penalty {}: must be a finite number", *options.length_penalty);
  }
  if (options.return_sequences < 1 || options.return_sequences > beams) {
    fail("{} answers of {} beams: give 1 to {}", options.return_sequences, beams, beams);
  }
  if (beams == 1) return;
  if (options.sampler.temperature != 0) {
    fail("beam search draws nothing: leave the temperature at 0, or use one beam");
  }
  if (!options.stop.empty()) {
    fail("beam search ends its texts at end tokens; leave the stop strings out, or use one beam");
  }
}

}  // namespace

void check_tokens(std::span<const TokenId> tokens, const char* what, int64_t vocabulary) {
  for (const TokenId token : tokens) {
    if (token < 0 || token >= vocabulary) {
      fail("{}: token {} is beyond the vocabulary of {}; give ids of this model", what, token, vocabulary);
    }
  }
}

std::string_view name(FinishReason reason) {
  constexpr std::string_view kNames[] = {"end", "stop", "length", "context", "forbidden", "cancelled"};
  return kNames[static_cast<size_t>(reason)];
}

int64_t GenerationOptions::most_tokens(int64_t prompt_length, int64_t otherwise) const {
  if (max_tokens) return *max_tokens;
  if (max_length) return std::max<int64_t>(0, *max_length - prompt_length);
  return otherwise;
}

void check(const GenerationOptions& options, int64_t vocabulary) {
  check_count(options.max_tokens, "tokens to generate", 1);
  check_count(options.min_tokens, "least tokens to generate", 0);
  check_count(options.max_length, "greatest length", 1);
  check_count(options.min_length, "least length", 0);
  check_count(options.no_repeat_ngram, "tokens that are not repeated", 0);
  check_count(options.encoder_no_repeat_ngram, "tokens that are not copied", 0);
  if (options.max_tokens && options.min_tokens && *options.min_tokens > *options.max_tokens) {
    fail("at least {} tokens and at most {}: give a least number that is not above the greatest",
         *options.min_tokens, *options.max_tokens);
  }
  if (const double penalty = options.repetition_penalty.value_or(1);
      !(penalty > 0 && std::isfinite(penalty))) {
    fail("repetition penalty {}: must be above 0 (1 changes nothing)", penalty);
  }
  if (!std::isfinite(options.frequency_penalty) || !std::isfinite(options.presence_penalty)) {
    fail("frequency and presence penalties must be finite numbers");
  }
  for (const std::string& stop : options.stop) {
    if (stop.empty()) fail("a stop string is empty; give it at least one character");
  }
  check(options.sampler);
  check_ids(options, vocabulary);
  check_beams(options);
}

GenerationOptions with_defaults(GenerationOptions options, const GenerationOptions& defaults) {
  const auto fill = [&](auto... members) {
    const auto one = [&](auto member) {
      if (!(options.*member)) options.*member = defaults.*member;
    };
    (one(members), ...);
  };
  using O = GenerationOptions;
  // A wish in tokens outweighs a default that counts the prompt, so the two never meet.
  if (!options.max_tokens && !options.max_length) {
    fill(&O::max_tokens, &O::max_length);
  }
  if (!options.min_tokens && !options.min_length) {
    fill(&O::min_tokens, &O::min_length);
    if (options.min_tokens && options.max_tokens) {
      options.min_tokens = std::min(*options.min_tokens, *options.max_tokens);
    }
  }
  fill(&O::repetition_penalty, &O::no_repeat_ngram, &O::encoder_no_repeat_ngram, &O::bad_words,
       &O::forced_bos, &O::forced_eos, &O::forced_tokens, &O::suppress, &O::begin_suppress, &O::beams,
       &O::length_penalty, &O::early_stopping);
  if (options.end_tokens.empty()) options.end_tokens = defaults.end_tokens;
  if (options.sequence_bias.empty()) options.sequence_bias = defaults.sequence_bias;
  return options;
}

}  // namespace wattle::inline decode
