#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/work.h"
#include "layers/key_value_cache.h"
#include "quant/format.h"
#include "tensor/matrix.h"
#include "tensor/ragged.h"

namespace wattle::inline families {

/// How a network is to be built.
struct NetworkOptions {
  Format cache_format = Format::kF16;  ///< of key-value caches: one of is_cache_format()
  int64_t context = 0;  ///< tokens a cache holds; 0: what the model was trained with, at most 4096
};

/// A built network. What it can do is a matter of the capabilities below that it has, not of its type: ask
/// with capability<ReadsText>(network).
class Network {
 public:
  virtual ~Network() = default;
};

template <class Capability>
Capability* capability(Network& network) {
  return dynamic_cast<Capability*>(&network);
}

/// What some models read of each token beside its id. One value a token of the batch, or empty: all 0.
struct TokenMarks {
  std::span<const int32_t> types = {};   ///< the token's segment (BERT)
  std::span<const int32_t> global = {};  ///< not 0: it sees all of its sequence and all of that sees it (LED)
};

/// Reads whole sequences at once: BERT and its kin, the encoders of encoder-decoders.
class ReadsText {
 public:
  virtual ~ReadsText() = default;
  /// out [total tokens, width]: hidden states after the last layer. Sequences do not see each other. Error
  /// for a sequence that is empty or longer than max_tokens(), an id or type that the model has not, and
  /// global tokens where it knows none.
  virtual void hidden_states(const Ragged<int32_t>& tokens, const TokenMarks& marks, MatrixView out,
                             Work& work) = 0;
  void hidden_states(const Ragged<int32_t>& tokens, std::span<const int32_t> types, MatrixView out,
                     Work& work) {
    hidden_states(tokens, TokenMarks{.types = types}, out, work);
  }
  void hidden_states(const Ragged<int32_t>& tokens, MatrixView out, Work& work) {
    hidden_states(tokens, TokenMarks{}, out, work);
  }
  virtual bool knows_global() const { return false; }  ///< whether it has attention for global tokens
  virtual int64_t width() const = 0;
  virtual int64_t max_tokens() const = 0;  ///< longest sequence, special tokens included
};

/// Knows texts as bags of tokens (static embeddings): their means need no hidden states, no special tokens
/// and no token for the unknown.
class AveragesTokens {
 public:
  virtual ~AveragesTokens() = default;
  /// out [sequences, width]: the mean of each sequence's vectors; of an empty one, zeros.
  virtual void means(const Ragged<int32_t>& tokens, MatrixView out, Work& work) = 0;
};

/// Tokens of one sequence that continue what its cache holds.
struct DecoderInput {
  KeyValueCache* cache = nullptr;
  std::span<const int32_t> tokens;
};

enum class LogitsWanted { kLast, kAll };

/// Continues text: GPT and its kin, the decoders of encoder-decoders.
class ContinuesText {
 public:
  virtual ~ContinuesText() = default;
  /// A cache for `capacity` tokens; 0: what NetworkOptions::context asked for. Error for an encoder-decoder,
  /// whose caches Translates::begin makes.
  virtual std::unique_ptr<KeyValueCache> new_cache(int64_t capacity) const = 0;
  /// Runs every input (a ragged batch, each with a cache of its own), appends to the caches. logits [rows,
  /// vocabulary]: one row an input (kLast), or one a token in order (kAll). Error when a cache is full.
  /// Work.tokens_in counts every token run; tokens_out is left to the caller, who knows which were generated.
  virtual void forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits,
                       Work& work) = 0;
  /// Sequences of more tokens are rotated otherwise from their first token on (LongRoPE): what a cache holds
  /// of a shorter one does not continue beyond, and forward() refuses to. 0: there is no such length.
  virtual int64_t rotation_change() const { return 0; }
  virtual int64_t vocabulary() const = 0;
  virtual int64_t context_length() const = 0;  ///< what the model was trained with
};

/// Continues a text under the eye of another: T5, BART. It also ReadsText (the encoder) and ContinuesText
/// (the decoder, with the caches that begin() makes).
class Translates {
 public:
  virtual ~Translates() = default;
  /// Reads the sources; one cache a source, for `capacity` tokens of the decoder (0: as new_cache), which
  /// holds the source's keys and values.
  virtual std::vector<std::unique_ptr<KeyValueCache>> begin(const Ragged<int32_t>& sources,
                                                            const TokenMarks& marks, int64_t capacity,
                                                            Work& work) = 0;
  std::vector<std::unique_ptr<KeyValueCache>> begin(const Ragged<int32_t>& sources, int64_t capacity,
                                                    Work& work) {
    return begin(sources, TokenMarks{}, capacity, work);
  }
  virtual int32_t start_token() const = 0;  ///< what the decoder's text begins with
};

/// Heads with labels. out [sequences, labels] from the hidden states of ReadsText, or [tokens, labels].
enum class NetworkHeadKind {
  kSequence,  ///< a label, or a score, of the whole sequence
  kToken,     ///< a label a token
  kSpan,      ///< where an answer begins and where it ends: two scores a token
  kReplaced,  ///< whether a token was replaced: one score a token (ELECTRA's discriminator)
  kMasked,    ///< what stands in a masked token's place: scores over the vocabulary a token
};

/// A family's own head on its hidden states.
class HasHead {
 public:
  virtual ~HasHead() = default;
  virtual std::optional<NetworkHeadKind> head_kind() const = 0;  ///< nothing: the file has no head
  virtual int64_t head_outputs() const = 0;                      ///< labels, 2, or the vocabulary
  /// logits [sequences or tokens, head_outputs()] of hidden [tokens, width] as hidden_states() left it;
  /// `tokens` are its sequences.
  virtual void head(const Ragged<int32_t>& tokens, ConstMatrixView hidden, Matrix& logits, Work& work) = 0;
};

}  // namespace wattle::inline families
