#include "metrics/detection.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include <wattle/error.h>

#include "statistics/intervals.h"

namespace wattle::inline metrics {
namespace {

constexpr size_t kOverlaps = 10;
constexpr int64_t kMostDetections = 100;
constexpr size_t kRecalls = 101;

double least_overlap(size_t i) {
  return 0.5 + 0.05 * static_cast<double>(i);
}

enum class Verdict : uint8_t { kWrong, kRight, kIgnored };

struct Match {
  double score = 0;
  int64_t image = 0;
  std::array<Verdict, kOverlaps> verdicts{};
};

void require_finite(const Box& box, double score) {
  for (const double number : {box.x, box.y, box.width, box.height, score}) {
    if (!std::isfinite(number)) fail("a box has the number {}; look at the model or the data", number);
  }
}

/// Each detection, the surest first, takes the free truth that it overlaps most, the last of equals; a crowd
/// only where there is no other, and a crowd is never taken.
void match(std::span<const DetectedBox> detections, std::span<const TrueBox> truths, size_t overlap_index,
           std::span<Match> matches) {
  std::vector<bool> taken(truths.size());
  for (size_t i = 0; i < detections.size(); ++i) {
    double most = std::min(least_overlap(overlap_index), 1 - 1e-10);
    const TrueBox* best = nullptr;
    for (const TrueBox& truth : truths) {  // crowds are last
      const auto place = static_cast<size_t>(&truth - truths.data());
      if (taken[place]) continue;
      if (best != nullptr && !best->crowd && truth.crowd) break;
      const double own = overlap(detections[i].box, truth);
      if (own < most) continue;
      most = own, best = &truth;
    }
    if (best == nullptr) continue;
    matches[i].verdicts[overlap_index] = best->crowd ? Verdict::kIgnored : Verdict::kRight;
    if (!best->crowd) taken[static_cast<size_t>(best - truths.data())] = true;
  }
}

std::vector<Match> matches_of(std::vector<DetectedBox> detections, std::vector<TrueBox> truths,
                              int64_t image) {
  std::ranges::stable_sort(detections, std::greater<>(), &DetectedBox::score);
  if (std::ssize(detections) > kMostDetections) detections.resize(kMostDetections);
  std::ranges::stable_sort(truths, {}, &TrueBox::crowd);
  std::vector<Match> matches;
  for (const DetectedBox& detection : detections) matches.push_back({detection.score, image, {}});
  for (size_t i = 0; i < kOverlaps; ++i) match(detections, truths, i, matches);
  return matches;
}

/// Mean over 101 recalls of the greatest precision there or further on. `times`: how often an image was
/// drawn.
double average_precision(std::span<const Match> matches, size_t overlap_index, std::span<const int64_t> times,
                         double wanted) {
  std::vector<double> precisions, recalls;
  double right = 0, wrong = 0;
  for (const Match& match : matches) {
    const Verdict verdict = match.verdicts[overlap_index];
    if (verdict == Verdict::kIgnored) continue;
    for (int64_t i = 0; i < times[static_cast<size_t>(match.image)]; ++i) {
      ++(verdict == Verdict::kRight ? right : wrong);
      recalls.push_back(right / wanted);
      precisions.push_back(right / (right + wrong + std::numeric_limits<double>::epsilon()));
    }
  }
  for (size_t i = precisions.size(); i-- > 1;) precisions[i - 1] = std::max(precisions[i - 1], precisions[i]);
  double sum = 0;
  for (size_t i = 0; i < kRecalls; ++i) {
    // numpy's linspace ends in 1 exactly.
    const double recall = i + 1 == kRecalls ? 1 : static_cast<double>(i) * 0.01;
    const auto place = std::ranges::lower_bound(recalls, recall) - recalls.begin();
    if (place < std::ssize(precisions)) sum += precisions[static_cast<size_t>(place)];
  }
  return sum / static_cast<double>(kRecalls);
}

}  // namespace

double overlap(const Box& detection, const TrueBox& truth) {
  const Box& other = truth.box;
  const double width =
      std::min(detection.x + detection.width, other.x + other.width) - std::max(detection.x, other.x);
  const double height =
      std::min(detection.y + detection.height, other.y + other.height) - std::max(detection.y, other.y);
  if (width <= 0 || height <= 0) return 0;
  const double common = width * height, own = detection.width * detection.height;
  return common / (truth.crowd ? own : own + other.width * other.height - common);
}

struct DetectionPrecision::Label {
  std::vector<Match> matches;  // the surest first
  std::vector<double> wanted;  // true boxes of each image
};

DetectionPrecision::DetectionPrecision(std::span<const DetectionRow> images) : images_(std::ssize(images)) {
  struct Boxes {
    std::vector<DetectedBox> detections;
    std::vector<TrueBox> truths;
  };
  std::map<int64_t, Label> labels;
  for (int64_t image = 0; image < images_; ++image) {
    const DetectionRow& row = images[static_cast<size_t>(image)];
    std::map<int64_t, Boxes> of_label;
    for (const TrueBox& truth : row.truths) {
      require_finite(truth.box, 0);
      of_label[truth.label].truths.push_back(truth);
    }
    for (const DetectedBox& detection : row.detections) {
      require_finite(detection.box, detection.score);
      of_label[detection.label].detections.push_back(detection);
    }
    for (auto& [label, boxes] : of_label) {
      Label& all = labels[label];
      all.wanted.resize(images.size());
      all.wanted[static_cast<size_t>(image)] =
          static_cast<double>(std::ranges::count(boxes.truths, false, &TrueBox::crowd));
      const auto matches = matches_of(std::move(boxes.detections), std::move(boxes.truths), image);
      all.matches.insert(all.matches.end(), matches.begin(), matches.end());
    }
  }
  for (auto& [label, all] : labels) {
    if (std::accumulate(all.wanted.begin(), all.wanted.end(), 0.0) == 0) continue;
    std::ranges::stable_sort(all.matches, std::greater<>(), &Match::score);
    labels_.push_back(std::move(all));
  }
  if (labels_.empty()) fail("no image has a box that could be found; give at least one");
}

DetectionPrecision::~DetectionPrecision() = default;

AveragePrecision DetectionPrecision::value() const {
  std::vector<int64_t> all(static_cast<size_t>(images_));
  std::iota(all.begin(), all.end(), 0);
  return value(all);
}

AveragePrecision DetectionPrecision::value(std::span<const int64_t> images) const {
  std::vector<int64_t> times(static_cast<size_t>(images_));
  for (const int64_t image : images) ++times[static_cast<size_t>(image)];
  std::array<double, kOverlaps> sums{};
  double labels = 0;
  for (const Label& label : labels_) {
    double wanted = 0;
    for (size_t i = 0; i < times.size(); ++i) wanted += static_cast<double>(times[i]) * label.wanted[i];
    if (wanted == 0) continue;
    ++labels;
    for (size_t i = 0; i < kOverlaps; ++i) sums[i] += average_precision(label.matches, i, times, wanted);
  }
  if (labels == 0) return {};
  const double all = std::accumulate(sums.begin(), sums.end(), 0.0);
  return {all / kOverlaps / labels, sums[0] / labels, sums[5] / labels};
}

Interval DetectionPrecision::interval(uint64_t seed) const {
  return bootstrap(images_, seed,
                   [this](std::span<const int64_t> images) { return value(images).at_50_to_95; });
}

}  // namespace wattle::inline metrics
