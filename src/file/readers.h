#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "file/model_file.h"

namespace wattle::inline file {

/// The readers behind ModelFile::open. Those of bytes leave the tensors as views into `bytes`; `origin` names
/// the file in error sentences. All throw Error for anything cut, corrupt, hostile or unknown.

bool is_gguf(std::span<const std::byte> bytes);
/// GGUF version 2 or 3 (github.com/ggml-org/ggml, docs/gguf.md).
ModelFile::Contents read_gguf(std::span<const std::byte> bytes, const std::string& origin);

/// Whether a tensor of this name is to be read at all; one that is not may be of a type that is unknown here.
using WantTensor = std::function<bool(const std::string& name)>;

/// Safetensors (github.com/huggingface/safetensors), in the order of the data. Empty `wanted`: all.
std::vector<Tensor> read_safetensors(std::span<const std::byte> bytes, const std::string& origin,
                                     const WantTensor& wanted = {});

/// GGUF as files come: `path` is the whole, or the first of NAME-00001-of-00003.gguf, whose other parts lie
/// beside it (keys split.no, split.count and split.tensors.count). Error naming a part that is missing, or
/// the first one for any other.
ModelFile::Contents open_gguf(const std::filesystem::path& path);

/// Adds the tensors of a file without settings, safetensors, PyTorch's or ONNX (file/onnx.h), or of all the
/// files that an index names, under the names that PyTorch has for them. Error for what file_kind.h refuses.
void add_weights(const std::filesystem::path& path, const WantTensor& wanted, ModelFile::Contents& contents);

/// Fills the tokenizer.* keys from a folder's tokenizer files; adds a note when it has none. `config` is
/// config.json.
void read_hf_tokenizer(const std::filesystem::path& folder, const JsonView& config,
                       ModelFile::Contents& contents);

/// How a folder's model wants its texts continued, from generation_config.json or, in older models,
/// config.json: keys `wattle.generation.NAME` with the names of transformers' GenerationConfig, and
/// `wattle.generation.task.TASK.NAME` for the tasks of `task_specific_params`. Ids that may be one or several
/// are lists; lists of lists stand one behind the other, each after its length; `early_stopping` is "yes",
/// "no" or "never". What is not known here becomes a note. Error for a value of another type.
void read_generation_config(const std::filesystem::path& folder, ModelFile::Contents& contents);

/// Adds the tensors of a PyTorch file: a zip archive, or the older form without one. Nothing in it is
/// executed.
void read_pickle(std::span<const std::byte> bytes, const std::string& origin, const WantTensor& wanted,
                 ModelFile::Contents& contents);

/// Error for a name that is there twice.
void check_names(const std::vector<Tensor>& tensors, const std::string& origin);
/// What the readers of GGUF and safetensors promise: names are unique and no two tensors share a byte. (In
/// PyTorch files tied tensors share their storage.)
void check_tensors(const std::vector<Tensor>& tensors, const std::string& origin);

/// Product of the dimensions; Error when one is negative or the product does not fit in 63 bits.
int64_t checked_elements(std::span<const int64_t> shape, const std::string& origin, std::string_view tensor);

/// Bytes that a tensor of `format` takes; Error when its block does not divide a row or the product
/// overflows.
size_t checked_bytes(Format format, std::span<const int64_t> shape, const std::string& origin,
                     std::string_view tensor);

}  // namespace wattle::inline file
