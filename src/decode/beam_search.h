#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "decode/options.h"

namespace wattle::inline decode {

/// A finished text of beam search.
struct Hypothesis {
  std::vector<TokenId> ids;  ///< with the prompt, without the end token
  double score = 0;          ///< log-probability / generated length ^ length penalty
  bool ended = false;        ///< by an end token
};

/// Beam search over one prompt, step by step as transformers does it (BeamSearchScorer of 4.38), so that the
/// ids are the same: the best candidates of all beams are looked at in turn; one that ends a text becomes a
/// hypothesis if it is among the first `beams`, the others continue.
class BeamSearch {
 public:
  using Candidates = std::vector<std::pair<TokenId, float>>;

  /// The texts grow to `max_length` tokens, the prompt counted.
  BeamSearch(const GenerationOptions& options, std::span<const TokenId> prompt, int64_t max_length);

  int64_t beams() const { return static_cast<int64_t>(beams_.size()); }
  std::span<const TokenId> ids(int64_t beam) const { return beams_[static_cast<size_t>(beam)].ids; }
  /// How many of a beam's likeliest tokens advance() looks at.
  int64_t candidates() const;
  /// Extends the beams. `likeliest`: of each beam its candidates() best tokens with their processed
  /// log-probabilities; or one list, when all beams are the same. Returns for each beam the one it grew from.
  std::span<const int64_t> advance(std::span<const Candidates> likeliest);
  /// After advance(): how many tokens the beams that were numbered a and b before it began with alike.
  int64_t shared(int64_t a, int64_t b) const;
  bool finished() const { return finished_; }
  /// The best hypotheses, best first; at most `count`. Ends the search.
  std::vector<Hypothesis> best(int64_t count);

 private:
  struct Beam {
    std::vector<TokenId> ids;
    float score = 0;
  };
  struct Choice {
    float score;
    int64_t beam;
    TokenId token;
  };
  void collect(std::span<const Candidates> likeliest);
  void add(std::span<const TokenId> ids, double sum, int64_t generated, bool ended);
  bool is_done(double best_sum, int64_t generated) const;
  double penalised(double sum, int64_t generated) const;

  int64_t prompt_length_, max_length_;
  double length_penalty_;
  EarlyStopping early_stopping_;
  std::vector<TokenId> ends_;
  std::vector<Beam> beams_, previous_;
  std::vector<int64_t> parents_;
  std::vector<Choice> choices_;
  std::vector<Hypothesis> hypotheses_;
  double worst_ = 1e9;
  bool finished_ = false;
  bool done_ = false;  ///< by hypotheses rather than by length
};

}  // namespace wattle::inline decode
