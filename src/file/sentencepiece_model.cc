#include <bit>

#include "base/utf8.h"
#include "file/byte_reader.h"
#include "file/hf_vocabulary.h"

namespace wattle {
namespace {

/// One field of a protocol buffer: its number, and its value or bytes.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;                ///< of a number
  std::span<const std::byte> bytes;  ///< of a string or message
};

std::string text_of(const Field& field) {
  return {reinterpret_cast<const char*>(field.bytes.data()), field.bytes.size()};
}

uint64_t read_varint(ByteReader& reader) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = reader.read<uint8_t>("a number");
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  fail("{}: holds a number of more than 64 bits; the file is corrupt, get it again", reader.origin());
}

Field read_field(ByteReader& reader) {
  const uint64_t tag = read_varint(reader);
  Field field;
  field.number = tag >> 3;
  switch (tag & 7) {
    case 0:
      field.value = read_varint(reader);
      break;
    case 1:
      field.value = reader.read<uint64_t>("a field");
      break;
    case 2:
      field.bytes = reader.take(read_varint(reader), "a field");
      break;
    case 5:
      field.value = reader.read<uint32_t>("a field");
      break;
    default:
      fail("{}: is no SentencePiece model, or a corrupt one; get the file again", reader.origin());
  }
  return field;
}

SentencePieceModel::Piece read_piece(std::span<const std::byte> bytes, const std::string& origin) {
  SentencePieceModel::Piece piece;
  uint64_t kind = 1;
  for (ByteReader reader(bytes, origin); reader.remaining() > 0;) {
    const Field field = read_field(reader);
    if (field.number == 1) piece.text = text_of(field);
    if (field.number == 2)
      piece.score = static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(field.value)));
    if (field.number == 3) kind = field.value;
  }
  if (kind < 1 || kind > 6)
    fail("{}: piece \"{}\" is of the unknown type {}; get the file again", origin, repaired_utf8(piece.text),
         kind);
  piece.kind = static_cast<TokenKind>(kind);
  return piece;
}

/// trainer_spec
void read_training(std::span<const std::byte> bytes, const std::string& origin, SentencePieceModel& model) {
  constexpr uint64_t kUnigram = 1, kBpe = 2;
  uint64_t type = kUnigram;
  for (ByteReader reader(bytes, origin); reader.remaining() > 0;) {
    const Field field = read_field(reader);
    if (field.number == 3) type = field.value;
    if (field.number == 24) model.treat_whitespace_as_suffix = field.value != 0;
    if (field.number == 35) model.byte_fallback = field.value != 0;
  }
  if (type != kUnigram && type != kBpe) {
    fail("{}: is a SentencePiece model of {}, which is not known here; use another model", origin,
         type == 3   ? "words"
         : type == 4 ? "characters"
                     : "an unknown kind");
  }
  model.bpe = type == kBpe;
}

/// normalizer_spec
void read_normalizing(std::span<const std::byte> bytes, const std::string& origin,
                      SentencePieceModel& model) {
  for (ByteReader reader(bytes, origin); reader.remaining() > 0;) {
    const Field field = read_field(reader);
    if (field.number == 2) model.character_map = text_of(field);
    if (field.number == 3) model.add_dummy_prefix = field.value != 0;
    if (field.number == 4) model.remove_extra_whitespaces = field.value != 0;
    if (field.number == 5) model.escape_whitespaces = field.value != 0;
  }
}

}  // namespace

SentencePieceModel read_sentencepiece_model(std::span<const std::byte> bytes, const std::string& origin) {
  SentencePieceModel model;
  for (ByteReader reader(bytes, origin); reader.remaining() > 0;) {
    const Field field = read_field(reader);
    if (field.number == 1) model.pieces.push_back(read_piece(field.bytes, origin));
    if (field.number == 2) read_training(field.bytes, origin, model);
    if (field.number == 3) read_normalizing(field.bytes, origin, model);
  }
  if (model.pieces.empty()) fail("{}: holds no pieces; get the file again", origin);
  return model;
}

}  // namespace wattle
