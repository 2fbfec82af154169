#include <bit>

#include "base/utf8.h"
#include "file/byte_reader.h"
#include "file/hf_vocabulary.h"
#include "file/protobuf.h"

namespace wattle::inline file {
namespace {

constexpr std::string_view kWhat = "SentencePiece model";

std::string text_of(const ProtoField& field) {
  return {reinterpret_cast<const char*>(field.bytes.data()), field.bytes.size()};
}

SentencePieceModel::Piece read_piece(std::span<const std::byte> bytes, const std::string& origin) {
  SentencePieceModel::Piece piece;
  uint64_t kind = 1;
  for (ByteReader reader(bytes, origin); reader.remaining() > 0;) {
    const ProtoField field = read_proto_field(reader, kWhat);
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
    const ProtoField field = read_proto_field(reader, kWhat);
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
    const ProtoField field = read_proto_field(reader, kWhat);
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
    const ProtoField field = read_proto_field(reader, kWhat);
    if (field.number == 1) model.pieces.push_back(read_piece(field.bytes, origin));
    if (field.number == 2) read_training(field.bytes, origin, model);
    if (field.number == 3) read_normalizing(field.bytes, origin, model);
  }
  if (model.pieces.empty()) fail("{}: holds no pieces; get the file again", origin);
  return model;
}

}  // namespace wattle::inline file
