#include <algorithm>
#include <limits>
#include <type_traits>

#include "base/utf8.h"
#include "file/byte_reader.h"
#include "file/packed_file.h"
#include "file/readers.h"

namespace wattle::inline file {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr size_t kMaxKeyBytes = 65535;   // the specification's limits
constexpr size_t kMaxNameBytes = 64;
constexpr uint32_t kMaxDimensions = 4;
constexpr int64_t kDefaultAlignment = 32;

std::string read_string(ByteReader& reader, std::string_view what, uint64_t limit) {
  const auto length = reader.read<uint64_t>(what);
  if (length > limit) {
    fail("{}: {} is {} bytes long and at most {} are allowed; the file is corrupt, get it again",
         reader.origin(), what, length, limit);
  }
  reader.need_items(length, 1, what);  // before a length of 64 bits is cut to those of an address
  return std::string(reader.text(static_cast<size_t>(length), what));
}

std::string read_text(ByteReader& reader, std::string_view what) {
  return read_string(reader, what, std::numeric_limits<uint64_t>::max());
}

template <typename Stored>
int64_t read_integer(ByteReader& reader, std::string_view key) {
  const Stored value = reader.read<Stored>(key);
  if constexpr (std::is_same_v<Stored, uint64_t>) {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      fail("{}: the value {} of {} is out of range; the file is corrupt, get it again", reader.origin(),
           value, key);
    }
  }
  return static_cast<int64_t>(value);
}

bool read_bool(ByteReader& reader, std::string_view key) {
  const auto value = reader.read<uint8_t>(key);
  if (value > 1) {
    fail("{}: the flag {} is {} and neither 0 nor 1; the file is corrupt, get it again", reader.origin(), key,
         value);
  }
  return value == 1;
}

/// Calls `visit(read_one, least_bytes)` with the function that reads one value of `type`; every type but
/// array.
template <typename Visit>
auto with_scalar_reader(ValueType type, ByteReader& reader, const std::string& key, Visit&& visit) {
  switch (type) {
    case ValueType::kU8:
      return visit(read_integer<uint8_t>, 1);
    case ValueType::kI8:
      return visit(read_integer<int8_t>, 1);
    case ValueType::kU16:
      return visit(read_integer<uint16_t>, 2);
    case ValueType::kI16:
      return visit(read_integer<int16_t>, 2);
    case ValueType::kU32:
      return visit(read_integer<uint32_t>, 4);
    case ValueType::kI32:
      return visit(read_integer<int32_t>, 4);
    case ValueType::kU64:
      return visit(read_integer<uint64_t>, 8);
    case ValueType::kI64:
      return visit(read_integer<int64_t>, 8);
    case ValueType::kF32:
      return visit([](ByteReader& r, std::string_view k) { return static_cast<double>(r.read<float>(k)); },
                   4);
    case ValueType::kF64:
      return visit([](ByteReader& r, std::string_view k) { return r.read<double>(k); }, 8);
    case ValueType::kBool:
      return visit(read_bool, 1);
    case ValueType::kString:
      return visit(read_text, 8);
    case ValueType::kArray:
      break;
  }
  fail(
      "{}: {} holds an array of arrays or a value of the unknown type {}; update this program or get the "
      "file again",
      reader.origin(), key, static_cast<uint32_t>(type));
}

Value read_value(ByteReader& reader, const std::string& key) {
  Value value;
  value.type = static_cast<ValueType>(reader.read<uint32_t>(key));
  if (value.type != ValueType::kArray) {
    value.data = with_scalar_reader(
        value.type, reader, key, [&](auto read_one, size_t) { return Value::Scalar(read_one(reader, key)); });
    return value;
  }
  value.element_type = static_cast<ValueType>(reader.read<uint32_t>(key));
  const auto count = reader.read<uint64_t>(key);
  value.data = with_scalar_reader(value.element_type, reader, key, [&](auto read_one, size_t least_bytes) {
    reader.need_items(count, least_bytes, key);
    std::vector<decltype(read_one(reader, key))> items;
    items.reserve(count);
    for (uint64_t i = 0; i < count; ++i) items.push_back(read_one(reader, key));
    return Value::Array(std::move(items));
  });
  return value;
}

void check_version(uint32_t version, const std::string& origin) {
  if ((version & 0xFFFF) == 0) {
    fail("{}: is a big-endian GGUF file and this machine is little-endian; get the little-endian file",
         origin);
  }
  if (version < 2 || version > 3) {
    fail("{}: GGUF version {} is not known here, only 2 and 3; convert the model again", origin, version);
  }
}

/// A tensor's description; its bytes are set once the data section's place is known.
struct TensorInfo {
  Tensor tensor;
  uint64_t offset = 0;
  size_t size = 0;
};

