#pragma once

#include <cstddef>
#include <vector>

#include "quant/format.h"

namespace wattle {

/// Offsets of the IEEE halves of a block, which random bytes must not make infinite.
inline std::vector<size_t> halves_of(Format format) {
  switch (format) {
    case Format::kQ4_1:
    case Format::kQ5_1:
    case Format::kQ4_K:
    case Format::kQ5_K:
      return {0, 2};
    case Format::kQ2_K:
      return {80, 82};
    case Format::kQ3_K:
      return {108};
    case Format::kQ6_K:
      return {208};
    default:
      return {0};
  }
}

}  // namespace wattle
