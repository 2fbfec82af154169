#pragma once

#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tasks/answer.h"
#include "tasks/question.h"

namespace wattle::inline tasks {

// Where typed questions and answers meet JSON: for programs' edges (input rows, output rows, the protocol of
// workers), never inside a measured window.

/// The keys of an answer: `label` and `scores`; `embedding`; `text`, `ids`, token counts and `stop`; `spans`,
/// with the best one's `text` where they are answers; `masks`, a list of fillings each; `ids`; `score`;
/// `perplexity`; `hidden`, `logits`, `start_logits` and `end_logits`. Floats of these are written as the
/// shortest decimals that read back to the same float.
nlohmann::ordered_json to_json(const Answer& answer);
nlohmann::ordered_json to_json(const PerplexityAnswer& answer);

/// What to_json() writes, or another program in its manner, as an answer of `task` (one of task_names()). A
/// label may come without scores; a span with its bounds in bytes or in code points, where `question` is
/// given, which then supplies the other ones and its text; counts of tokens, `stop`, and all of a filling
/// but `token` and `score` may be absent. Throws Error in one sentence: an answer of another kind, a field
/// that is missing, unknown or of a wrong type, a number that is not finite or out of its range.
Answer answer_from_json(const nlohmann::ordered_json& json, std::string_view task,
                        const Question* question = nullptr);

/// As question_from_json() reads it.
nlohmann::ordered_json question_to_json(const Question& question);

struct QuestionFields {
  std::string text = "text", pair = "text_pair";
  std::string_view text_flag = "--field";  ///< what chooses the text's field, for error sentences
};

/// A row as a question: a text; with the field of the pair two texts; or, in a row without a text, `question`
/// with `context` (a pair), `question` with `choices`, `query` with `documents`, `cells` (a table's row in
/// the order of its columns; null: missing), `messages` ([{role, content}, ...]) or `ids` (with `type_ids`,
/// `decoder_ids`). Its id is the row's `id`, else `number`. `place` begins every Error: a missing field, a
/// wrong type, an empty list, lists of different lengths, a choice given twice. Takes texts out of `row`.
Question question_from_json(nlohmann::ordered_json& row, const QuestionFields& fields, size_t number,
                            const std::string& place);

/// Whether a table's cell says that there is no value: null, blank, "?", or what pandas writes (NA, NaN,
/// None, null, ...).
bool is_missing(const nlohmann::ordered_json& cell);

/// The row of a table: the fields `columns`, in their order. Missing values are those of
/// is_missing(); white space around texts is left out. Its id is as above. Throws Error, beginning
/// with `place`, for a field that is not there, one that is a list or an object, and more columns than there
/// are.
Question table_question(const nlohmann::ordered_json& row, std::span<const std::string> columns,
                        size_t number, const std::string& place);

/// A field of a row. Throws Error naming the fields there are.
nlohmann::ordered_json& need_field(nlohmann::ordered_json& row, const std::string& field,
                                   std::string_view flag, const std::string& place);

}  // namespace wattle::inline tasks
