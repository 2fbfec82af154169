#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <wattle/statistics.h>

namespace wattle::inline metrics {

/// In pixels, from the image's upper left corner.
struct Box {
  double x = 0, y = 0, width = 0, height = 0;
};

struct TrueBox {
  Box box;
  int64_t label = 0;
  bool crowd = false;  ///< one box around many things: what lies in it is neither right nor wrong
};

struct DetectedBox {
  Box box;
  int64_t label = 0;
  double score = 0;
};

struct DetectionRow {
  std::vector<TrueBox> truths;
  std::vector<DetectedBox> detections;
};

struct AveragePrecision {
  double at_50_to_95 = 0;  ///< COCO's AP: mean over the overlaps 0.50, 0.55, ... 0.95
  double at_50 = 0, at_75 = 0;
};

/// COCO's average precision of boxes (Lin et al. 2014) over all areas, 100 detections an image and label, as
/// pycocotools computes it: the mean over labels that occur of the precision at 101 recalls. Boxes are
/// matched once, so that draws of images cost only the sums.
class DetectionPrecision {
 public:
  /// Error where no image has a true box that is no crowd, and for boxes or scores that are not finite.
  explicit DetectionPrecision(std::span<const DetectionRow> images);
  ~DetectionPrecision();

  AveragePrecision value() const;
  /// Over the images at places, repeats counted; 0 where none has a true box.
  AveragePrecision value(std::span<const int64_t> images) const;
  /// at_50_to_95 with the 95 % interval of the bootstrap over images.
  Interval interval(uint64_t seed) const;

 private:
  struct Label;
  std::vector<Label> labels_;
  int64_t images_ = 0;
};

/// Intersection over union; with a crowd over the detection's own area.
double overlap(const Box& detection, const TrueBox& truth);

}  // namespace wattle::inline metrics
