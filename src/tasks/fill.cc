// Masked words, as the fill-mask pipeline of transformers gives them.
#include <algorithm>
#include <numeric>
#include <utility>

#include <wattle/error.h>

#include "tasks/kinds.h"
#include "tasks/own_head.h"

namespace wattle::inline tasks {
namespace {

constexpr int64_t kFillsByDefault = 5;
constexpr std::string_view kMarks[] = {"[MASK]", "<mask>"};

class FillMasks : public Task {
 public:
  FillMasks(std::unique_ptr<Model> model, const TaskOptions& options)
      : model_(std::move(model)), head_(*model_, NetworkHeadKind::kMasked) {
    const auto mask = model_->tokenizer().special().mask;
    if (!mask) {
      fail("{}: its tokenizer has no mask token; use a model that was trained to fill masks",
           model_->file().path().string());
    }
    mask_ = *mask;
    mask_text_ = model_->tokenizer().token_text(mask_);
    top_ = std::min(options.head.top > 0 ? options.head.top : kFillsByDefault, head_.outputs());
  }

  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers(questions.size());
    std::vector<HeadInput> inputs;
    std::vector<std::vector<int64_t>> places;
    log_.restart();
    for (size_t i = 0; i < questions.size(); ++i) {
      inputs.push_back(input_of(questions[i]));
      places.push_back(masks_of(inputs.back()));
      if (places.back().empty()) {
        fail("row {}: has no {}; put one in the place of the word that is looked for", questions[i].id,
             mask_text_);
      }
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
    }
    const auto records = head_.run_at(
        inputs, places,
        [&](size_t i, ConstMatrixView logits) { answers[i].value = fills(inputs[i], places[i], logits); },
        log_);
    for (size_t i = 0; i < questions.size(); ++i) add(records[i], answers[i]);
    return answers;
  }

  nlohmann::ordered_json description() const override { return describe(model_->file()); }

 private:
  /// What marks the places in a text: the model's own mask token, else another family's, so that one set of
  /// questions serves all models.
  std::string_view mark_in(std::string_view text) const {
    for (const std::string_view mark : {std::string_view(mask_text_), kMarks[0], kMarks[1]}) {
      if (text.find(mark) != std::string_view::npos) return mark;
    }
    return mask_text_;
  }

  /// The mask is the only special token that a text may hold.
  HeadInput input_of(const Question& question) const {
    const std::string_view text = question.text();
    const std::string_view mark = mark_in(text);
    std::vector<TextPart> parts;
    size_t begin = 0;
    for (size_t found; (found = text.find(mark, begin)) != std::string_view::npos;) {
      parts.push_back({text.substr(begin, found - begin), false});
      parts.push_back({mask_text_, true});
      begin = found + mark.size();
    }
    parts.push_back({text.substr(begin), false});
    std::erase_if(parts, [](const TextPart& part) { return part.text.empty(); });
    HeadInput input{model_->tokenizer().encode_parts(parts, true), {}};
    if (input.length() > head_.max_tokens()) {
      fail("row {}: has {} tokens, more than the {} that the model reads; shorten it", question.id,
           input.length(), head_.max_tokens());
    }
    return input;
  }

  std::vector<int64_t> masks_of(const HeadInput& input) const {
    std::vector<int64_t> places;
    for (int64_t i = 0; i < input.length(); ++i) {
      if (input.ids[static_cast<size_t>(i)] == mask_) places.push_back(i);
    }
    return places;
  }

  FillsAnswer fills(const HeadInput& input, std::span<const int64_t> places, ConstMatrixView logits) const {
    const Tokenizer& tokenizer = model_->tokenizer();
    FillsAnswer answer;
    for (size_t mask = 0; mask < places.size(); ++mask) {
      const auto row = logits.row(static_cast<int64_t>(mask));
      std::vector<float> scores(row.begin(), row.end());
      softmax(scores);
      std::vector<TokenId> best(scores.size());
      std::iota(best.begin(), best.end(), 0);
      const auto better = [&](TokenId a, TokenId b) {
        const float left = scores[static_cast<size_t>(a)], right = scores[static_cast<size_t>(b)];
        return left > right || (left == right && a < b);
      };
      std::partial_sort(best.begin(), best.begin() + top_, best.end(), better);
      best.resize(static_cast<size_t>(top_));
      std::vector<Fill>& list = answer.masks.emplace_back();
      for (const TokenId id : best) {
        std::vector<TokenId> filled = input.ids;
        filled[static_cast<size_t>(places[mask])] = id;
        // The masks that are left stay visible.
        std::string text =
            places.size() == 1 ? tokenizer.decode(filled) : tokenizer.decode_with_special(filled);
        list.push_back(
            {id, tokenizer.decode_with_special({&id, 1}), scores[static_cast<size_t>(id)], std::move(text)});
      }
    }
    return answer;
  }

  std::unique_ptr<Model> model_;
  OwnHead head_;
  TokenId mask_ = 0;
  std::string mask_text_;
  int64_t top_;
};

}  // namespace

std::unique_ptr<Task> make_fill(std::unique_ptr<Model> model, const TaskOptions& options) {
  return std::make_unique<FillMasks>(std::move(model), options);
}

}  // namespace wattle::inline tasks
