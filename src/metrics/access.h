#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "metrics/truth.h"

namespace wattle::inline metrics {

// What metrics take from an answer and its truth; Error where there is none.

const LabelAnswer& label_answer(const Answer& answer);
/// A place in label_answer(answer).names; negative: the model does not know the label.
int64_t place_of_label(const LabelAnswer& answer, std::string_view label);
/// Error where there is not a probability for each name.
std::span<const float> probabilities(const LabelAnswer& answer);
const std::string& answered_label(const Answer& answer);
/// A text, or the best span of one; empty: the model says that there is no answer.
const std::string& answered_text(const Answer& answer);
/// Finite.
double answered_score(const Answer& answer);

const std::string& right_label(const Truth& truth);
const std::vector<std::string>& right_texts(const Truth& truth);
/// Error where there are none.
const std::vector<std::string>& references(const Truth& truth);
/// Finite.
double right_score(const Truth& truth);

}  // namespace wattle::inline metrics
