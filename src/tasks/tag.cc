// Labels of tokens, joined to spans as the token-classification pipeline of transformers does.
#include <algorithm>
#include <utility>

#include <wattle/error.h>

#include "tasks/kinds.h"
#include "tasks/own_head.h"
#include "tasks/places.h"
#include "tasks/tag_scheme.h"
#include "tasks/trained_token_head.h"

namespace wattle::inline tasks {
namespace {

using Join = HeadOptions::Join;

/// A text on its way through the head.
struct TaggedText {
  std::vector<Encoding> windows;
  std::vector<std::vector<Span>> spans;  ///< of each window
};

class Tag : public Task {
 public:
  Tag(std::unique_ptr<Model> model, const TaskOptions& options)
      : model_(std::move(model)),
        head_(*model_, NetworkHeadKind::kToken),
        labels_(label_names(*model_)),
        description_(describe(model_->file())),
        scheme_(*labels_),
        options_(options.head),
        marks_continuations_(model_->tokenizer().kind() == "wordpiece") {
    prepare();
  }

  /// By a trained head on the model's hidden states.
  Tag(Head head, const std::string& path, std::unique_ptr<Model> base, const TaskOptions& options)
      : model_(std::move(base)),
        trained_(std::make_unique<TrainedTokenHead>(std::move(head))),
        head_(*model_, *trained_),
        labels_(std::make_shared<const std::vector<std::string>>(trained_->trained().labels())),
        description_(describe(trained_->trained(), path, model_.get())),
        scheme_(*labels_),
        options_(options.head),
        marks_continuations_(model_->tokenizer().kind() == "wordpiece") {
    prepare();
  }

  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers(questions.size());
    std::vector<TaggedText> texts(questions.size());
    std::vector<HeadInput> inputs;
    std::vector<std::pair<size_t, size_t>> owners;  // text, window
    log_.restart();
    for (size_t i = 0; i < questions.size(); ++i) {
      cut(questions[i], texts[i], answers[i].truncation);
      for (size_t w = 0; w < texts[i].windows.size(); ++w) {
        inputs.push_back(head_.input_of(texts[i].windows[w]));
        owners.emplace_back(i, w);
      }
      texts[i].spans.resize(texts[i].windows.size());
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
    }
    const auto records = head_.run(
        inputs,
        [&](size_t input, ConstMatrixView logits) {
          const auto [i, w] = owners[input];
          texts[i].spans[w] = spans_of(questions[i].text(), texts[i].windows[w], logits);
        },
        log_);
    for (size_t k = 0; k < records.size(); ++k) add(records[k], answers[owners[k].first]);
    for (size_t i = 0; i < questions.size(); ++i) {
      answers[i].value = SpansAnswer{joined(std::move(texts[i].spans))};
      answers[i].phases.post += log_.end(Phase::kPost);
    }
    return answers;
  }

  nlohmann::ordered_json description() const override { return description_; }

 private:
  void prepare() {
    const int64_t added = model_->tokenizer().added_tokens(false);
    if (head_.max_tokens() <= added) fail("{}: has no room for a text; use another model", path());
    room_ = static_cast<size_t>(head_.max_tokens() - added);
    if (options_.overlap && options_.join == Join::kNone) {
      fail("windows that overlap need their spans joined; choose another way of joining than none");
    }
    if (options_.overlap && *options_.overlap >= static_cast<int64_t>(room_)) {
      fail("windows of {} tokens cannot overlap by {}; choose a smaller overlap", room_, *options_.overlap);
    }
  }

  std::string path() const { return model_->file().path().string(); }

  /// A text longer than the model reads is cut, or read in windows that overlap.
  void cut(const Question& question, TaggedText& text, Truncation& truncation) const {
    const Tokenizer& tokenizer = model_->tokenizer();
    const Encoding body = tokenizer.encode_body(question.text());
    auto parts = windows(body.size(), room_, static_cast<size_t>(options_.overlap.value_or(0)));
    if (parts.size() > 1 && !options_.overlap) {
      parts.resize(1);
      truncation = {static_cast<int64_t>(body.size()) + head_.max_tokens() - static_cast<int64_t>(room_),
                    head_.max_tokens()};
    }
    for (const auto& [begin, end] : parts) {
      Encoding window = tokenizer.assemble(body.slice(begin, end), std::nullopt);
      if (window.size() > 0) text.windows.push_back(std::move(window));
    }
  }

  /// Whether a token goes on with the word of the one before it. Only WordPiece says so; for others a token
  /// that no space precedes does.
  bool continues_word(std::string_view text, const Encoding& window, size_t i) const {
    if (window.ids[i] == model_->tokenizer().special().unk) return false;
    if (marks_continuations_) return i > 0 && window.words[i] == window.words[i - 1];
    const uint32_t begin = window.offsets[i].begin;
    return begin > 0 && text[begin - 1] != ' ' && (begin >= text.size() || text[begin] != ' ');
  }

