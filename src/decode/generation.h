#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decode/beam_search.h"
#include "decode/cache_pool.h"
#include "decode/options.h"
#include "decode/processors.h"
#include "decode/text_stream.h"
#include "families/capabilities.h"

namespace wattle::inline decode {

struct GenerationSettings {
  int64_t capacity = 0;         ///< positions of a cache: the longest prompt with its answer
  int64_t sequences = 0;        ///< that run at once, each beam one; others wait. 0: all that are admitted
  int64_t tokens_per_step = 0;  ///< long prompts are cut so that a step runs about so many. 0: never
};

struct GenerationEvent {
  int64_t handle = 0;
  /// Text that became certain, whole characters; empty without a tokenizer. Of beam search there is none
  /// before the end.
  std::string text;
  TokenId token = -1;  ///< what was generated, an end token too; -1 for beams and cancelled texts
  bool finished = false;
};

/// What was generated after one prompt.
struct Generated {
  std::vector<TokenId> ids;  ///< without the prompt and the end token
  std::string text;          ///< valid UTF-8, without a stop string; empty without a tokenizer
  FinishReason reason = FinishReason::kLength;
  double score = 0;  ///< of a hypothesis of beam search
};

/// Everything about a finished sequence.
struct GenerationResult {
  std::vector<Generated> answers;  ///< one, or the best hypotheses, best first
  int64_t prompt_tokens = 0;       ///< of the prompt
  int64_t computed_tokens = 0;     ///< of it, that no kept cache held
  int64_t answer_tokens = 0;       ///< that ran after the prompt, of all beams
  Work prompt_work, answer_work;   ///< its part of the steps' work; tokens are counted above
};

/// Continues any number of texts together: one forward pass a step for all of them, prompts and single tokens
/// in one ragged batch. Texts may come and go between steps, and none influences another: each gets the bits
/// that it would get alone. What finished sequences computed is kept for prompts that begin alike.
class Generation {
 public:
  /// `tokenizer` may be null: then ids alone are generated, and stop strings are refused. Both must outlive
  /// this object.
  Generation(ContinuesText& decoder, const Tokenizer* tokenizer, const GenerationSettings& settings);
  ~Generation();

  /// Adds a text to be continued and returns its handle. Error, with nothing changed, for options that make
  /// no sense, a prompt without tokens, and one that the cache cannot hold together with one more token.
  int64_t admit(std::vector<TokenId> prompt, const GenerationOptions& options);
  /// The same over a cache that somebody prepared (one that knows an encoder's output); `prompt` follows what
  /// it holds. `encoder_ids` are what encoder_no_repeat_ngram looks at.
  int64_t admit(std::unique_ptr<KeyValueCache> cache, std::vector<TokenId> prompt,
                const GenerationOptions& options, std::span<const TokenId> encoder_ids);

  /// Runs one forward pass and chooses a token for every text whose prompt is read; returns what happened,
  /// valid until the next call. After an Error of the model the sequences that ran are gone. Work.tokens_out
  /// counts what was generated.
  std::span<const GenerationEvent> step(Work& work);
  /// Whether there is nothing left to do.
  bool idle() const { return waiting_.empty() && running_.empty(); }
  /// Ends a text before its time; the next step says so. Unknown and finished handles are ignored.
  void cancel(int64_t handle);
  /// The result of a finished text, which is forgotten with that. Error for a handle that is not finished.
  GenerationResult take(int64_t handle);
  /// Forgets every text, finished or not.
  void clear();

  const CachePool& caches() const { return pool_; }

 private:
  struct Sequence;

  void start_waiting();
  void collect_inputs();
  /// Whether the model rotates the keys of this text otherwise than those of short ones (LongRoPE).
  bool is_long(const Sequence& sequence, int64_t beam) const;
  void read_again_where_long(Sequence& sequence, int64_t beam);
  void add_input(Sequence& sequence, int64_t beam, int64_t count);
  void attribute(const Work& work);
  void choose();
  void choose(Sequence& sequence);
  void follow(Sequence& sequence);
  void follow_beams(Sequence& sequence);
  void move_caches(Sequence& sequence, std::span<const int64_t> parents);
  void finish(Sequence& sequence, FinishReason reason, std::string text);
  void finish_beams(Sequence& sequence, FinishReason reason);
  void give_back(Sequence& sequence);
  void retire();
  void forget_running();

  ContinuesText& decoder_;
  const Tokenizer* tokenizer_;
  GenerationSettings settings_;
  CachePool pool_;
  int64_t next_handle_ = 1;
  int64_t running_rows_ = 0;                        ///< caches in use
  std::vector<std::unique_ptr<Sequence>> waiting_;  ///< the oldest first
  std::vector<std::unique_ptr<Sequence>> running_;
  std::vector<std::unique_ptr<Sequence>> finished_;
  // Of the step that runs.
  std::vector<DecoderInput> inputs_;
  Matrix logits_;
  int64_t tokens_out_ = 0;
  std::vector<GenerationEvent> events_;
};

}  // namespace wattle::inline decode
