#include <bit>

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

void read_piece(std::span<const std::byte> bytes, const std::string& origin, HfVocabulary& vocabulary) {
  std::string text;
  float score = 0;
  uint64_t kind = 1;
  for (ByteReader reader(bytes, origin); reader.remaining() > 0;) {
    const Field field = read_field(reader);
    if (field.number == 1) text.assign(reinterpret_cast<const char*>(field.bytes.data()), field.bytes.size());
    if (field.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3) kind = field.value;
  }
  if (kind < 1 || kind > 6)
    fail("{}: piece \"{}\" is of the unknown type {}; get the file again", origin, text, kind);
  vocabulary.set(static_cast<int64_t>(vocabulary.tokens.size()), std::move(text),
                 static_cast<TokenKind>(kind), origin);
  vocabulary.scores.resize(vocabulary.tokens.size());
  vocabulary.scores.back() = static_cast<double>(score);
}

}  // namespace

HfVocabulary read_sentencepiece_model(std::span<const std::byte> bytes, const std::string& origin) {
  constexpr uint64_t kBpe = 2;
  HfVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.pre = "default";
  vocabulary.add_space_prefix = true;
  uint64_t model_type = 1;
  for (ByteReader reader(bytes, origin); reader.remaining() > 0;) {
    const Field field = read_field(reader);
    if (field.number == 1) read_piece(field.bytes, origin, vocabulary);
    for (ByteReader inner(field.bytes, origin);
         (field.number == 2 || field.number == 3) && inner.remaining() > 0;) {
      const Field part = read_field(inner);
      if (field.number == 2 && part.number == 3) model_type = part.value;  // trainer_spec
      if (field.number == 3 && part.number == 3)
        vocabulary.add_space_prefix = part.value != 0;  // normalizer_spec
    }
  }
  if (vocabulary.tokens.empty()) fail("{}: holds no pieces; get the file again", origin);
  if (model_type != kBpe) {
    fail("{}: is a SentencePiece model of a kind other than BPE, which is not known here; use another model",
         origin);
  }
  return vocabulary;
}

}  // namespace wattle
