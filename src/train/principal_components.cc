#include "train/principal_components.h"

#include <algorithm>

// One order of sums, whatever the threads.
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Dense>

namespace wattle::inline train {
namespace {

using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Rows in double precision at a time: a copy of all would take twice their memory.
constexpr int64_t kRowsAtOnce = 1024;

template <class Each>
void for_each_part(ConstMatrixView rows, const Eigen::VectorXd& mean, const Each& each) {
  for (int64_t first = 0; first < rows.rows; first += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, rows.rows - first);
    Eigen::MatrixXd part(count, rows.columns);
    for (int64_t i = 0; i < count; ++i) {
      const auto row = rows.row(first + i);
      part.row(i) =
          Eigen::Map<const Eigen::RowVectorXf>(row.data(), rows.columns).cast<double>() - mean.transpose();
    }
    each(first, part);
  }
}

Eigen::VectorXd mean_of(ConstMatrixView rows) {
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(rows.columns);
  for (int64_t i = 0; i < rows.rows; ++i)
    sum += Eigen::Map<const Eigen::VectorXf>(rows.row(i).data(), rows.columns).cast<double>();
  return sum / static_cast<double>(std::max<int64_t>(1, rows.rows));
}

/// Components whose largest score is negative are turned round.
void fix_signs(Matrix& scores) {
  for (int64_t c = 0; c < scores.columns(); ++c) {
    const auto column = static_cast<size_t>(c);
    float largest = 0;
    for (int64_t i = 0; i < scores.rows(); ++i) {
      const float score = scores.row(i)[column];
      if (std::abs(score) > std::abs(largest)) largest = score;
    }
    if (largest >= 0) continue;
    for (int64_t i = 0; i < scores.rows(); ++i) scores.row(i)[column] *= -1;
  }
}

}  // namespace

PrincipalComponents principal_components(ConstMatrixView rows, int64_t components) {
  components = std::min(components, rows.columns);
  const Eigen::VectorXd mean = mean_of(rows);
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(rows.columns, rows.columns);
  for_each_part(rows, mean, [&](int64_t, const Eigen::MatrixXd& part) {
    covariance.selfadjointView<Eigen::Lower>().rankUpdate(part.transpose());
  });
  // Eigenvalues come in ascending order.
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  const Eigen::MatrixXd basis = solver.eigenvectors().rightCols(components).rowwise().reverse();
  const Eigen::VectorXd values = solver.eigenvalues().cwiseMax(0);
  PrincipalComponents result;
  result.variance = values.sum() > 0 ? values.tail(components).sum() / values.sum() : 1;
  result.scores.resize(rows.rows, components);
  for_each_part(rows, mean, [&](int64_t first, const Eigen::MatrixXd& part) {
    Eigen::Map<Rows>(result.scores.row(first).data(), part.rows(), components) = (part * basis).cast<float>();
  });
  fix_signs(result.scores);
  return result;
}

}  // namespace wattle::inline train
