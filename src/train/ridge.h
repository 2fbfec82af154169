#pragma once

#include <span>

#include "train/linear.h"

namespace wattle::inline train {

/// Ridge regression (Hoerl and Kennard 1970): squared error plus the squared length of the weights over the
/// cost; the constant is free. Solved exactly, by Cholesky's decomposition of the features' products. The
/// cost of least squared error in cross-validation is taken; a score is the part of the numbers' variance
/// that is explained (R2). Error beyond 4,096 features.
LinearFit train_ridge(const SparseMatrix& x, std::span<const float> numbers, const LinearOptions& options);

}  // namespace wattle::inline train
