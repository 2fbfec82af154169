#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "file/model_file.h"

namespace wattle {

/// The readers behind ModelFile::open. Those of bytes leave the tensors as views into `bytes`; `origin` names
/// the file in error sentences. All throw Error for anything cut, corrupt, hostile or unknown.

/// GGUF version 2 or 3 (github.com/ggml-org/ggml, docs/gguf.md).
ModelFile::Contents read_gguf(std::span<const std::byte> bytes, const std::string& origin);

/// What every reader promises of the tensors it found: names are unique and no two share a byte of `data`.
void check_tensors(const std::vector<Tensor>& tensors, const std::string& origin);

/// Product of the dimensions; Error when one is negative or the product does not fit in 63 bits.
int64_t checked_elements(std::span<const int64_t> shape, const std::string& origin, std::string_view tensor);

/// Bytes that a tensor of `format` takes; Error when its block does not divide a row or the product
/// overflows.
size_t checked_bytes(Format format, std::span<const int64_t> shape, const std::string& origin,
                     std::string_view tensor);

}  // namespace wattle
