#pragma once

#include "tensor/matrix.h"

namespace wattle::inline train {

/// Rows [n, width] in the basis of their principal components.
struct PrincipalComponents {
  Matrix scores;        ///< [n, components], centred, the component of most variance first
  double variance = 1;  ///< the share of all variance that the components hold
};

/// The first `components` (at most the width) of `rows`, by the eigenvectors of their covariance. Of the two
/// signs of a component the one whose largest score is positive. The same bits for any number of threads.
PrincipalComponents principal_components(ConstMatrixView rows, int64_t components);

}  // namespace wattle::inline train
