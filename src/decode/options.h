#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "decode/sampler.h"
#include "text/tokenizer.h"

namespace wattle::inline decode {

enum class FinishReason {
  kEnd,        ///< an end token
  kStop,       ///< a stop string
  kLength,     ///< as many tokens as wanted
  kContext,    ///< the cache is full
  kForbidden,  ///< no token is left that the options allow
  kCancelled   ///< by cancel()
};
/// "end", "stop", "length", "context", "forbidden", "cancelled".
std::string_view name(FinishReason reason);

/// When beam search stops looking for better hypotheses, once it has as many as beams (transformers'
/// `early_stopping`).
enum class EarlyStopping {
  kNo,    ///< when the best beam, scored at its present length, cannot beat the worst hypothesis
  kYes,   ///< at once
  kNever  ///< when no beam can, at whatever length favours it
};

/// Adds `bias` to the last token's score where the tokens before it have just been produced.
struct SequenceBias {
  std::vector<TokenId> tokens;
  float bias = 0;
};

/// A token that must stand at a position of the sequence, the prompt counted.
struct ForcedToken {
  int64_t position = 0;
  TokenId token = 0;
};

/// How a text is continued. The names and meanings are those of transformers' GenerationConfig. What a model
/// may have defaults for is optional: absent values are filled by with_defaults(), and mean "off" after that.
struct GenerationOptions {
  // Length. Tokens generated; max_length and min_length count the prompt as well (for encoder-decoders the
  // decoder's), and give way to max_tokens and min_tokens.
  std::optional<int64_t> max_tokens, min_tokens;
  std::optional<int64_t> max_length, min_length;

  // End.
  std::vector<TokenId> end_tokens;  ///< any of them ends a text; it is not part of it
  bool ignore_end = false;          ///< end tokens are tokens like others
  std::vector<std::string> stop;    ///< the text ends before the first of these

  // Choice of one token.
  SamplerOptions sampler;
  std::optional<double>
      repetition_penalty;        ///< of every token of prompt and text (Keskar et al. 2019); 1: off
  double frequency_penalty = 0;  ///< times how often a token was generated
  double presence_penalty = 0;   ///< once for a token that was generated
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::vector<SequenceBias> sequence_bias;
  std::optional<int64_t> no_repeat_ngram;          ///< no run of so many tokens comes twice; 0: off
  std::optional<int64_t> encoder_no_repeat_ngram;  ///< no run of the encoder's tokens is copied; 0: off
  std::optional<std::vector<std::vector<TokenId>>> bad_words;
  std::optional<TokenId> forced_bos;               ///< after a sequence of one token
  std::optional<std::vector<TokenId>> forced_eos;  ///< one of them is the last token of the greatest length
  std::optional<std::vector<ForcedToken>> forced_tokens;
  std::optional<std::vector<TokenId>> suppress, begin_suppress;  ///< never; not as the first one generated

  // Beam search (beams above 1).
  std::optional<int64_t> beams;
  int64_t return_sequences = 1;          ///< best hypotheses that are kept, at most `beams`
  std::optional<double> length_penalty;  ///< a hypothesis scores log p / length^penalty; 1 when absent
  std::optional<EarlyStopping> early_stopping;

  int64_t beam_count() const { return beams.value_or(1); }
  /// The end tokens that count.
  std::span<const TokenId> ends() const {
    return ignore_end ? std::span<const TokenId>() : std::span<const TokenId>(end_tokens);
  }
  /// Tokens that may be generated after a prompt of `prompt_length`; `otherwise` where nothing limits them.
  int64_t most_tokens(int64_t prompt_length, int64_t otherwise) const;
};

/// Error, in one sentence, for a value out of its range or a combination that has no meaning. `vocabulary`
/// bounds the token ids.
void check(const GenerationOptions& options, int64_t vocabulary);

/// Error naming `what` for a token that is none of the vocabulary.
void check_tokens(std::span<const TokenId> tokens, const char* what, int64_t vocabulary);

/// `options` with what is absent taken from `defaults`; end tokens too, where there are none.
GenerationOptions with_defaults(GenerationOptions options, const GenerationOptions& defaults);

}  // namespace wattle::inline decode
