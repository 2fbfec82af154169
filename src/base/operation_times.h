#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "base/stopwatch.h"

namespace wattle::inline base {

/// The operations of a forward pass, as a profile names them.
enum class Operation { kEmbedding, kNorm, kPacking, kProducts, kRotary, kAttention, kLogits };
inline constexpr size_t kOperations = 7;
inline constexpr std::array<std::string_view, kOperations> kOperationNames = {
    "embedding", "norm",  "packing of activations", "products", "rotary embedding and cache",
    "attention", "logits"};

/// Seconds that a thread's forward passes spent in each operation, waiting for the team included, while a
/// `RecordOperations` lives.
struct OperationTimes {
  std::array<double, kOperations> seconds{};
};

/// Records the operations of the calling thread into `times` until it is destroyed.
class RecordOperations {
 public:
  explicit RecordOperations(OperationTimes& times) : outer_(active_) { active_ = &times; }
  ~RecordOperations() { active_ = outer_; }
  RecordOperations(const RecordOperations&) = delete;
  RecordOperations& operator=(const RecordOperations&) = delete;

 private:
  friend class TimedOperation;
  inline static thread_local OperationTimes* active_ = nullptr;
  OperationTimes* outer_;
};

/// The scope of one operation. Reads no clock unless somebody records. Operations within another (the product
/// that makes the logits) count as the outer one.
class TimedOperation {
 public:
  explicit TimedOperation(Operation operation) : times_(RecordOperations::active_), operation_(operation) {
    if (times_ == nullptr) return;
    watch_.emplace();
    RecordOperations::active_ = nullptr;
  }
  ~TimedOperation() {
    if (times_ == nullptr) return;
    times_->seconds[static_cast<size_t>(operation_)] += watch_->seconds();
    RecordOperations::active_ = times_;
  }
  TimedOperation(const TimedOperation&) = delete;
  TimedOperation& operator=(const TimedOperation&) = delete;

 private:
  OperationTimes* times_;
  Operation operation_;
  std::optional<Stopwatch> watch_;
};

}  // namespace wattle::inline base
