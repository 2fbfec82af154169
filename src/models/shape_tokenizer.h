#pragma once

#include <filesystem>
#include <memory>

#include "file/model_file.h"
#include "text/tokenizer.h"

namespace wattle::inline models {

/// Counts the tokens of a shape, which has no vocabulary of its own: with the tokenizer of a real model
/// (`from`, a file or folder), its ids folded into the shape's vocabulary; where `from` is empty or absent,
/// four bytes a token, hashed. kind() says which.
std::unique_ptr<Tokenizer> shape_tokenizer(const ModelFile& shape, const std::filesystem::path& from);

}  // namespace wattle::inline models
