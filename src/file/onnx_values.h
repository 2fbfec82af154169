#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file/onnx_graph.h"
#include "quant/format.h"

namespace wattle::inline file {

/// The bytes of a file beside the ONNX file that `external_data` names. Throws Error when there is none.
using ExternalData = std::function<std::span<const std::byte>(std::string_view location)>;

/// One data type of TensorProto.
struct OnnxType {
  int64_t id;
  std::string_view name;
  size_t bytes;                  ///< of an element as raw_data stores it; 0: not of whole bytes
  std::optional<Format> format;  ///< nothing: not read as a weight here
};
/// Error naming the tensor for a number that is no type.
const OnnxType& type_of(const OnnxTensor& tensor, const std::string& origin);

/// Values as they lie in memory: a view of the file, or memory of their own.
struct OnnxValues {
  std::span<const std::byte> bytes;
  std::unique_ptr<std::vector<std::byte>> owned;

  void own(std::vector<std::byte> values);
};

/// The elements of a tensor, little-endian, from raw_data, the typed fields or another file; as many bytes as
/// shape and type need, or Error.
OnnxValues read_values(const OnnxTensor& tensor, const std::string& origin, const ExternalData& external);

/// As floats, for at most `limit` elements; nothing for a tensor with more.
std::optional<std::vector<float>> small_values(const OnnxTensor& tensor, size_t limit,
                                               const std::string& origin, const ExternalData& external);

/// What turns stored integers into weights: (integer - zero point) x scale (ONNX operator DequantizeLinear).
struct OnnxScales {
  std::vector<float> scale;
  std::vector<float> zero_point;  ///< as many as scales, or none for 0
  int64_t axis = 0;               ///< the dimension that the scales go along; of no matter for one scale
};

/// The weights of int8 or uint8 values as F32.
void dequantise(const OnnxTensor& tensor, const OnnxScales& scales, const std::string& origin,
                OnnxValues& values);

/// A matrix of `rows` times `columns` elements turned over.
void transpose(size_t rows, size_t columns, size_t element_bytes, OnnxValues& values);

}  // namespace wattle::inline file
