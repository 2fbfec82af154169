#include "file/onnx_values.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <wattle/error.h>

#include "file/protobuf.h"
#include "file/readers.h"

namespace wattle::inline file {
namespace {

constexpr std::string_view kWhat = "ONNX model";

constexpr OnnxType kTypes[] = {
    {1, "float", 4, Format::kF32},
    {2, "uint8", 1, {}},
    {3, "int8", 1, Format::kI8},
    {4, "uint16", 2, {}},
    {5, "int16", 2, Format::kI16},
    {6, "int32", 4, Format::kI32},
    {7, "int64", 8, Format::kI64},
    {8, "string", 0, {}},
    {9, "bool", 1, {}},
    {10, "float16", 2, Format::kF16},
    {11, "double", 8, Format::kF64},
    {12, "uint32", 4, {}},
    {13, "uint64", 8, {}},
    {14, "complex64", 8, {}},
    {15, "complex128", 16, {}},
    {16, "bfloat16", 2, Format::kBF16},
    {17, "float8e4m3fn", 1, {}},
    {18, "float8e4m3fnuz", 1, {}},
    {19, "float8e5m2", 1, {}},
    {20, "float8e5m2fnuz", 1, {}},
    {21, "uint4", 0, {}},
    {22, "int4", 0, {}},
    {23, "float4e2m1", 0, {}},
};

/// Fields of TensorProto that hold values.
enum ValueField : uint64_t {
  kFloatData = 4,
  kInt32Data = 5,
  kInt64Data = 7,
  kRawData = 9,
  kDoubleData = 10,
  kUint64Data = 11,
  kExternalData = 13,
  kDataLocation = 14,
};

/// Where the values of a tensor lie outside the file.
struct ExternalPlace {
  std::string_view location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

void read_external_entry(std::span<const std::byte> message, const OnnxTensor& tensor,
                         const std::string& origin, ExternalPlace& place) {
  std::string_view key, value;
  for_each_proto_field(message, origin, kWhat, [&](const ProtoField& field) {
    if (field.number == 1) key = field.text();
    if (field.number == 2) value = field.text();
  });
  if (key == "location") place.location = value;
  if (key != "offset" && key != "length") return;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size())
    fail("{}: {} of the external data of {} is no number; export the model again", origin, key, tensor.name);
  if (key == "offset") place.offset = number;
  if (key == "length") place.length = number;
}

std::span<const std::byte> read_external(const ExternalPlace& place, size_t size, const OnnxTensor& tensor,
                                         const std::string& origin, const ExternalData& external) {
  const auto file = external(place.location);
  if (place.offset > file.size() || size > file.size() - place.offset) {
    fail(
        "{}: tensor {} needs {} bytes from byte {} of {}, which has {}; that file is cut or another model's, "
        "get both again",
        origin, tensor.name, size, place.offset, place.location, file.size());
  }
  if (place.length && *place.length != size) {
    fail("{}: tensor {} has {} bytes where its shape and type need {}; export the model again", origin,
         tensor.name, *place.length, size);
  }
  return file.subspan(place.offset, size);
}

/// Appends the numbers of a typed field, each as `bytes` little-endian bytes (float16 and small integers lie
/// in int32_data).
void add_typed(const ProtoField& field, size_t bytes, const std::string& origin,
               std::vector<std::byte>& values) {
  const auto add = [&](const void* number) {
    const auto* first = static_cast<const std::byte*>(number);
    values.insert(values.end(), first, first + bytes);
  };
  if (field.wire != ProtoField::kBytes) return add(&field.value);
  const bool varints = field.number != kFloatData && field.number != kDoubleData;
  if (!varints) {
    values.insert(values.end(), field.bytes.begin(), field.bytes.end());
    return;
  }
  for (ByteReader reader(field.bytes, origin); reader.remaining() > 0;) {
    const uint64_t number = read_varint(reader);
    add(&number);
  }
}

}  // namespace

const OnnxType& type_of(const OnnxTensor& tensor, const std::string& origin) {
  for (const OnnxType& known : kTypes) {
    if (known.id == tensor.type) return known;
  }
  fail("{}: tensor {} is of the unknown type {}; export the model again as float32", origin, tensor.name,
       tensor.type);
}

void OnnxValues::own(std::vector<std::byte> values) {
  owned = std::make_unique<std::vector<std::byte>>(std::move(values));
  bytes = *owned;
}

OnnxValues read_values(const OnnxTensor& tensor, const std::string& origin, const ExternalData& external) {
  const OnnxType& type = type_of(tensor, origin);
  if (type.bytes == 0) {
    fail("{}: tensor {} is stored as {}, which is not read here; export the model again as float32", origin,
         tensor.name, type.name);
  }
  const auto elements = static_cast<uint64_t>(checked_elements(tensor.shape, origin, tensor.name));
  if (elements > uint64_t{INT64_MAX} / type.bytes)
    fail("{}: tensor {} is impossibly large; the file is corrupt, get it again", origin, tensor.name);
  const size_t size = elements * type.bytes;
  OnnxValues values;
  std::vector<std::byte> typed;
  ExternalPlace place;
  bool is_external = false;
  for_each_proto_field(tensor.message, origin, kWhat, [&](const ProtoField& field) {
    switch (field.number) {
      case kRawData:
        values.bytes = field.bytes;
        break;
      case kFloatData:
      case kInt32Data:
      case kInt64Data:
      case kDoubleData:
      case kUint64Data:
        add_typed(field, std::min<size_t>(type.bytes, 8), origin, typed);
        break;
      case kExternalData:
        read_external_entry(field.bytes, tensor, origin, place);
        break;
      case kDataLocation:
        is_external = field.value == 1;
        break;
      default:
        break;
    }
  });
  if (is_external) {
    values.bytes = read_external(place, size, tensor, origin, external);
  } else if (!typed.empty()) {
    values.own(std::move(typed));
  }
  if (values.bytes.size() != size) {
    fail("{}: tensor {} has {} bytes where its shape and type need {}; the file is corrupt, get it again",
         origin, tensor.name, values.bytes.size(), size);
  }
  return values;
}

std::optional<std::vector<float>> small_values(const OnnxTensor& tensor, size_t limit,
                                               const std::string& origin, const ExternalData& external) {
  const auto count = static_cast<size_t>(checked_elements(tensor.shape, origin, tensor.name));
  const OnnxType& type = type_of(tensor, origin);
  if (count > limit || type.bytes == 0) return std::nullopt;
  std::vector<float> numbers(count);
  const OnnxValues values = read_values(tensor, origin, external);
  if (type.format) {
    decode_weights(*type.format, values.bytes, numbers);
    return numbers;
  }
  if (type.bytes != 1) return std::nullopt;
  std::transform(values.bytes.begin(), values.bytes.end(), numbers.begin(),
                 [](std::byte value) { return static_cast<float>(std::to_integer<uint8_t>(value)); });
  return numbers;
}

void dequantise(const OnnxTensor& tensor, const OnnxScales& scales, const std::string& origin,
                OnnxValues& values) {
  const OnnxType& type = type_of(tensor, origin);
  const auto rank = static_cast<int64_t>(tensor.shape.size());
  const int64_t axis = scales.axis < 0 ? scales.axis + rank : scales.axis;
  const size_t count = scales.scale.size();
  const bool per_axis = count != 1;
  const bool fits = !per_axis || (axis >= 0 && axis < rank &&
                                  tensor.shape[static_cast<size_t>(axis)] == static_cast<int64_t>(count));
  const bool zeros_fit = scales.zero_point.empty() || scales.zero_point.size() == count;
  if (type.bytes != 1 || count == 0 || !fits || !zeros_fit) {
    fail(
        "{}: tensor {} has {} scales and {} zero points, which do not fit its shape and type; export it "
        "again",
        origin, tensor.name, count, scales.zero_point.size());
  }
  size_t inner = values.bytes.size();  // elements in a row that share a scale
  if (per_axis) {
    inner = 1;
    for (int64_t i = axis + 1; i < rank; ++i)
      inner *= static_cast<size_t>(tensor.shape[static_cast<size_t>(i)]);
  }
  const bool is_signed = type.name == "int8";
  std::vector<std::byte> weights(values.bytes.size() * sizeof(float));
  for (size_t begin = 0, row = 0; begin < values.bytes.size(); begin += inner, ++row) {
    const float scale = scales.scale[row % count];
    const float zero = scales.zero_point.empty() ? 0 : scales.zero_point[row % count];
    for (size_t i = begin; i < begin + inner; ++i) {
      const auto stored = std::to_integer<uint8_t>(values.bytes[i]);
      const int number = is_signed ? int{static_cast<int8_t>(stored)} : int{stored};
      const float weight = (static_cast<float>(number) - zero) * scale;
      std::memcpy(weights.data() + i * sizeof weight, &weight, sizeof weight);
    }
  }
  values.own(std::move(weights));
}

void transpose(size_t rows, size_t columns, size_t element_bytes, OnnxValues& values) {
  constexpr size_t kTile = 32;  // both sides of a tile stay in the first-level cache
  std::vector<std::byte> turned(values.bytes.size());
  for (size_t row0 = 0; row0 < rows; row0 += kTile) {
    for (size_t column0 = 0; column0 < columns; column0 += kTile) {
      for (size_t column = column0; column < std::min(columns, column0 + kTile); ++column) {
        for (size_t row = row0; row < std::min(rows, row0 + kTile); ++row) {
          std::memcpy(turned.data() + (column * rows + row) * element_bytes,
                      values.bytes.data() + (row * columns + column) * element_bytes, element_bytes);
        }
      }
    }
  }
  values.own(std::move(turned));
}

}  // namespace wattle::inline file
