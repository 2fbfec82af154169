#include "decode/processors.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/elementwise.h"

namespace wattle::inline decode {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

void forbid(std::span<const TokenId> tokens, std::span<float> scores) {
  for (const TokenId token : tokens) scores[static_cast<size_t>(token)] = kForbidden;
}

void allow_only(std::span<const TokenId> tokens, std::span<float> scores) {
  std::ranges::fill(scores, kForbidden);
  for (const TokenId token : tokens) scores[static_cast<size_t>(token)] = 0;
}

/// Forbids what followed, anywhere in `seen`, the last n - 1 of `ids`.
void forbid_repeats(std::span<const TokenId> seen, std::span<const TokenId> ids, int64_t n,
                    std::span<float> scores) {
  const auto size = static_cast<size_t>(n);
  if (ids.size() + 1 < size || seen.size() < size) return;
  const std::span<const TokenId> last = ids.last(size - 1);
  for (size_t i = 0; i + size <= seen.size(); ++i) {
    if (std::equal(last.begin(), last.end(), seen.begin() + static_cast<std::ptrdiff_t>(i))) {
      scores[static_cast<size_t>(seen[i + size - 1])] = kForbidden;
    }
  }
}

/// Whether `ids` end with all of `sequence` but its last token. As in transformers, a sequence longer than
/// `ids` never does.
bool is_begun(std::span<const TokenId> sequence, std::span<const TokenId> ids) {
  if (sequence.size() > ids.size()) return false;
  return std::equal(sequence.begin(), sequence.end() - 1,
                    ids.end() - static_cast<std::ptrdiff_t>(sequence.size() - 1));
}

template <class T>
std::vector<T> list_of(const std::optional<std::vector<T>>& values) {
  return values.value_or(std::vector<T>());
}

}  // namespace

LogitsProcessors::LogitsProcessors(const GenerationOptions& options, int64_t vocabulary,
                                   int64_t prompt_length, int64_t max_length,
                                   std::span<const TokenId> encoder_ids)
    : prompt_length_(prompt_length),
      max_length_(max_length),
      begin_(prompt_length),
      encoder_ids_(encoder_ids.begin(), encoder_ids.end()),
      biases_(options.logit_bias),
      repetition_(static_cast<float>(options.repetition_penalty.value_or(1))),
      frequency_(static_cast<float>(options.frequency_penalty)),
      presence_(static_cast<float>(options.presence_penalty)),
      ngram_(options.no_repeat_ngram.value_or(0)),
      encoder_ngram_(options.encoder_no_repeat_ngram.value_or(0)),
      least_length_(std::max(options.min_length.value_or(0), prompt_length + options.min_tokens.value_or(0))),
      ends_(options.ends().begin(), options.ends().end()),
      forced_bos_(options.forced_bos),
      forced_eos_(list_of(options.forced_eos)),
      suppress_(list_of(options.suppress)),
      begin_suppress_(list_of(options.begin_suppress)),
      forced_(list_of(options.forced_tokens)) {
  if (options.min_tokens) least_length_ = prompt_length + *options.min_tokens;
  for (const SequenceBias& entry : options.sequence_bias) {
    if (entry.tokens.size() == 1) {
      biases_.emplace_back(entry.tokens.front(), entry.bias);
    } else {
      sequence_biases_.push_back(entry);
    }
  }
  for (const auto& word : list_of(options.bad_words)) {
    // An end token is no word: were it forbidden, the text could not end.
    if (word.size() > 1 || std::ranges::find(ends_, word.front()) == ends_.end()) bad_words_.push_back(word);
  }
  if (prompt_length == 1 && forced_bos_) ++begin_;
  if (!forced_.empty()) begin_ += forced_.back().position;
  if (repetition_ != 1 || frequency_ != 0 || presence_ != 0) {
    counts_.assign(static_cast<size_t>(vocabulary), 0);
  }
}

void LogitsProcessors::apply(std::span<const TokenId> ids, std::span<float> scores) {
  const auto length = static_cast<int64_t>(ids.size());
  if (!biases_.empty() || !sequence_biases_.empty()) add_biases(ids, scores);
  if (!counts_.empty()) penalise(ids, scores);
  if (ngram_ > 0) forbid_repeats(ids, ids, ngram_, scores);
  if (encoder_ngram_ > 0) forbid_repeats(encoder_ids_, ids, encoder_ngram_, scores);
  if (!bad_words_.empty()) forbid_words(ids, scores);
  if (length < least_length_) forbid(ends_, scores);
  force(length, scores);
}

void LogitsProcessors::add_biases(std::span<const TokenId> ids, std::span<float> scores) {
  // Those of one token are summed before they meet its score, as the reference rounds them.
  pending_ = biases_;
  for (const SequenceBias& entry : sequence_biases_) {
    if (!is_begun(entry.tokens, ids)) continue;
    const TokenId token = entry.tokens.back();
    const auto there = std::ranges::find(pending_, token, &std::pair<TokenId, float>::first);
    if (there == pending_.end()) {
      pending_.emplace_back(token, entry.bias);
    } else {
      there->second += entry.bias;
    }
  }
  for (const auto& [token, bias] : pending_) scores[static_cast<size_t>(token)] += bias;
}

void LogitsProcessors::penalise(std::span<const TokenId> ids, std::span<float> scores) {
  if (repetition_ != 1) {
    for (const TokenId token : ids) {
      int32_t& seen = counts_[static_cast<size_t>(token)];
      if (seen != 0) continue;
      seen = 1;
      float& score = scores[static_cast<size_t>(token)];
      score = score < 0 ? score * repetition_ : score / repetition_;
    }
    for (const TokenId token : ids) counts_[static_cast<size_t>(token)] = 0;
  }
  if (frequency_ == 0 && presence_ == 0) return;
  const std::span<const TokenId> generated = ids.subspan(static_cast<size_t>(prompt_length_));
  for (const TokenId token : generated) ++counts_[static_cast<size_t>(token)];
  for (const TokenId token : generated) {
    int32_t& count = counts_[static_cast<size_t>(token)];
    if (count == 0) continue;
    scores[static_cast<size_t>(token)] -= static_cast<float>(count) * frequency_ + presence_;
    count = 0;
  }
}

void LogitsProcessors::forbid_words(std::span<const TokenId> ids, std::span<float> scores) const {
  for (const auto& word : bad_words_) {
    if (word.size() == 1 || is_begun(word, ids)) scores[static_cast<size_t>(word.back())] = kForbidden;
  }
}

void LogitsProcessors::force(int64_t length, std::span<float> scores) const {
  if (forced_bos_ && length == 1) allow_only({&*forced_bos_, 1}, scores);
  if (!forced_eos_.empty() && length == max_length_ - 1) allow_only(forced_eos_, scores);
  forbid(suppress_, scores);
  if (length == begin_) forbid(begin_suppress_, scores);
  // Of two for one position the last counts, as in the reference's table.
  const auto here = std::find_if(forced_.rbegin(), forced_.rend(),
                                 [&](const ForcedToken& forced) { return forced.position == length; });
  if (here != forced_.rend()) allow_only({&here->token, 1}, scores);
}

void log_softmax_inplace(std::span<float> scores) {
  thread_local std::vector<float> shares;
  shares.assign(scores.begin(), scores.end());
  const auto top = static_cast<size_t>(arg_max(scores));
  softmax_inplace(shares);
  // The largest value's share is 1 / sum of exp(x - largest).
  const float largest = scores[top], log_sum = -std::log(shares[top]);
  for (float& score : scores) score = score - largest - log_sum;
}

}  // namespace wattle::inline decode
