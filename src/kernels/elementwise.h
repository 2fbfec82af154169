#pragma once

#include <cstdint>
#include <span>

#include "kernels/matmul.h"
#include "tensor/matrix.h"

namespace wattle::inline kernels {

// Operations on one row of floats, by the active instruction set and one thread: call them for many rows
// inside a parallel loop. The result depends on the row alone. NaN stays NaN.

/// Largest errors of the functions against double precision: absolute where the truth is below one, relative
/// above. Those of softmax are relative, for scores exactly as far below the largest as they are rounded to.
inline constexpr double kTanhError = 3e-7, kSiluError = 2e-7, kGeluError = 1e-6, kGeluTanhError = 4e-7;
inline constexpr double kSoftmaxError = 1e-6;

/// values = f(values).
void apply_inplace(ActivationFunction function, std::span<float> values);

/// values = softmax(scale * values [+ bias]); scale > 0, bias null or as long as values. Minus infinity
/// masks.
void softmax_inplace(std::span<float> values, float scale = 1.0f, const float* bias = nullptr);

/// out = x / sqrt(mean(x^2) + epsilon) * weight, or * (1 + weight) with add_one. `out` may be `x`. Zhang and
/// Sennrich, "Root Mean Square Layer Normalization" (2019).
void rms_norm(std::span<const float> x, const float* weight, float epsilon, float* out, bool add_one = false);

/// out = (x - mean) / sqrt(variance + epsilon) * weight [+ bias]. `out` may be `x`. Ba, Kiros and Hinton,
/// "Layer Normalization" (2016).
void layer_norm(std::span<const float> x, const float* weight, const float* bias, float epsilon, float* out);

/// Pairs (head[i], head[half + i]) turned by angles of these cosines and sines [half].
void rotate_halves(float* head, const float* cosine, const float* sine, int64_t half);

/// Neighbours (head[2 i], head[2 i + 1]) of `count` values turned by their angles: cosines [count] has each
/// twice, sines [count] minus the sine, then the sine.
void rotate_neighbours(float* head, const float* cosines, const float* sines, int64_t count);

}  // namespace wattle::inline kernels
