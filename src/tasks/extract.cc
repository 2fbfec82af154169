// Where a context answers a question, as the question-answering pipeline of transformers finds it:
// probabilities of a beginning and of an end over the context's tokens of each window; candidates of all
// windows, widened to whole words, and those of one text added up.
#include <algorithm>
#include <cmath>
#include <utility>

#include <wattle/error.h>

#include "tasks/kinds.h"
#include "tasks/own_head.h"
#include "tasks/places.h"
#include "text/normalizer.h"

namespace wattle::inline tasks {
namespace {

constexpr int64_t kWindow = 384, kOverlap = 128;

struct Candidate {
  size_t begin, end;  ///< first and last token of a window
  double score;
};

/// Candidates of one text.
struct Found {
  ByteRange bytes;
  std::string lower;
  double score;
};

class Extract : public Task {
 public:
  Extract(std::unique_ptr<Model> model, const TaskOptions& options)
      : model_(std::move(model)), head_(*model_, NetworkHeadKind::kSpan), options_(options.head) {
    window_ = std::min(options_.window > 0 ? options_.window : kWindow, head_.max_tokens());
    top_ = static_cast<size_t>(std::max<int64_t>(1, options_.top));
    added_ = model_->tokenizer().added_tokens(true);
  }

  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers(questions.size());
    std::vector<Reading> readings(questions.size());
    std::vector<HeadInput> inputs;
    std::vector<std::pair<size_t, size_t>> owners;  // question, window
    log_.restart();
    for (size_t i = 0; i < questions.size(); ++i) {
      cut(questions[i], readings[i]);
      for (size_t w = 0; w < readings[i].windows.size(); ++w) {
        inputs.push_back(head_.input_of(readings[i].windows[w]));
        owners.emplace_back(i, w);
      }
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
    }
    const auto records = head_.run(
        inputs,
        [&](size_t input, ConstMatrixView logits) {
          const auto [i, w] = owners[input];
          read(readings[i], readings[i].windows[w], logits);
        },
        log_);
    for (size_t k = 0; k < records.size(); ++k) add(records[k], answers[owners[k].first]);
    for (size_t i = 0; i < questions.size(); ++i) {
      answers[i].value = best_of(readings[i]);
      answers[i].phases.post += log_.end(Phase::kPost);
    }
    return answers;
  }

  nlohmann::ordered_json description() const override { return describe(model_->file()); }

 private:
  struct Reading {
    std::string_view context;
    std::vector<Encoding> windows;
    std::vector<Found> found;
    double no_answer = INFINITY;  ///< the least of all windows
  };

  void cut(const Question& question, Reading& reading) const {
    const auto* pair = std::get_if<TextPair>(&question.content);
    if (pair == nullptr) {
      fail("row {}: an answer is looked for in a context; give both, as `question` and `context`",
           question.id);
    }
    const Tokenizer& tokenizer = model_->tokenizer();
    reading.context = pair->second;
    const Encoding asked = tokenizer.encode_body(pair->first), context = tokenizer.encode_body(pair->second);
    const int64_t room = window_ - added_ - static_cast<int64_t>(asked.size());
    if (room < 1) {
      fail(
          "row {}: the question has {} tokens and leaves no room for its context in a window of {}; shorten "
          "it",
          question.id, asked.size(), window_);
    }
    if (context.size() == 0) fail("row {}: the context is empty; give the text to look in", question.id);
    if (options_.overlap && *options_.overlap >= room && static_cast<int64_t>(context.size()) > room) {
      fail(
          "row {}: windows with room for {} tokens of the context cannot overlap by {}; choose a smaller "
          "overlap",
          question.id, room, *options_.overlap);
    }
    const int64_t overlap = options_.overlap ? *options_.overlap : std::min(kOverlap, window_ / 2);
    for (const auto& [begin, end] : windows(context.size(), static_cast<size_t>(room),
                                            static_cast<size_t>(overlap < room ? overlap : room / 2))) {
      reading.windows.push_back(tokenizer.assemble(asked, context.slice(begin, end)));
    }
  }

  /// Probabilities of one column over the tokens that may be meant: the context's, and the one that means no
  /// answer.
  std::vector<double> probabilities(const Encoding& window, ConstMatrixView logits, size_t column) const {
    const auto cls = model_->tokenizer().special().cls;
    std::vector<double> values(window.size());
    double largest = -INFINITY, sum = 0;
    const auto counts = [&](size_t i) { return window.sequence[i] == 1 || (cls && window.ids[i] == *cls); };
    for (size_t i = 0; i < values.size(); ++i) {
      if (counts(i)) largest = std::max<double>(largest, logits.row(static_cast<int64_t>(i))[column]);
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (counts(i)) sum += values[i] = std::exp(logits.row(static_cast<int64_t>(i))[column] - largest);
    }
    for (double& value : values) value /= sum;
    return values;
  }

  void read(Reading& reading, const Encoding& window, ConstMatrixView logits) const {
    const auto begins = probabilities(window, logits, 0), ends = probabilities(window, logits, 1);
    reading.no_answer = std::min(reading.no_answer, begins[0] * ends[0]);
    std::vector<Candidate> candidates;
    const auto longest = static_cast<size_t>(options_.longest_answer);
    for (size_t begin = 0; begin < window.size(); ++begin) {
      if (window.sequence[begin] != 1) continue;
      for (size_t end = begin; end < std::min(window.size(), begin + longest); ++end) {
        if (window.sequence[end] == 1) candidates.push_back({begin, end, begins[begin] * ends[end]});
      }
    }
    // More than are wanted: widened to whole words some become one.
    const size_t count = std::min(candidates.size(), 2 * top_ + 10);
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
                      candidates.end(),
                      [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
    candidates.resize(count);
    for (const Candidate& candidate : candidates) add_found(reading, window, candidate);
  }

  static void add_found(Reading& reading, const Encoding& window, const Candidate& candidate) {
    size_t first = candidate.begin, last = candidate.end;
    const auto same_word = [&](size_t i, size_t as) {
      return i < window.size() && window.sequence[i] == 1 && window.words[i] == window.words[as];
    };
    while (first > 0 && same_word(first - 1, candidate.begin)) --first;
    while (same_word(last + 1, candidate.end)) ++last;
    const ByteRange bytes{window.offsets[first].begin, window.offsets[last].end};
    std::string lower = lower_case(reading.context.substr(bytes.begin, bytes.end - bytes.begin));
    const auto same = std::ranges::find(reading.found, lower, &Found::lower);
    if (same != reading.found.end()) {
      same->score += candidate.score;
    } else {
      reading.found.push_back({bytes, std::move(lower), candidate.score});
    }
  }

  SpansAnswer best_of(Reading& reading) const {
    if (options_.no_answer) reading.found.push_back({{0, 0}, {}, reading.no_answer});
    std::ranges::stable_sort(reading.found, std::greater(), &Found::score);
    reading.found.resize(std::min(reading.found.size(), top_));
    const Places places(reading.context);
    SpansAnswer answer;
    for (const Found& found : reading.found) {
      answer.spans.push_back(places.span(found.bytes, {}, static_cast<float>(found.score)));
    }
    answer.text = answer.spans.front().text;
    return answer;
  }

  std::unique_ptr<Model> model_;
  OwnHead head_;
  HeadOptions options_;
  int64_t window_, added_;
  size_t top_;
};

}  // namespace

std::unique_ptr<Task> make_extract(std::unique_ptr<Model> model, const TaskOptions& options) {
  return std::make_unique<Extract>(std::move(model), options);
}

}  // namespace wattle::inline tasks
