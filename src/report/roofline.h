#pragma once

#include <string>
#include <vector>

#include "kernels/peaks.h"

namespace wattle::inline report {

/// One measured product: `m` rows of activations with weights [n, k] of `format`.
struct RooflinePoint {
  std::string format, activations;  ///< activations as in kernels/matmul.h: "q8", "q8-row", "bf16", "f32"
  int64_t m = 0, n = 0, k = 0;
  double operations_per_byte = 0;  ///< 2 x multiply-adds per byte of weights read
  double gops = 0;
  double share = 0;  ///< of roof(), 1 = all; the median of every round's share of its own peaks
};

struct Roofline {
  std::string subtitle;  ///< machine, threads, day
  Peaks peaks;           ///< of the same run
  std::vector<RooflinePoint> points;
};

/// What the processor allows that product: its arithmetic at the peak of the activations' type, or its
/// weights at the read loop's rate, whichever is less; GOP/s. Williams, Waterman, Patterson, "Roofline"
/// (2009).
double roof(const Peaks& peaks, const RooflinePoint& point);

/// One self-contained page: the roofs and the products in one chart, and each product's share of its roof in
/// a table.
std::string html(const Roofline& roofline);

}  // namespace wattle::inline report
