#pragma once

#include <string>
#include <variant>
#include <vector>

#include "tasks/answer.h"

namespace wattle::inline metrics {

/// The class of a text, a table's row or a pair; the right one of several choices, in words.
struct LabelTruth {
  std::string label;
};

/// Texts each of which is right: references of a summary or translation, answers that a context holds, the
/// word behind a mask, a pattern. None: a question that has no answer.
struct TextsTruth {
  std::vector<std::string> texts;
};

/// The spans of a text, by bytes and label.
struct SpansTruth {
  std::vector<Span> spans;
};

/// A number: a similarity, a table's value.
struct ScoreTruth {
  double score = 0;
};

/// How much each document of a ranking says to its query; 0: nothing.
struct RelevanceTruth {
  std::vector<double> relevance;
};

/// What is right for a question, as a data set states it; nothing where a metric asks for none (perplexity).
using Truth = std::variant<std::monostate, LabelTruth, TextsTruth, SpansTruth, ScoreTruth, RelevanceTruth>;

}  // namespace wattle::inline metrics
