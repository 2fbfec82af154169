#include "metrics/access.h"

#include <algorithm>
#include <cmath>

#include <wattle/error.h>

namespace wattle::inline metrics {
namespace {

template <typename Kind>
const Kind& truth_as(const Truth& truth, std::string_view what) {
  const auto* found = std::get_if<Kind>(&truth);
  if (found == nullptr) fail("the row's truth is no {}; choose a metric of another kind", what);
  return *found;
}

}  // namespace

const LabelAnswer& label_answer(const Answer& answer) {
  const auto* label = std::get_if<LabelAnswer>(&answer.value);
  if (label == nullptr)
    fail("the answer is no label; choose a metric of another kind, or a model that classifies");
  return *label;
}

int64_t place_of_label(const LabelAnswer& answer, std::string_view label) {
  const auto found = std::ranges::find(*answer.names, label);
  return found == answer.names->end() ? -1 : found - answer.names->begin();
}

std::span<const float> probabilities(const LabelAnswer& answer) {
  if (answer.scores.size() != answer.names->size()) {
    fail("the answer has {} probabilities for {} labels; choose a metric that needs the label only",
         answer.scores.size(), answer.names->size());
  }
  for (const float p : answer.scores) {
    if (!(p >= 0 && p <= 1)) fail("{} is no probability; choose a metric that needs the label only", p);
  }
  return answer.scores;
}

const std::string& answered_label(const Answer& answer) {
  return label_answer(answer).name();
}

const std::string& answered_text(const Answer& answer) {
  if (const auto* text = std::get_if<TextAnswer>(&answer.value)) {
    if (!text->text) fail("the model has no tokenizer, and its answers no text; add the tokenizer's files");
    return *text->text;
  }
  if (const auto* spans = std::get_if<SpansAnswer>(&answer.value); spans != nullptr && spans->text) {
    return *spans->text;
  }
  fail("the answer is no text; choose a metric of another kind, or a model that writes");
}

double answered_score(const Answer& answer) {
  const auto* score = std::get_if<ScoreAnswer>(&answer.value);
  if (score == nullptr)
    fail("the answer is no number; choose a metric of another kind, or a model that scores");
  if (!std::isfinite(score->score)) fail("the answer {} is not finite; look at the model", score->score);
  return score->score;
}

const std::string& right_label(const Truth& truth) {
  return truth_as<LabelTruth>(truth, "label").label;
}

const std::vector<std::string>& right_texts(const Truth& truth) {
  return truth_as<TextsTruth>(truth, "list of texts").texts;
}

const std::vector<std::string>& references(const Truth& truth) {
  const auto& texts = right_texts(truth);
  if (texts.empty()) fail("the row has no reference to compare the answer with; leave it out");
  return texts;
}

double right_score(const Truth& truth) {
  const double score = truth_as<ScoreTruth>(truth, "number").score;
  if (!std::isfinite(score)) fail("the row's truth {} is not finite; leave it out", score);
  return score;
}

}  // namespace wattle::inline metrics
