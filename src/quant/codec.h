#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

#include <wattle/error.h>

namespace wattle::inline quant {

/// What FormatInfo points to, one pair a format; each family of formats has a file. A format without an
/// encoder here is only read.
using Decode = void(std::span<const std::byte> bytes, std::span<float> weights);
using Encode = void(std::span<const float> weights, std::span<const float> importance,
                    std::span<std::byte> bytes);

Decode decode_f32, decode_f16, decode_bf16, decode_f64, decode_i8, decode_i16, decode_i32, decode_i64;
Decode decode_q4_0, decode_q4_1, decode_q5_0, decode_q5_1, decode_q8_0, decode_iq4_nl;
Decode decode_q2_k, decode_q3_k, decode_q4_k, decode_q5_k, decode_q6_k, decode_iq4_xs;

Encode encode_f32, encode_f16, encode_bf16;
Encode encode_q4_0, encode_q4_1, encode_q5_0, encode_q5_1, encode_q8_0, encode_iq4_nl;
Encode encode_q2_k, encode_q3_k, encode_q4_k, encode_q5_k, encode_q6_k;

/// Put before an encoder that searches: everything it calls is compiled into it once plainly and once for
/// AVX2, and the loader picks. The arithmetic is the same (no fused multiply-add, see CMakeLists.txt), so the
/// bytes are too. Clang cannot flatten a function that it clones.
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define WATTLE_ENCODER [[gnu::flatten, gnu::target_clones("default", "avx2")]]
#else
#define WATTLE_ENCODER
#endif

/// Error unless `bytes` are whole blocks that hold just `weights` values.
inline void check_blocks(size_t bytes, size_t weights, size_t block_bytes, size_t block_weights) {
  if (bytes % block_bytes != 0 || bytes / block_bytes * block_weights != weights) {
    fail("{} weights do not fit {} bytes of blocks of {} weights in {} bytes; give whole blocks", weights,
         bytes, block_weights, block_bytes);
  }
}

/// Runs `decode_block(const Block&, float* weights)` on every block of `bytes`, whatever their alignment.
template <typename Block, typename DecodeBlock>
void for_each_block(std::span<const std::byte> bytes, std::span<float> weights, DecodeBlock decode_block) {
  check_blocks(bytes.size(), weights.size(), sizeof(Block), Block::kWeights);
  for (size_t i = 0; i < bytes.size() / sizeof(Block); ++i) {
    Block block;
    std::memcpy(&block, bytes.data() + i * sizeof(Block), sizeof(Block));
    decode_block(block, weights.data() + i * Block::kWeights);
  }
}

/// Runs `encode_block(size_t first_weight) -> Block` for every block and puts the blocks into `bytes`.
template <typename Block, typename EncodeBlock>
void make_blocks(std::span<const float> weights, std::span<const float> importance,
                 std::span<std::byte> bytes, EncodeBlock encode_block) {
  check_blocks(bytes.size(), weights.size(), sizeof(Block), Block::kWeights);
  if (!importance.empty() && importance.size() != weights.size()) {
    fail("{} factors of importance do not fit {} weights; give one for each", importance.size(),
         weights.size());
  }
  for (size_t i = 0; i < bytes.size() / sizeof(Block); ++i) {
    const Block block = encode_block(i * Block::kWeights);
    std::memcpy(bytes.data() + i * sizeof(Block), &block, sizeof(Block));
  }
}

}  // namespace wattle::inline quant
