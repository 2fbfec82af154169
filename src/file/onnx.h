#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "file/onnx_names.h"
#include "file/onnx_values.h"
#include "file/readers.h"

namespace wattle::inline file {

/// The bytes of an ONNX file and what its reader needs beside them.
struct OnnxSource {
  std::span<const std::byte> bytes;
  std::string origin;
  ExternalData external;
  std::function<void(std::span<const std::byte>)> release;  ///< empty, or told of bytes that were copied
  OnnxSide side = OnnxSide::kWhole;
};

/// Adds the weights of an ONNX file under PyTorch's names and in its form (onnx_names.h). Weights of int8 and
/// uint8 become F32, and the metadata say so: `wattle.converted_from` is "int8". What has no name is a note.
void read_onnx(const OnnxSource& source, const WantTensor& wanted, ModelFile::Contents& contents);

/// The files that belong together: an encoder and its decoder (encoder_model.onnx with decoder_model.onnx or
/// decoder_model_merged.onnx, encoder.onnx with decoder.onnx), whichever was named, the encoder first; or the
/// one file.
std::vector<std::filesystem::path> onnx_files(const std::filesystem::path& path);

/// Calls `visit(source)` for each of these files, mapped into `mappings`.
void for_each_onnx_file(const std::filesystem::path& path, std::vector<MappedFile>& mappings,
                        const std::function<void(const OnnxSource& source)>& visit);

/// read_onnx of these files.
void add_onnx(const std::filesystem::path& path, const WantTensor& wanted, ModelFile::Contents& contents);

/// The config.json that the graph implies: sizes by the shapes of tensors, heads, activation and epsilon by
/// the nodes. For bert, roberta, distilbert, mpnet and t5; Error for others, and for a graph that does not
/// show all of it, saying what to write into a config.json beside the file.
nlohmann::json onnx_config(const std::filesystem::path& path);

}  // namespace wattle::inline file
