#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/question.h"

namespace wattle::inline data {

/// All that a question says, in one text: what tells it from others.
std::string all_text(const Question& question);

/// Which rows are for evaluation, the others for training. Texts that are folded() to the same stay together:
/// none is ever on both sides. Each class (`classes`: one a row, from 0; a text has that of its first row)
/// is split by itself in the order that SHA-256 of seed and text gives, `eval_share` of its texts for
/// evaluation but one at least on each side; a class with one text is for training. Where every class has one
/// text, the first text of all is for evaluation.
std::vector<bool> split_rows(const std::vector<std::string>& texts, const std::vector<int>& classes,
                             double eval_share, uint64_t seed);

/// The places of `most` rows drawn by the seed, ascending; all of them for 0.
std::vector<size_t> draw_rows(const std::vector<std::string>& texts, int64_t most, uint64_t seed);

/// What a reader should know of texts that are there several times, alike or but for case and white space,
/// and of those that have different classes. `classes`: one a row, or none.
std::vector<std::string> repeat_remarks(const std::vector<std::string>& texts,
                                        const std::vector<int>& classes);

/// Of texts for evaluation that are training texts too.
std::vector<std::string> overlap_remarks(const std::vector<std::string>& train,
                                         const std::vector<std::string>& eval);

/// Of classes that are not, or rarely, among the rows: fewer than 5 are hardly learnt. `train` empty: nothing
/// is learnt.
std::vector<std::string> class_remarks(const std::vector<int>& train, const std::vector<int>& eval,
                                       const std::vector<std::string>& names);

}  // namespace wattle::inline data
