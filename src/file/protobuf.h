#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "file/byte_reader.h"

namespace wattle::inline file {

/// One field of a protocol buffer message (protobuf.dev, "Encoding"): its number, and its value or its bytes.
struct ProtoField {
  enum Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  uint64_t number = 0;
  Wire wire = kVarint;
  uint64_t value = 0;                ///< of a number
  std::span<const std::byte> bytes;  ///< of a string, a message or packed numbers: a view, nothing is copied

  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

/// Error when it is longer than 64 bits need, or cut.
inline uint64_t read_varint(ByteReader& reader) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = reader.read<uint8_t>("a number");
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  fail("{}: holds a number of more than 64 bits; the file is corrupt, get it again", reader.origin());
}

/// The next field. `what` names the kind of file in the Error for bytes that are no field.
inline ProtoField read_proto_field(ByteReader& reader, std::string_view what) {
  const uint64_t tag = read_varint(reader);
  ProtoField field;
  field.number = tag >> 3;
  field.wire = static_cast<ProtoField::Wire>(tag & 7);
  switch (field.wire) {
    case ProtoField::kVarint:
      field.value = read_varint(reader);
      return field;
    case ProtoField::kFixed64:
      field.value = reader.read<uint64_t>("a field");
      return field;
    case ProtoField::kBytes:
      field.bytes = reader.take(read_varint(reader), "a field");
      return field;
    case ProtoField::kFixed32:
      field.value = reader.read<uint32_t>("a field");
      return field;
  }
  fail("{}: is no {}, or a corrupt one; get the file again", reader.origin(), what);
}

/// Calls `visit(field)` for every field of a message.
template <typename Visit>
void for_each_proto_field(std::span<const std::byte> message, const std::string& origin,
                          std::string_view what, Visit&& visit) {
  for (ByteReader reader(message, origin); reader.remaining() > 0;) visit(read_proto_field(reader, what));
}

}  // namespace wattle::inline file
