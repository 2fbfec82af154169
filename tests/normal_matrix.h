#pragma once

#include <random>

#include "tensor/matrix.h"

namespace wattle {

/// A matrix of normal numbers around 0.
inline Matrix normal_matrix(int64_t rows, int64_t columns, std::mt19937& random, float deviation = 1) {
  std::normal_distribution<float> normal(0, deviation);
  Matrix matrix(rows, columns);
  for (int64_t i = 0; i < rows * columns; ++i) matrix.data()[i] = normal(random);
  return matrix;
}
inline Matrix normal_matrix(int64_t rows, int64_t columns, unsigned seed, float deviation = 1) {
  std::mt19937 random(seed);
  return normal_matrix(rows, columns, random, deviation);
}

}  // namespace wattle
