#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "families/description.h"
#include "file/model_file.h"
#include "quant/precision.h"

namespace wattle::inline models {

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
  bool fell_back = false;  ///< `to` is not the wanted format, whose blocks do not divide its rows
};

struct Conversion {
  std::vector<ConvertedTensor> tensors;
  size_t tensor_bytes = 0;
  double bits_per_weight = 0;  ///< over all tensors, as written
  std::string
      converted_from;  ///< quantised formats that the weights went through before, oldest first; may be empty
  std::vector<std::string> unused;  ///< roles that the precision names and no tensor has
};

/// What a tensor is for, as its family's description says. Throws Error for one that it does not have.
Role role_of(const Tensor& tensor, const Description& description);

/// The format that a tensor takes: what `precision` says for its role and name; integers stay as they are.
TensorFormat format_for(const Tensor& tensor, const Description& description, const Precision& precision);

/// The roles that `precision` names and none of `tensors` has. Throws Error for a pattern that no tensor's
/// name fits; `origin` names the model.
std::vector<std::string> unused_roles(const Precision& precision, std::span<const Tensor> tensors,
                                      const Description& description, const std::string& origin);
std::vector<std::string> unused_roles(const Precision& precision, const ModelFile& file,
                                      const std::string& origin);

/// What users call the precision of a file: the precision that convert() gave it where that is more than a
/// format, else the name of its general.file_type ("Q4_K_M"), else the format of most of its weights.
std::string precision_name(const ModelFile& file);

/// Writes `file` as GGUF at `path`, tensor by tensor by all threads, giving the source's pages back. A tensor
/// that has its format already is copied, not encoded again. Sets general.file_type,
/// general.quantization_version, wattle.precision for one of several formats and, where the source was
/// quantised, wattle.converted_from. The same bytes for any number of threads. As published every tensor
/// keeps its format. A file holds no cache and no activations: those of `precision` are left out. Throws
/// Error for a format that is not written, a pattern that fits no tensor, a NaN or infinite weight (naming
/// the tensor), a packed source, or when `path` is the source itself or cannot be written.
Conversion convert(const ModelFile& file, const std::filesystem::path& path, const Precision& precision,
                   const ConvertOptions& options = {});

}  // namespace wattle::inline models
