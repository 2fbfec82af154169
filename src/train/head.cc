#include "train/head.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/utf8.h"

namespace wattle::inline train {
namespace {

constexpr std::array<std::string_view, 5> kKinds = {"majority", "keywords", "linear", "forest", "nearest"};

/// The label of the highest score, the lowest of equals.
int best(std::span<const float> scores) {
  return static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

}  // namespace

std::string_view name(HeadKind kind) {
  return kKinds[static_cast<size_t>(kind)];
}

HeadKind head_kind_from_name(std::string_view name, std::string_view origin) {
  const auto found = std::find(kKinds.begin(), kKinds.end(), name);
  if (found == kKinds.end())
    fail("{}: no kind of head is called {}; one of {}", origin, repaired_utf8(name), fmt::join(kKinds, ", "));
  return static_cast<HeadKind>(found - kKinds.begin());
}

std::string Head::features() const {
  if (parts_.table) return "table";
  if (parts_.base) return parts_.unit == HeadUnit::kToken ? "tokens" : "embeddings";
  std::string features;
  for (const Ngrams& part : parts_.text.ngrams) {
    if (!features.empty()) features += '+';
    features += part.rule().unit == NgramUnit::kCharacters ? "characters"
                : part.rule().max == 1                     ? "words"
                                                           : "ngrams";
  }
  return features.empty() ? "none" : features;
}

int64_t Head::parameters() const {
  if (const auto* forest = std::get_if<Forest>(&parts_.classifier))
    return static_cast<int64_t>(forest->node_count());
  if (const auto* nearest = std::get_if<NearestModel>(&parts_.classifier))
    return static_cast<int64_t>(nearest->labels().size()) * nearest->features();
  const auto& linear = std::get<LinearModel>(parts_.classifier);
  return static_cast<int64_t>(linear.weights.size() + linear.bias.size());
}

Prediction Head::predict(std::string_view text, Work& work) {
  work.tokens_in += parts_.text.features(text, pieces_, row_);
  return classify(work);
}

Prediction Head::predict(const TableRow& row, std::string_view place, Work& work) {
  parts_.table->features(row, place, row_);
  return classify(work);
}

Prediction Head::predict(std::span<const float> embedding, Work& work) {
  if (auto* nearest = std::get_if<NearestModel>(&parts_.classifier)) {
    Prediction prediction;
    prediction.scores.resize(parts_.labels.size());
    nearest->shares(embedding, prediction.scores, work);
    prediction.label = best(prediction.scores);
    return prediction;
  }
  row_.columns.resize(embedding.size());
  std::iota(row_.columns.begin(), row_.columns.end(), 0);
  row_.values.assign(embedding.begin(), embedding.end());
  return classify(work);
}

Prediction Head::classify(Work& work) {
  Prediction prediction;
  prediction.scores.resize(parts_.labels.size());
  if (const auto* linear = std::get_if<LinearModel>(&parts_.classifier)) {
    decisions_.resize(linear->bias.size());
    linear->decide(row_, decisions_, work);
    if (answers_numbers()) return {0, {}, static_cast<double>(decisions_[0])};
    to_probabilities(decisions_, prediction.scores);
  } else {
    const auto& forest = std::get<Forest>(parts_.classifier);
    decisions_.resize(static_cast<size_t>(forest.outputs()));
    forest.shares(row_, forest_scratch_, decisions_, work);
    if (answers_numbers()) return {0, {}, static_cast<double>(decisions_[0])};
    if (decisions_.size() == 1) {
      prediction.scores = {1 - decisions_[0], decisions_[0]};
    } else {
      const float sum = std::max(std::accumulate(decisions_.begin(), decisions_.end(), 0.0f), 1e-12f);
      for (size_t k = 0; k < decisions_.size(); ++k) prediction.scores[k] = decisions_[k] / sum;
    }
  }
  prediction.label = best(prediction.scores);
  return prediction;
}

}  // namespace wattle::inline train
