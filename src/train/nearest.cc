#include "train/nearest.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <wattle/error.h>

#include "kernels/packed.h"
#include "train/features.h"

namespace wattle::inline train {
namespace {

/// Rows whose cosines with all others are in memory at once.
constexpr int64_t kQueriesAtOnce = 64;

/// The places of the `count` largest of `cosines`, the largest first, the earlier of equals.
void nearest_of(std::span<const float> cosines, size_t count, std::vector<int32_t>& order) {
  order.resize(cosines.size());
  std::iota(order.begin(), order.end(), 0);
  count = std::min(count, order.size());
  const auto middle = order.begin() + static_cast<ptrdiff_t>(count);
  std::partial_sort(order.begin(), middle, order.end(), [&](int32_t a, int32_t b) {
    const float first = cosines[static_cast<size_t>(a)], second = cosines[static_cast<size_t>(b)];
    return first != second ? first > second : a < b;
  });
  order.resize(count);
}

/// The votes of `near`, the places of neighbours.
void vote(std::span<const int32_t> near, std::span<const float> cosines, std::span<const int32_t> labels,
          std::span<float> shares) {
  std::ranges::fill(shares, 0.0f);
  float sum = 0;
  for (const int32_t place : near) sum += std::max(cosines[static_cast<size_t>(place)], 0.0f);
  for (const int32_t place : near) {
    const auto index = static_cast<size_t>(place);
    const float share = sum > 0 ? std::max(cosines[index], 0.0f) / sum : 1 / static_cast<float>(near.size());
    shares[static_cast<size_t>(labels[index])] += share;
  }
}

int elected(std::span<const float> shares) {
  return static_cast<int>(std::ranges::max_element(shares) - shares.begin());
}

PackedMatrix packed(const Matrix& rows) {
  return PackedMatrix::pack(
      Format::kF32, rows.rows(), rows.columns(),
      std::as_bytes(std::span(rows.data(), static_cast<size_t>(rows.rows() * rows.columns()))));
}

/// How many rows each number of neighbours answers rightly from the rows of other folds.
std::vector<double> cross_validated(const Matrix& rows, std::span<const int32_t> labels, int n_labels,
                                    std::span<const int> fold_of, const NearestOptions& options) {
  const PackedMatrix all = packed(rows);
  const auto most = static_cast<size_t>(*std::ranges::max_element(options.neighbours));
  PackedActivations input;
  Matrix cosines;
  std::vector<float> shares(static_cast<size_t>(n_labels)), others;
  std::vector<int32_t> order;
  std::vector<double> right(options.neighbours.size(), 0);
  int64_t counted = 0;
  Work work;
  for (int64_t first = 0; first < rows.rows(); first += kQueriesAtOnce) {
    const int64_t count = std::min(kQueriesAtOnce, rows.rows() - first);
    cosines.resize(count, rows.rows());
    input.pack(rows.view().rows_from(first, count), Activations::kF32);
    matmul(input, all, cosines.view(), {}, work);
    for (int64_t i = 0; i < count; ++i) {
      const auto row = static_cast<size_t>(first + i);
      if (fold_of[row] < 0) continue;
      ++counted;
      const auto of_row = cosines.row(i);
      // What has no cosine is no neighbour.
      for (size_t j = 0; j < of_row.size(); ++j)
        if (fold_of[j] == fold_of[row] || fold_of[j] < 0) of_row[j] = -INFINITY;
      nearest_of(of_row, most, order);
      while (!order.empty() && of_row[static_cast<size_t>(order.back())] == -INFINITY) order.pop_back();
      if (order.empty()) continue;
      for (size_t k = 0; k < options.neighbours.size(); ++k) {
        const auto near = std::span<const int32_t>(order).first(
            std::min(order.size(), static_cast<size_t>(options.neighbours[k])));
        vote(near, of_row, labels, shares);
        right[k] += elected(shares) == labels[row] ? 1 : 0;
      }
    }
    if (options.progress)
      options.progress(static_cast<double>(first + count) / static_cast<double>(rows.rows()));
  }
  for (double& value : right) value /= static_cast<double>(std::max<int64_t>(1, counted));
  return right;
}

}  // namespace

NearestModel::NearestModel(Matrix rows, std::vector<int32_t> labels, int n_labels, int64_t neighbours,
                           const std::string& origin)
    : labels_(std::move(labels)), n_labels_(n_labels), neighbours_(neighbours) {
  if (rows.rows() < 1 || static_cast<int64_t>(labels_.size()) != rows.rows())
    fail("{}: {} rows and {} labels to look among; train it again", origin, rows.rows(), labels_.size());
  if (neighbours < 1 || neighbours > rows.rows())
    fail("{}: {} neighbours among {} rows; train it again", origin, neighbours, rows.rows());
  for (const int32_t label : labels_) {
    if (label < 0 || label >= n_labels)
      fail("{}: a row has the label {} and there are {}; train it again", origin, label, n_labels);
  }
  for (int64_t i = 0; i < rows.rows(); ++i) {
    const auto row = rows.row(i);
    if (!std::ranges::all_of(row, [](float value) { return std::isfinite(value); }))
      fail("{}: row {} is not finite numbers; train it again", origin, i + 1);
    to_unit_length(row);
  }
  rows_ = packed(rows);
  query_.resize(1, rows_.k());
  cosines_.resize(1, rows_.n());
}

Matrix NearestModel::rows() const {
  const PackedMatrix::Data& data = rows_.data();
  Matrix rows(data.n, data.k);
  for (int64_t first = 0; first < data.n; first += PanelLayout::kRows) {
    unpack_panel(
        data.layout, data.k, data.panels.get() + first / PanelLayout::kRows * data.layout.panel_bytes(data.k),
        std::min(PanelLayout::kRows, data.n - first), reinterpret_cast<std::byte*>(rows.row(first).data()));
  }
  return rows;
}

void NearestModel::shares(std::span<const float> x, std::span<float> shares, Work& work) {
  std::ranges::copy(x, query_.row(0).begin());
  to_unit_length(query_.row(0));
  input_.pack(query_.view(), Activations::kF32);
  matmul(input_, rows_, cosines_.view(), {}, work);
  work.weight_bytes += static_cast<double>(rows_.bytes());
  const auto cosines = std::as_const(cosines_).row(0);
  nearest_of(cosines, static_cast<size_t>(neighbours_), order_);
  vote(order_, cosines, labels_, shares);
}

NearestFit train_nearest(ConstMatrixView rows, std::span<const int> labels, int n_labels,
                         const NearestOptions& options) {
  Matrix all(rows.rows, rows.columns);
  for (int64_t i = 0; i < rows.rows; ++i) {
    std::ranges::copy(rows.row(i), all.row(i).begin());
    to_unit_length(all.row(i));
  }
  NearestOptions usable = options;
  std::erase_if(usable.neighbours, [&](int64_t k) { return k < 1 || k > rows.rows; });
  if (usable.neighbours.empty())
    fail("{}: no number of neighbours fits {} rows; give more rows", options.origin, rows.rows);
  std::ranges::sort(usable.neighbours);
  const std::vector<int32_t> own(labels.begin(), labels.end());
  NearestFit fit;
  int64_t chosen = usable.neighbours.front();
  if (usable.neighbours.size() > 1) {
    const std::vector<int> folds = options.fold_of.empty()
                                       ? stratified_folds(labels, n_labels, options.folds, options.seed)
                                       : options.fold_of;
    const std::vector<double> right = cross_validated(all, own, n_labels, folds, usable);
    for (size_t k = 0; k < right.size(); ++k)
      fit.scores.push_back({static_cast<double>(usable.neighbours[k]), right[k]});
    chosen = usable.neighbours[static_cast<size_t>(std::ranges::max_element(right) - right.begin())];
  }
  fit.model = NearestModel(std::move(all), own, n_labels, chosen, options.origin);
  return fit;
}

}  // namespace wattle::inline train
