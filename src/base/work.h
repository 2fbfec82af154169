#pragma once

#include <cstdint>

namespace wattle::inline base {

/// The work record: what a piece of inference did, counted by the engine itself. The meter's modelled source
/// and the bench's "percent of the limit" both stand on it. Counts are exact sums of the shapes that ran, not
/// estimates.
struct Work {
  double macs_int8 = 0;  ///< multiply-adds with 8-bit integer operands
  double macs_bf16 = 0;  ///< multiply-adds with bfloat16 or float16 operands
  double macs_fp32 =
      0;  ///< multiply-adds in single precision (dense products, attention, embeddings' pooling)
  double weight_bytes = 0;      ///< bytes of weights read, as stored; once per pass over a matrix
  double activation_bytes = 0;  ///< bytes of activations and key-value cache read and written, as stored
  int64_t tokens_in = 0;        ///< tokens that entered the model (prompt or encoder input)
  int64_t tokens_out = 0;       ///< tokens generated

  Work& operator+=(const Work& other) {
    macs_int8 += other.macs_int8;
    macs_bf16 += other.macs_bf16;
    macs_fp32 += other.macs_fp32;
    weight_bytes += other.weight_bytes;
    activation_bytes += other.activation_bytes;
    tokens_in += other.tokens_in;
    tokens_out += other.tokens_out;
    return *this;
  }

  /// The part of the arithmetic and of the bytes that `share` stands for; tokens are whole numbers and stay
  /// 0.
  Work part(double share) const {
    return {macs_int8 * share, macs_bf16 * share, macs_fp32 * share, weight_bytes * share,
            activation_bytes * share};
  }
};

}  // namespace wattle::inline base
