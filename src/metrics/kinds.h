#pragma once

#include <memory>
#include <span>
#include <string>

#include "metrics/metric.h"

namespace wattle {

// The metrics, one file a kind of answer; make_metric chooses. Each says the paper or the library whose
// numbers it gives.

/// Share of right labels. A row: 1 or 0.
std::unique_ptr<const Metric> make_accuracy(std::span<const std::string> labels);
/// Unweighted mean of the F1 of each label that occurs as a truth or an answer (scikit-learn's f1_score,
/// average="macro"); a label never answered rightly counts 0. A row: places of the truth and of the answer
/// among the labels.
std::unique_ptr<const Metric> make_macro_f1(std::span<const std::string> labels);

}  // namespace wattle