TensorInfo read_tensor_info(ByteReader& reader) {
  TensorInfo found;
  Tensor& tensor = found.tensor;
  tensor.name = read_string(reader, "a tensor's name", kMaxNameBytes);
  const std::string& origin = reader.origin();
  const auto dimensions = reader.read<uint32_t>(tensor.name);
  if (dimensions > kMaxDimensions) {
    fail("{}: tensor {} has {} dimensions and at most {} are allowed; the file is corrupt, get it again",
         origin, tensor.name, dimensions, kMaxDimensions);
  }
  tensor.shape.resize(dimensions);
  for (uint32_t i = 0; i < dimensions; ++i) {
    tensor.shape[dimensions - 1 - i] = read_integer<uint64_t>(reader, tensor.name);
  }
  const auto type = reader.read<uint32_t>(tensor.name);
  const auto format = format_from_id(type);
  if (!format) {
    fail("{}: tensor {} is stored as {}, which is not read here; use a file of another precision", origin,
         tensor.name, ggml_type_name(type));
  }
  tensor.format = *format;
  found.offset = reader.read<uint64_t>(tensor.name);
  found.size = checked_bytes(tensor.format, tensor.shape, origin, tensor.name);
  return found;
}

/// What packed_file.h says.
void mark_packed(ModelFile::Contents& contents) {
  Metadata& metadata = contents.metadata;
  for (const std::string& name : metadata.strings(kPackedTensors)) {
    const auto tensor = std::find_if(contents.tensors.begin(), contents.tensors.end(),
                                     [&](const Tensor& candidate) { return candidate.name == name; });
    if (tensor == contents.tensors.end() || tensor->shape.size() != 2) {
      fail("{}: says that a matrix {} is packed and has none; convert the model again", metadata.origin(),
           repaired_utf8(name));
    }
    tensor->packed = true;
  }
  metadata.set("general.architecture", Value::of(metadata.need_text(kPackedTrueArchitecture)));
}

int64_t read_alignment(const Metadata& metadata) {
  const int64_t alignment = metadata.integer("general.alignment").value_or(kDefaultAlignment);
  if (alignment <= 0 || (alignment & (alignment - 1)) != 0 || alignment > (int64_t{1} << 30)) {
    fail("{}: general.alignment is {} and not a power of two; the file is corrupt, get it again",
         metadata.origin(), alignment);
  }
  return alignment;
}

}  // namespace

bool is_gguf(std::span<const std::byte> bytes) {
  uint32_t magic = 0;
  if (bytes.size() >= sizeof magic) std::memcpy(&magic, bytes.data(), sizeof magic);
  return magic == kMagic;
}

ModelFile::Contents read_gguf(std::span<const std::byte> bytes, const std::string& origin) {
  ByteReader reader(bytes, origin);
  if (reader.read<uint32_t>("the header") != kMagic) {
    fail("{}: does not begin with GGUF; give a GGUF file or name the file by what it is", origin);
  }
  check_version(reader.read<uint32_t>("the version"), origin);
  const auto tensor_count = reader.read<uint64_t>("the count of tensors");
  const auto key_count = reader.read<uint64_t>("the count of keys");
  reader.need_items(key_count, 8 + 4 + 1, "the list of keys");

  ModelFile::Contents contents;
  contents.kind = "gguf";
  contents.metadata = Metadata(origin);
  for (uint64_t i = 0; i < key_count; ++i) {
    std::string key = read_string(reader, "a key", kMaxKeyBytes);
    if (contents.metadata.find(key) != nullptr) {
      fail("{}: the key {} is there twice; the file is corrupt, get it again", origin, key);
    }
    Value value = read_value(reader, key);
    contents.metadata.set(std::move(key), std::move(value));
  }

  reader.need_items(tensor_count, 8 + 4 + 4 + 8, "the list of tensors");
  std::vector<TensorInfo> infos;
  infos.reserve(tensor_count);
  for (uint64_t i = 0; i < tensor_count; ++i) infos.push_back(read_tensor_info(reader));

  const auto alignment = static_cast<size_t>(read_alignment(contents.metadata));
  const size_t data_begin = (reader.position() + alignment - 1) / alignment * alignment;
  if (tensor_count > 0 && data_begin > bytes.size()) reader.fail_short("the padding before the data");
  const auto data = tensor_count > 0 ? bytes.subspan(data_begin) : std::span<const std::byte>();
  contents.tensors.reserve(tensor_count);
  for (TensorInfo& found : infos) {
    if (found.offset % alignment != 0) {
      fail(
          "{}: tensor {} begins at {}, which is not a multiple of the alignment {}; the file is corrupt, get "
          "it again",
          origin, found.tensor.name, found.offset, alignment);
    }
    if (found.offset > data.size() || found.size > data.size() - found.offset) {
      fail(
          "{}: tensor {} needs {} bytes from byte {} of the data, which has {}; the file is cut, get it "
          "again",
          origin, found.tensor.name, found.size, found.offset, data.size());
    }
    found.tensor.bytes = data.subspan(found.offset, found.size);
    contents.tensors.push_back(std::move(found.tensor));
  }
  check_tensors(contents.tensors, origin);
  if (contents.metadata.text("general.architecture") == std::string(kPackedArchitecture))
    mark_packed(contents);
  return contents;
}

}  // namespace wattle::inline file
