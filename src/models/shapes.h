#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "file/model_file.h"
#include "quant/precision.h"

namespace wattle::inline models {

/// Whether MODEL names a shape: "shape:NAME", "shape:NAME@PRECISION", and for an encoder with a head
/// "shape:NAME+HEAD": +sequence=LABELS or +token=LABELS (their number, or their names with commas between),
/// +span, +masked.
bool is_shape(std::string_view model);

/// What stands after the @, else as published. Throws Error as Precision::parse does.
Precision shape_precision(std::string_view model);

/// "shape:NAME@PRECISION" with the part of `precision` that weights have, in place of the model's own.
std::string shape_at(std::string_view model, const Precision& precision);

/// Names of data/shapes.yaml, in its order, without those of models that share another's configuration
/// (`also`).
std::vector<std::string> shape_names();

/// The metadata and tensors of a published configuration: names, formats and shapes without bytes (kind
/// "shape"). As published, matrices are F32 for encoders and BF16 for decoders, as they are mostly
/// published. The key wattle.shape.tokenizer names the model of the catalogue whose tokenizer comes nearest.
/// Error for an unknown name.
ModelFile shape_file(const std::string& model);

/// Pseudo-random bytes of one of its tensors, the same on every machine: blocks that encode values of a
/// normal distribution, drawn from a pool by a generator seeded with the tensor's name; norms are ones.
std::vector<std::byte> shape_bytes(const Tensor& tensor);

}  // namespace wattle::inline models