  std::vector<Span> spans_of(std::string_view text, const Encoding& window, ConstMatrixView logits) const {
    const std::vector<TaggedPiece> pieces = pieces_of(text, window, logits);
    const Places places(text);
    std::vector<Span> spans;
    if (options_.join == Join::kNone) {
      for (const TaggedPiece& piece : pieces) {
        const std::string& label = (*labels_)[static_cast<size_t>(piece.label)];
        if (!TagScheme::is_outside(label)) spans.push_back(places.span(piece.bytes, label, piece.score));
      }
      return spans;
    }
    for (const TagScheme::Run& run : scheme_.runs(pieces)) {
      if (TagScheme::is_outside(run.name)) continue;
      double score = 0;
      for (size_t i = run.first; i <= run.last; ++i) score += pieces[i].score;
      score /= static_cast<double>(run.last - run.first + 1);
      spans.push_back(places.span({pieces[run.first].bytes.begin, pieces[run.last].bytes.end},
                                  std::string(run.name), static_cast<float>(score)));
    }
    return spans;
  }

  /// The tokens of the text, or its words.
  std::vector<TaggedPiece> pieces_of(std::string_view text, const Encoding& window,
                                     ConstMatrixView logits) const {
    std::vector<TaggedPiece> pieces;
    std::vector<std::vector<float>> word;  // scores of its tokens
    ByteRange bytes;
    const auto end_word = [&] {
      if (!word.empty()) pieces.push_back(piece_of(word, bytes));
      word.clear();
    };
    const bool by_word = options_.join != Join::kNone && options_.join != Join::kSimple;
    for (size_t i = 0; i < window.size(); ++i) {
      if (window.sequence[i] < 0) continue;
      if (!by_word || !continues_word(text, window, i)) end_word();
      if (word.empty()) bytes.begin = window.offsets[i].begin;
      bytes.end = window.offsets[i].end;
      const auto row = logits.row(static_cast<int64_t>(i));
      softmax(word.emplace_back(row.begin(), row.end()));
    }
    end_word();
    return pieces;
  }

  TaggedPiece piece_of(const std::vector<std::vector<float>>& tokens, ByteRange bytes) const {
    const auto largest = [](const std::vector<float>& scores) { return *std::ranges::max_element(scores); };
    std::vector<float> scores = tokens.front();
    if (options_.join == Join::kMax) {
      scores = *std::ranges::max_element(tokens, {}, largest);
    } else if (options_.join == Join::kAverage) {
      for (size_t k = 0; k < scores.size(); ++k) {
        double sum = 0;
        for (const auto& token : tokens) sum += token[k];
        scores[k] = static_cast<float>(sum / static_cast<double>(tokens.size()));
      }
    }
    const auto best = std::ranges::max_element(scores);
    return {bytes, static_cast<int>(best - scores.begin()), *best};
  }

  /// Of spans of several windows that overlap, the longer one stays, of equally long ones the likelier.
  static std::vector<Span> joined(std::vector<std::vector<Span>> windows) {
    std::vector<Span> all, kept;
    for (auto& spans : windows) std::ranges::move(spans, std::back_inserter(all));
    if (windows.size() < 2) return all;
    std::ranges::stable_sort(all, {}, &Span::begin);
    for (Span& span : all) {
      if (kept.empty() || span.begin >= kept.back().end) {
        kept.push_back(std::move(span));
        continue;
      }
      const int64_t length = span.end - span.begin, before = kept.back().end - kept.back().begin;
      if (length > before || (length == before && span.score > kept.back().score))
        kept.back() = std::move(span);
    }
    return kept;
  }

  std::unique_ptr<Model> model_;
  std::unique_ptr<TrainedTokenHead> trained_;  ///< or none: the model's own
  OwnHead head_;
  std::shared_ptr<const std::vector<std::string>> labels_;
  nlohmann::ordered_json description_;
  TagScheme scheme_;
  HeadOptions options_;
  bool marks_continuations_;
  size_t room_;
};

}  // namespace

std::unique_ptr<Task> make_tag(std::unique_ptr<Model> model, const TaskOptions& options) {
  return std::make_unique<Tag>(std::move(model), options);
}

std::unique_ptr<Task> make_tag_by_head(Head head, const std::string& path, std::unique_ptr<Model> base,
                                       const TaskOptions& options) {
  return std::make_unique<Tag>(std::move(head), path, std::move(base), options);
}

}  // namespace wattle::inline tasks
