#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "families/capabilities.h"
#include "train/head.h"

namespace wattle::inline tasks {

/// A trained head on tokens in the place of a model's own. Its logits are the logarithms of its
/// probabilities, which a softmax gives back.
class TrainedTokenHead : public HasHead {
 public:
  explicit TrainedTokenHead(Head head) : head_(std::move(head)) {}

  const Head& trained() const { return head_; }
  std::optional<NetworkHeadKind> head_kind() const override { return NetworkHeadKind::kToken; }
  int64_t head_outputs() const override { return static_cast<int64_t>(head_.labels().size()); }
  void head(const Ragged<int32_t>& tokens, ConstMatrixView hidden, Matrix& logits, Work& work) override;

 private:
  Head head_;
};

}  // namespace wattle::inline tasks
