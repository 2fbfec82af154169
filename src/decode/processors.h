#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "decode/options.h"

namespace wattle::inline decode {

/// Changes the scores of the next token (logits, or log-probabilities in beam search) as the options ask, in
/// the order of transformers' `_get_logits_processor`: biases, repetition penalty, n-grams, the encoder's
/// n-grams, bad words, least lengths, forced first and last tokens, suppressed tokens, forced tokens; the
/// frequency and presence penalties, which it has not, stand beside the repetition penalty.
class LogitsProcessors {
 public:
  /// `prompt_length` tokens of a sequence were not generated; it may grow to `max_length`. `encoder_ids` are
  /// copied. The options must have passed check().
  LogitsProcessors(const GenerationOptions& options, int64_t vocabulary, int64_t prompt_length,
                   int64_t max_length, std::span<const TokenId> encoder_ids = {});

  /// scores [vocabulary] of what follows `ids`, changed in place; minus infinity forbids. Uses memory of this
  /// object: not for two threads at once.
  void apply(std::span<const TokenId> ids, std::span<float> scores);

 private:
  void add_biases(std::span<const TokenId> ids, std::span<float> scores);
  void penalise(std::span<const TokenId> ids, std::span<float> scores);
  void forbid_words(std::span<const TokenId> ids, std::span<float> scores) const;
  void force(int64_t length, std::span<float> scores) const;

  int64_t prompt_length_, max_length_;
  int64_t begin_;  ///< length at which the first free token is chosen
  std::vector<TokenId> encoder_ids_;
  std::vector<std::pair<TokenId, float>> biases_;  ///< of single tokens
  std::vector<SequenceBias> sequence_biases_;
  float repetition_, frequency_, presence_;
  int64_t ngram_, encoder_ngram_;
  std::vector<std::vector<TokenId>> bad_words_;
  int64_t least_length_;
  std::vector<TokenId> ends_;
  std::optional<TokenId> forced_bos_;
  std::vector<TokenId> forced_eos_, suppress_, begin_suppress_;
  std::vector<ForcedToken> forced_;
  // Kept between calls.
  std::vector<int32_t> counts_;  ///< [vocabulary] when there are penalties; zero between calls
  std::vector<std::pair<TokenId, float>> pending_;  ///< biases of one call
};

/// scores = log softmax(scores), in float.
void log_softmax_inplace(std::span<float> scores);

}  // namespace wattle::inline decode
