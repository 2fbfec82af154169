#include "decode/generation.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include <wattle/error.h>

#include "base/threads.h"
#include "base/utf8.h"

namespace wattle::inline decode {
namespace {

/// Whether everything is minus infinity. What is no number is the model's fault, not the options'.
bool is_forbidden(std::span<const float> scores) {
  return std::ranges::all_of(scores,
                             [](float score) { return score == -std::numeric_limits<float>::infinity(); });
}

/// Logits from which on the team shares the choice of tokens.
constexpr int64_t kLogitsOfTeam = int64_t{1} << 19;
constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

}  // namespace

struct Generation::Sequence {
  int64_t handle = 0;
  int64_t prompt_length = 0;
  int64_t most_tokens = 0;    ///< to be generated
  FinishReason at_most;       ///< why there are no more
  std::vector<TokenId> ids;   ///< prompt, then what was generated; of beams, the prompt
  std::vector<TokenId> ends;  ///< tokens that end it
  Sampler sampler;
  LogitsProcessors processors;
  std::optional<TextStream> stream;
  std::optional<BeamSearch> beams;
  std::vector<BeamSearch::Candidates> likeliest;  ///< of this step's beams
  int64_t return_sequences = 1;
  bool prepared = false;    ///< its cache knows more than its tokens, and serves no other prompt
  int64_t held_before = 0;  ///< positions that a prepared cache came with
  std::vector<std::unique_ptr<KeyValueCache>> caches;  ///< one, or one a beam once the prompt is read
  bool reads_prompt = true, cancelled = false, done = false;
  // Of the step that runs.
  int64_t first_row = 0, rows = 0;  ///< of its logits
  int64_t tokens_run = 0;
  bool complete = false;  ///< all its tokens ran, so the logits say what follows
  TokenId chosen = -1;
  GenerationResult result;

  Sequence(std::vector<TokenId> prompt, const GenerationOptions& options, int64_t room, int64_t vocabulary,
           std::span<const TokenId> encoder_ids)
      : prompt_length(static_cast<int64_t>(prompt.size())),
        most_tokens(std::min(room, options.most_tokens(prompt_length, kUnlimited))),
        at_most(options.most_tokens(prompt_length, kUnlimited) > room ? FinishReason::kContext
                                                                      : FinishReason::kLength),
        ids(std::move(prompt)),
        ends(options.ends().begin(), options.ends().end()),
        sampler(options.sampler),
        processors(options, vocabulary, prompt_length, prompt_length + most_tokens, encoder_ids),
        return_sequences(options.return_sequences) {
    result.prompt_tokens = prompt_length;
    if (options.beam_count() > 1) {
      beams.emplace(options, ids, prompt_length + most_tokens);
      likeliest.resize(static_cast<size_t>(options.beam_count()));
    }
  }

