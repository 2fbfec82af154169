#include <bit>

#include "file/hf_vocabulary.h"
#include "file/protobuf.h"

namespace wattle {
namespace {

constexpr std::string_view kWhat = "SentencePiece model";

void read_piece(std::span<const std::byte> bytes, const std::string& origin, HfVocabulary& vocabulary) {
  std::string text;
  float score = 0;
  uint64_t kind = 1;
  for (ByteReader reader(bytes, origin); reader.remaining() > 0;) {
    const ProtoField field = read_proto_field(reader, kWhat);
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
    const ProtoField field = read_proto_field(reader, kWhat);
    if (field.number == 1) read_piece(field.bytes, origin, vocabulary);
    for (ByteReader inner(field.bytes, origin);
         (field.number == 2 || field.number == 3) && inner.remaining() > 0;) {
      const ProtoField part = read_proto_field(inner, kWhat);
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
