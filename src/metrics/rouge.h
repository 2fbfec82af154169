#pragma once

#include <string_view>

#include "metrics/words.h"

namespace wattle::inline metrics {

/// Words as rouge_score takes them: runs of a-z and 0-9 of the lower-case text; stemmed: those of more than
/// three letters by porter_stem.
Words words_of_summary(std::string_view text, bool stemmed);

// F-measures of ROUGE (Lin 2004) as Google's rouge_score computes them.

/// Of n-grams.
double rouge_n(std::string_view summary, std::string_view reference, int n, bool stemmed = false);
/// Of the longest common subsequence of the whole texts.
double rouge_l(std::string_view summary, std::string_view reference, bool stemmed = false);
/// Of the union of the longest common subsequences of lines, which are sentences.
double rouge_lsum(std::string_view summary, std::string_view reference, bool stemmed = false);

}  // namespace wattle::inline metrics
