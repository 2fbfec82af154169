#pragma once

#include <string_view>

namespace wattle {

/// Answers compared as SQuAD does (Rajpurkar et al. 2016): lower case, no punctuation, no articles, single
/// spaces.
double exact_match(std::string_view answer, std::string_view reference);
/// F1 of the bags of words after the same normalisation; 1 when both are empty.
double answer_f1(std::string_view answer, std::string_view reference);

/// F-measures of ROUGE (Lin 2004) over lower-cased runs of ASCII letters and digits, without stemming, as the
/// rouge_score package computes them. ROUGE-N for n = 1, 2; ROUGE-L by the longest common subsequence.
double rouge_n(std::string_view summary, std::string_view reference, int n);
double rouge_l(std::string_view summary, std::string_view reference);

}  // namespace wattle
