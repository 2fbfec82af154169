#pragma once

#include <span>

#include "metrics/additive.h"

namespace wattle::inline metrics {

// The metrics, one file a kind of answer; metric.cc joins them. Each says the paper or the library whose
// numbers it gives; docs/metrics.md has them all with their ranges and references.

std::span<const MetricKind> label_metrics();        ///< labels.cc: accuracy, macro F1, top k
std::span<const MetricKind> calibration_metrics();  ///< calibration.cc: of a classifier's probabilities
std::span<const MetricKind> span_metrics();         ///< spans.cc: named entities
std::span<const MetricKind> extraction_metrics();   ///< extraction.cc: SQuAD's
std::span<const MetricKind> perplexity_metrics();   ///< perplexity.cc
std::span<const MetricKind> generation_metrics();   ///< generation.cc: exact text, patterns, numbers
std::span<const MetricKind> rouge_metrics();        ///< rouge.cc
std::span<const MetricKind> bleu_metrics();         ///< bleu.cc: sacrebleu's and COCO's
std::span<const MetricKind> chrf_metrics();         ///< chrf.cc
std::span<const MetricKind> cider_metrics();        ///< cider.cc
std::span<const MetricKind> score_metrics();        ///< scores.cc: correlations and errors of numbers
std::span<const MetricKind> ranking_metrics();      ///< ranking.cc

}  // namespace wattle::inline metrics
