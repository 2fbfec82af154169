#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <wattle/study.h>

namespace wattle {

/// Share of outputs whose answer is the truth.
double accuracy(std::span<const Output> outputs);

/// Unweighted mean of the F1 of each label that occurs as a truth or an answer (scikit-learn's f1_score,
/// average="macro"); a label never answered rightly counts 0.
double macro_f1(std::span<const Output> outputs, int n_labels);

/// The metric with its 95 % interval: Wilson's for accuracy, bootstrap over rows (seeded) for macro F1.
Interval quality(Metric metric, std::span<const Output> outputs, int n_labels, uint64_t seed);

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
