#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file/model_file.h"

namespace wattle {

/// Formats that convert() writes, from the most bits to the fewest.
std::span<const Format> written_formats();

/// Mean squared input of each column of the linear layer that a tensor belongs to ([row_length]), or nothing.
using ImportanceOf = std::function<std::span<const float>(const Tensor&)>;

struct ConvertOptions {
  ImportanceOf importance;  ///< from a calibration text; empty: every weight counts alike
  bool packed = false;      ///< matrices as the kernels stream them (file/packed_file.h)
  std::string calibration;  ///< name of that text, kept in the file as wattle.calibration
  std::function<void(size_t done, size_t total)> progress;  ///< bytes written
};

/// What became of one tensor.
struct ConvertedTensor {
  std::string name;
  Format from, to;
  int64_t weights = 0;
  bool fell_back = false;  ///< `to` is not the wanted format because that does not divide its rows
};

struct Conversion {
  std::vector<ConvertedTensor> tensors;
  size_t tensor_bytes = 0;
  double bits_per_weight = 0;  ///< over all tensors, as written
  std::string
      converted_from;  ///< quantised formats that the weights went through before, oldest first; may be empty
};

/// The format that a tensor takes when `wanted` was asked for:
///   - matrices of linear layers and of the token embedding take fitting_format(wanted, row);
///   - position embeddings and tensors of three or more dimensions are F16, or F32 when that is wanted;
///   - vectors, norms, token types and anything else are F32;
///   - integers stay as they are.
Format format_for(const Tensor& tensor, Format wanted);

/// What users call the precision of a file: the name of its general.file_type ("Q4_K_M"), else the format of
/// most of its weights.
std::string precision_name(const ModelFile& file);

/// Writes `file` as GGUF at `path`, tensor by tensor by all threads, giving the source's pages back. A tensor
/// that has its format already is copied, not encoded again. Sets general.file_type,
/// general.quantization_version and, where the source was quantised, wattle.converted_from. The same bytes
/// for any number of threads. Without `wanted` every tensor keeps its format. Throws Error for a format that
/// is not written, a NaN or infinite weight (naming the tensor), a packed source, or when `path` is the
/// source itself or cannot be written.
Conversion convert(const ModelFile& file, const std::filesystem::path& path, std::optional<Format> wanted,
                   const ConvertOptions& options = {});

}  // namespace wattle
