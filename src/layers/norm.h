#pragma once

#include <span>

#include "base/work.h"
#include "tensor/matrix.h"

namespace wattle {

/// out = (x - mean) / sqrt(variance + epsilon) * weight + bias, row by row (Ba et al. 2016). x and out may be
/// the same.
void layer_norm(ConstMatrixView x, std::span<const float> weight, std::span<const float> bias, float epsilon,
                MatrixView out, Work& work);

/// out = x / sqrt(mean(x^2) + epsilon) * weight, row by row (Zhang and Sennrich 2019). x and out may be the
/// same.
void rms_norm(ConstMatrixView x, std::span<const float> weight, float epsilon, MatrixView out, Work& work);

/// sum += rms_norm(x), row by row; x is replaced by its norm.
void add_rms_norm(MatrixView x, std::span<const float> weight, float epsilon, MatrixView sum, Work& work);

}  // namespace wattle
