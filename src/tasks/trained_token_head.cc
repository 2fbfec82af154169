#include "tasks/trained_token_head.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace wattle::inline tasks {

void TrainedTokenHead::head(const Ragged<int32_t>&, ConstMatrixView hidden, Matrix& logits, Work& work) {
  logits.resize(hidden.rows, head_outputs());
  for (int64_t token = 0; token < hidden.rows; ++token) {
    const Prediction prediction = head_.predict(hidden.row(token), work);
    // A forest may find a label impossible.
    std::ranges::transform(prediction.scores, logits.row(token).begin(),
                           [](float share) { return std::log(std::max(share, FLT_MIN)); });
  }
}

}  // namespace wattle::inline tasks
