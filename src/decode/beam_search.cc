#include "decode/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <wattle/error.h>

#include "decode/cache_pool.h"

namespace wattle::inline decode {
namespace {

/// The reference's start: all beams but the first are out of the race, for they are copies of it.
constexpr float kOutOfTheRace = -1e9f;

}  // namespace

BeamSearch::BeamSearch(const GenerationOptions& options, std::span<const TokenId> prompt, int64_t max_length)
    : prompt_length_(static_cast<int64_t>(prompt.size())),
      max_length_(max_length),
      length_penalty_(options.length_penalty.value_or(1)),
      early_stopping_(options.early_stopping.value_or(EarlyStopping::kNo)),
      ends_(options.ends().begin(), options.ends().end()),
      parents_(static_cast<size_t>(options.beam_count())) {
  beams_.resize(parents_.size(), {{prompt.begin(), prompt.end()}, kOutOfTheRace});
  beams_.front().score = 0;
}

int64_t BeamSearch::candidates() const {
  return std::max<int64_t>(2, 1 + static_cast<int64_t>(ends_.size())) * beams();
}

void BeamSearch::collect(std::span<const Candidates> likeliest) {
  choices_.clear();
  for (size_t b = 0; b < beams_.size(); ++b) {
    for (const auto& [token, value] : likeliest[likeliest.size() == 1 ? 0 : b]) {
      choices_.push_back({value + beams_[b].score, static_cast<int64_t>(b), token});
    }
  }
  const auto before = [](const Choice& a, const Choice& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
  };
  const auto kept = static_cast<std::ptrdiff_t>(std::min(static_cast<size_t>(candidates()), choices_.size()));
  std::partial_sort(choices_.begin(), choices_.begin() + kept, choices_.end(), before);
  choices_.resize(static_cast<size_t>(kept));
}

std::span<const int64_t> BeamSearch::advance(std::span<const Candidates> likeliest) {
  collect(likeliest);
  beams_.swap(previous_);
  beams_.resize(previous_.size());
  const int64_t generated = static_cast<int64_t>(previous_.front().ids.size()) + 1 - prompt_length_;
  size_t next = 0;
  for (size_t rank = 0; rank < choices_.size() && next < beams_.size(); ++rank) {
    const Choice& choice = choices_[rank];
    const std::vector<TokenId>& ids = previous_[static_cast<size_t>(choice.beam)].ids;
    if (std::ranges::find(ends_, choice.token) != ends_.end()) {
      if (rank < beams_.size()) add(ids, choice.score, generated, true);
      continue;
    }
    Beam& beam = beams_[next];
    beam.ids.assign(ids.begin(), ids.end());
    beam.ids.push_back(choice.token);
    beam.score = choice.score;
    parents_[next++] = choice.beam;
  }
  if (next < beams_.size()) {
    fail("{} beams find no {} tokens that continue the text; use fewer beams", beams_.size(), beams_.size());
  }
  done_ = is_done(choices_.front().score, generated);
  finished_ = done_ || static_cast<int64_t>(beams_.front().ids.size()) >= max_length_;
  return parents_;
}

int64_t BeamSearch::shared(int64_t a, int64_t b) const {
  return common_prefix(previous_[static_cast<size_t>(a)].ids, previous_[static_cast<size_t>(b)].ids);
}

double BeamSearch::penalised(double sum, int64_t generated) const {
  return sum / std::pow(static_cast<double>(generated), length_penalty_);
}

void BeamSearch::add(std::span<const TokenId> ids, double sum, int64_t generated, bool ended) {
  const double score = penalised(sum, generated);
  if (hypotheses_.size() >= beams_.size() && !(score > worst_)) return;
  hypotheses_.push_back({{ids.begin(), ids.end()}, score, ended});
  if (hypotheses_.size() <= beams_.size()) {
    worst_ = std::min(score, worst_);
    return;
  }
  hypotheses_.erase(std::ranges::min_element(hypotheses_, {}, &Hypothesis::score));
  worst_ = std::ranges::min_element(hypotheses_, {}, &Hypothesis::score)->score;
}

bool BeamSearch::is_done(double best_sum, int64_t generated) const {
  if (hypotheses_.size() < beams_.size()) return false;
  switch (early_stopping_) {
    case EarlyStopping::kYes:
      return true;
    case EarlyStopping::kNo:
      break;
    case EarlyStopping::kNever:
      // A penalty above 0 favours the longest text there can be, another one the shortest.
      if (length_penalty_ > 0) generated = max_length_ - prompt_length_;
      break;
  }
  return worst_ >= penalised(best_sum, generated);
}

std::vector<Hypothesis> BeamSearch::best(int64_t count) {
  if (!done_) {
    for (const Beam& beam : beams_) {
      add(beam.ids, beam.score, std::max<int64_t>(1, static_cast<int64_t>(beam.ids.size()) - prompt_length_),
          false);
    }
  }
  // Of two with the same score the later one is first, as the reference takes them from the end of a list.
  std::ranges::stable_sort(hypotheses_, {}, &Hypothesis::score);
  std::ranges::reverse(hypotheses_);
  hypotheses_.resize(std::min(hypotheses_.size(), static_cast<size_t>(count)));
  finished_ = done_ = true;
  return std::move(hypotheses_);
}

}  // namespace wattle::inline decode