  int64_t width() const { return beams ? beams->beams() : 1; }
  std::span<const TokenId> ids_of(int64_t beam) const {
    return beams ? beams->ids(beam) : std::span<const TokenId>(ids);
  }
  /// Tokens of a beam that its cache does not hold yet.
  std::span<const TokenId> pending(int64_t beam) const {
    const int64_t held = caches[static_cast<size_t>(beam)]->length() - held_before;
    return ids_of(beam).subspan(static_cast<size_t>(held));
  }
};

Generation::Generation(ContinuesText& decoder, const Tokenizer* tokenizer, const GenerationSettings& settings)
    : decoder_(decoder), tokenizer_(tokenizer), settings_(settings), pool_(decoder, settings.capacity) {
  if (settings.capacity < 2) fail("a context of {} holds no prompt with an answer", settings.capacity);
}

Generation::~Generation() = default;

int64_t Generation::admit(std::vector<TokenId> prompt, const GenerationOptions& options) {
  return admit(nullptr, std::move(prompt), options, {});
}

int64_t Generation::admit(std::unique_ptr<KeyValueCache> cache, std::vector<TokenId> prompt,
                          const GenerationOptions& options, std::span<const TokenId> encoder_ids) {
  const int64_t vocabulary = decoder_.vocabulary();
  check(options, vocabulary);
  if (prompt.empty()) fail("the prompt has no tokens; a model continues at least one");
  check_tokens(prompt, "the prompt", vocabulary);
  if (!options.stop.empty() && tokenizer_ == nullptr) {
    fail("stop strings need a tokenizer, and the model has none; leave them out");
  }
  if (settings_.sequences > 0 && options.beam_count() > settings_.sequences) {
    fail("{} beams are more than the {} sequences that may run at once; use fewer", options.beam_count(),
         settings_.sequences);
  }
  const auto length = static_cast<int64_t>(prompt.size());
  const int64_t held = cache ? cache->length() : 0;
  // The last token that is chosen needs no place: nothing follows it.
  const int64_t room = (cache ? cache->capacity() : settings_.capacity) - held - length + 1;
  if (room < 2) {
    fail(
        "a prompt of {} tokens leaves no room for an answer in a context of {}; shorten it or give a longer "
        "context",
        held + length, held + length + room - 1);
  }
  if (options.most_tokens(length, 1) < 1) {
    fail("a prompt of {} tokens is as long as the greatest length, {}; allow for an answer", length,
         *options.max_length);
  }
  auto sequence = std::make_unique<Sequence>(std::move(prompt), options, room, vocabulary, encoder_ids);
  sequence->handle = next_handle_;
  if (tokenizer_ != nullptr && !sequence->beams) sequence->stream.emplace(*tokenizer_, options.stop);
  if (cache) {
    sequence->prepared = true;
    sequence->held_before = held;
    sequence->caches.push_back(std::move(cache));
  }
  waiting_.push_back(std::move(sequence));
  return next_handle_++;
}

void Generation::start_waiting() {
  for (size_t started = 0; started < waiting_.size();) {
    Sequence& sequence = *waiting_[started];
    if (settings_.sequences > 0 && running_rows_ + sequence.width() > settings_.sequences) break;
    if (!sequence.prepared) sequence.caches.push_back(pool_.take(sequence.ids));
    sequence.result.computed_tokens = static_cast<int64_t>(sequence.pending(0).size());
    running_rows_ += sequence.width();
    running_.push_back(std::move(waiting_[started++]));
  }
  std::erase(waiting_, nullptr);
}

void Generation::add_input(Sequence& sequence, int64_t beam, int64_t count) {
  const std::span<const TokenId> pending = sequence.pending(beam);
  if (sequence.rows++ == 0) sequence.first_row = static_cast<int64_t>(inputs_.size());
  sequence.tokens_run += count;
  sequence.complete = count == static_cast<int64_t>(pending.size());
  inputs_.push_back(
      {sequence.caches[static_cast<size_t>(beam)].get(), pending.first(static_cast<size_t>(count))});
}

bool Generation::is_long(const Sequence& sequence, int64_t beam) const {
  const int64_t change = decoder_.rotation_change();
  return change > 0 && static_cast<int64_t>(sequence.ids_of(beam).size()) > change;
}

// The keys of a short text do not serve a long one: as transformers does, all of it is read anew, once.
void Generation::read_again_where_long(Sequence& sequence, int64_t beam) {
  KeyValueCache& cache = *sequence.caches[static_cast<size_t>(beam)];
  if (!sequence.prepared && is_long(sequence, beam) && cache.length() <= decoder_.rotation_change())
    cache.truncate(0);
}

// Single tokens first, so that no long prompt holds those up who are being answered.
void Generation::collect_inputs() {
  inputs_.clear();
  int64_t room = settings_.tokens_per_step > 0 ? settings_.tokens_per_step : kUnlimited;
  for (const auto& sequence : running_) {
    sequence->rows = sequence->tokens_run = 0;
    sequence->complete = false;
    if (sequence->reads_prompt) continue;
    for (int64_t beam = 0; beam < sequence->width(); ++beam) {
      read_again_where_long(*sequence, beam);
      add_input(*sequence, beam, static_cast<int64_t>(sequence->pending(beam).size()));
    }
    room -= sequence->width();
  }
  // The oldest prompt comes forward, whatever else runs.
  room = std::max<int64_t>(room, 1);
  for (const auto& sequence : running_) {
    if (!sequence->reads_prompt || room <= 0) continue;
    const auto pending = static_cast<int64_t>(sequence->pending(0).size());
    const int64_t count = is_long(*sequence, 0) ? pending : std::min(room, pending);
    add_input(*sequence, 0, count);
    room -= count;
  }
}

std::span<const GenerationEvent> Generation::step(Work& work) {
  events_.clear();
  for (const auto* list : {&waiting_, &running_}) {
    for (const auto& sequence : *list) {
      if (!sequence->cancelled) continue;
      if (sequence->beams) {
        finish_beams(*sequence, FinishReason::kCancelled);
      } else {
        finish(*sequence, FinishReason::kCancelled, {});
      }
    }
  }
  retire();
  start_waiting();
  collect_inputs();
  if (inputs_.empty()) return events_;
  Work mine;
  tokens_out_ = 0;
  try {
    decoder_.forward(inputs_, LogitsWanted::kLast, logits_, mine);
    choose();
    attribute(mine);
    for (const auto& sequence : running_) {
      if (!sequence->complete) continue;
      sequence->reads_prompt = false;
      if (sequence->beams) {
        follow_beams(*sequence);
      } else {
        follow(*sequence);
      }
    }
  } catch (...) {
    forget_running();
    throw;
  }
  mine.tokens_out = tokens_out_;
  work += mine;
  retire();
  return events_;
}

// Their caches go with them: what these hold is unknown after an error.
void Generation::forget_running() {
  running_.clear();
  running_rows_ = 0;
}

void Generation::clear() {
  forget_running();
  waiting_.clear();
  finished_.clear();
}

void Generation::attribute(const Work& work) {
  int64_t tokens = 0;
  for (const auto& sequence : running_) tokens += sequence->tokens_run;
  for (const auto& sequence : running_) {
    GenerationResult& result = sequence->result;
    if (!sequence->reads_prompt) result.answer_tokens += sequence->tokens_run;
    (sequence->reads_prompt ? result.prompt_work : result.answer_work) +=
        work.part(static_cast<double>(sequence->tokens_run) / static_cast<double>(tokens));
  }
}

void Generation::choose() {
  const auto count = static_cast<int64_t>(running_.size());
  const bool by_team = count > 1 && logits_.rows() * logits_.columns() >= kLogitsOfTeam;
  in_numbered_steps(by_team, 1, [&](int64_t, Part part) {
    const IndexRange range = part.range(count);
    for (int64_t i = range.begin; i < range.end; ++i) {
      Sequence& sequence = *running_[static_cast<size_t>(i)];
      if (sequence.complete) choose(sequence);
    }
  });
}

void Generation::choose(Sequence& sequence) {
  if (!sequence.beams) {
    const std::span<float> logits = logits_.row(sequence.first_row);
    sequence.processors.apply(sequence.ids, logits);
    sequence.chosen = is_forbidden(logits) ? -1 : sequence.sampler.next(logits);
    return;
  }
  for (int64_t beam = 0; beam < sequence.rows; ++beam) {
    const std::span<float> scores = logits_.row(sequence.first_row + beam);
    log_softmax_inplace(scores);
    sequence.processors.apply(sequence.beams->ids(beam), scores);
    sequence.likeliest[static_cast<size_t>(beam)] = largest(scores, sequence.beams->candidates());
  }
}

void Generation::follow(Sequence& sequence) {
  const TokenId token = sequence.chosen;
  if (token < 0) {
    finish(sequence, FinishReason::kForbidden, {});
    return;
  }
  if (std::ranges::find(sequence.ends, token) != sequence.ends.end()) {
    finish(sequence, FinishReason::kEnd, {});
    return;
  }
  sequence.ids.push_back(token);
  ++tokens_out_;
  std::string text;
  if (sequence.stream) text = sequence.stream->append(token);
  if (sequence.stream && sequence.stream->stopped()) {
    finish(sequence, FinishReason::kStop, std::move(text));
  } else if (static_cast<int64_t>(sequence.ids.size()) - sequence.prompt_length >= sequence.most_tokens) {
    finish(sequence, sequence.at_most, std::move(text));
  } else {
    events_.push_back({sequence.handle, std::move(text), token, false});
  }
}

void Generation::finish(Sequence& sequence, FinishReason reason, std::string text) {
  Generated answer;
  answer.reason = reason;
  answer.ids.assign(sequence.ids.begin() + static_cast<std::ptrdiff_t>(sequence.prompt_length),
                    sequence.ids.end());
  if (sequence.stream) {
    text += sequence.stream->finish();
    answer.text = sequence.stream->text();
  }
  sequence.result.answers.push_back(std::move(answer));
  const TokenId token = reason == FinishReason::kCancelled ? -1 : sequence.chosen;
  events_.push_back({sequence.handle, std::move(text), token, true});
  give_back(sequence);
}

void Generation::follow_beams(Sequence& sequence) {
  const std::span lists(sequence.likeliest);
  const auto parents = sequence.beams->advance(lists.first(static_cast<size_t>(sequence.rows)));
  if (sequence.beams->finished()) {
    finish_beams(sequence, sequence.at_most);
  } else {
    move_caches(sequence, parents);
  }
}

// A beam goes on with the cache of the one it grew from. Where several grew from one, the others take caches
// of beams that ended, and copy what differs.
void Generation::move_caches(Sequence& sequence, std::span<const int64_t> parents) {
  std::vector<std::unique_ptr<KeyValueCache>> old = std::move(sequence.caches);
  const size_t before = old.size();
  std::vector<std::unique_ptr<KeyValueCache>> caches(parents.size());
  std::vector<KeyValueCache*> sources;
  for (const auto& cache : old) sources.push_back(cache.get());
  // While the prompt was read all beams were one.
  const auto parent = [&](size_t beam) { return before == 1 ? 0 : static_cast<size_t>(parents[beam]); };
  for (size_t beam = 0; beam < before; ++beam) {
    if (parent(beam) == beam) caches[beam] = std::move(old[beam]);
  }
  for (size_t beam = 0; beam < caches.size(); ++beam) {
    if (!caches[beam]) caches[beam] = std::move(old[parent(beam)]);
  }
  size_t free = 0;
  for (size_t beam = 0; beam < caches.size(); ++beam) {
    if (caches[beam]) continue;
    while (free < before && !old[free]) ++free;
    const KeyValueCache& source = *sources[parent(beam)];
    int64_t shared = 0;
    if (free < before) {
      caches[beam] = std::move(old[free]);
      shared = sequence.held_before +
               sequence.beams->shared(static_cast<int64_t>(free), static_cast<int64_t>(parent(beam)));
    } else {
      caches[beam] = sequence.prepared ? source.sibling() : pool_.take_empty();
    }
    caches[beam]->copy_from(source, shared);
  }
  sequence.caches = std::move(caches);
}

void Generation::finish_beams(Sequence& sequence, FinishReason reason) {
  std::string first;
  for (Hypothesis& hypothesis : sequence.beams->best(sequence.return_sequences)) {
    Generated answer;
    answer.ids.assign(hypothesis.ids.begin() + static_cast<std::ptrdiff_t>(sequence.prompt_length),
                      hypothesis.ids.end());
    if (tokenizer_ != nullptr) answer.text = repaired_utf8(tokenizer_->decode(answer.ids));
    answer.reason = hypothesis.ended ? FinishReason::kEnd : reason;
    answer.score = hypothesis.score;
    if (sequence.result.answers.empty()) first = answer.text;
    sequence.result.answers.push_back(std::move(answer));
  }
  tokens_out_ += static_cast<int64_t>(sequence.result.answers.front().ids.size());
  events_.push_back({sequence.handle, std::move(first), -1, true});
  give_back(sequence);
}

// Caches of beams keep the prompt alone: which beam each belonged to is history.
void Generation::give_back(Sequence& sequence) {
  sequence.done = true;
  if (sequence.caches.empty()) return;  // it waited
  running_rows_ -= sequence.width();
  if (!sequence.prepared) {
    for (auto& cache : sequence.caches) {
      const int64_t change = decoder_.rotation_change();
      if (change > 0 && cache->length() > change) {
        cache->truncate(0);  // no short text can go on with the keys of a long one
      } else if (sequence.beams) {
        cache->truncate(std::min(cache->length(), sequence.prompt_length));
      }
      pool_.give(std::move(cache), sequence.ids);
    }
  }
  sequence.caches.clear();
}

void Generation::retire() {
  const auto move_done = [&](auto& list) {
    for (auto& sequence : list) {
      if (sequence->done) finished_.push_back(std::move(sequence));
    }
    std::erase(list, nullptr);
  };
  move_done(waiting_);
  move_done(running_);
}

void Generation::cancel(int64_t handle) {
  for (const auto* list : {&waiting_, &running_}) {
    for (const auto& sequence : *list) {
      if (sequence->handle == handle) sequence->cancelled = true;
    }
  }
}

GenerationResult Generation::take(int64_t handle) {
  const auto there =
      std::ranges::find_if(finished_, [&](const auto& sequence) { return sequence->handle == handle; });
  if (there == finished_.end()) fail("text {} is not finished, or its result was taken", handle);
  GenerationResult result = std::move((*there)->result);
  finished_.erase(there);
  return result;
}

}  // namespace wattle::inline decode
