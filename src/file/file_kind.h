#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "base/json.h"
#include "file/readers.h"

namespace wattle::inline file {

/// What a file of weights is.
enum class FileKind { kGguf, kSafetensors, kPickle, kOnnx };

/// The kind by the first bytes, whatever the name; by the name for a file of .gguf, .safetensors or .onnx
/// whose beginning is damaged. Files of kinds that are known and not read (a Git LFS pointer, a web page,
/// files of TensorFlow and CTranslate2, archives) are refused by what they are, with the cure; others too.
FileKind kind_of(std::span<const std::byte> bytes, const std::filesystem::path& path);

/// The same of a file on disk, or of an index of safetensors.
FileKind kind_of_file(const std::filesystem::path& path);

/// Whether a file lists the files that a model's weights are divided into: model.safetensors.index.json.
bool is_index(const std::filesystem::path& path);

/// Asks `wanted`, after refusing names that only quantised checkpoints (GPTQ, AWQ, bitsandbytes) and adapters
/// have.
WantTensor refusing_foreign(WantTensor wanted, std::string origin);

/// Error for a folder whose config.json says that its weights are quantised in a way that is not read here,
/// or that holds an adapter in place of a model.
void refuse_foreign_folder(const std::filesystem::path& folder, const JsonView& config);

/// config.json of a folder; where it has none, what the graph of an ONNX file shows (onnx_config), with a
/// note.
nlohmann::json read_config(const std::filesystem::path& folder, const std::filesystem::path& weights,
                           std::vector<std::string>& notes);

/// The weights of a Hugging Face folder: model.safetensors, pytorch_model.bin, their indices, or ONNX files,
/// the first that is there. Error naming what was looked for.
std::filesystem::path find_weights(const std::filesystem::path& folder);

}  // namespace wattle::inline file
