#pragma once

#include <optional>
#include <string_view>

namespace wattle::inline quant {

/// What a tensor is for. A family's description gives each of its tensors one; the role, not the number of
/// dimensions, decides which format a precision stores it in.
enum class Role {
  kLinear,       ///< matrix of a linear layer [outputs, inputs]
  kOutput,       ///< matrix that makes logits over a vocabulary [vocabulary, inputs]
  kEmbedding,    ///< table of token embeddings [vocabulary, features]
  kConvolution,  ///< ordinary convolution [outputs, inputs, height, width]
  kDepthwise,    ///< convolution of one input channel an output
  kPosition,     ///< learned positions [positions, features]
  kTable,        ///< small tables: token types, relative attention biases
  kNorm,         ///< weight or bias of a normalisation
  kBias,         ///< bias of a linear layer or a convolution
};

/// "linear", "output", ... as precisions name them.
std::string_view role_name(Role role);
std::optional<Role> role_from_name(std::string_view name);

}  // namespace wattle::inline quant
