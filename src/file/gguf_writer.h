#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "file/metadata.h"
#include "quant/format.h"

namespace wattle::inline file {

/// A tensor to be written: its bytes are asked for only when its turn comes, so that a model larger than
/// memory can be converted tensor by tensor.
struct TensorToWrite {
  std::string name;
  Format format = Format::kF32;
  std::vector<int64_t> shape;  ///< outermost first
  std::function<std::vector<std::byte>()> bytes;
};

/// Writes GGUF version 3 (github.com/ggml-org/ggml, docs/gguf.md), alignment 32, offsets in file order
/// without gaps. The file appears whole or not at all. `progress` is called with the number of bytes written
/// so far of the total.
void write_gguf(const std::filesystem::path& path, const Metadata& metadata,
                const std::vector<TensorToWrite>& tensors,
                const std::function<void(size_t done, size_t total)>& progress = {});

}  // namespace wattle::inline file
