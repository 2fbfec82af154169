#include "models/shape_tokenizer.h"

#include <algorithm>

#include <fmt/format.h>

#include "families/open_file.h"

namespace wattle::inline models {
namespace {

constexpr size_t kBytesPerToken = 4;  // of English text, for vocabularies from 30,000 tokens up
constexpr std::string_view kMask = "[MASK]";

/// A place to be filled, as the tasks write it.
bool is_mask(const TextPart& part) {
  return part.parse_special && part.text == kMask;
}

class FoldedTokenizer : public Tokenizer {
 public:
  FoldedTokenizer(std::unique_ptr<Tokenizer> real, int vocabulary, const std::string& source)
      : real_(std::move(real)),
        vocabulary_(vocabulary),
        kind_(fmt::format("{} of {}", real_->kind(), source)) {
    special_.mask = vocabulary - 1;
  }

  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override {
    return folded(real_->encode(text, options));
  }
  std::vector<TokenId> encode_parts(std::span<const TextPart> parts, bool add_special) const override {
    // What stands between two masks is encoded by itself.
    std::vector<TokenId> ids;
    size_t begin = 0;
    for (size_t i = 0; i <= parts.size(); ++i) {
      if (i < parts.size() && !is_mask(parts[i])) continue;
      const bool whole = parts.size() == i && begin == 0;
      const std::vector<TokenId> some = folded(
          real_->encode_parts(parts.subspan(begin, i - begin), add_special && (whole || i == parts.size())));
      ids.insert(ids.end(), some.begin(), some.end());
      if (i < parts.size()) ids.push_back(*special_.mask);
      begin = i + 1;
    }
    return ids;
  }
  Encoding encode_body(std::string_view text, bool parse_special) const override {
    Encoding body = real_->encode_body(text, parse_special);
    body.ids = folded(std::move(body.ids));
    return body;
  }
  Encoding assemble(Encoding first, std::optional<Encoding> second, bool add_special) const override {
    Encoding whole = real_->assemble(std::move(first), std::move(second), add_special);
    whole.ids = folded(std::move(whole.ids));
    return whole;
  }
  std::string piece(TokenId id) const override { return real_->piece(id % real_->size()); }
  std::string token_text(TokenId id) const override {
    return id == special_.mask ? std::string(kMask) : real_->token_text(id % real_->size());
  }
  std::string decode(std::span<const TokenId> ids) const override {
    std::vector<TokenId> real(ids.begin(), ids.end());
    for (TokenId& id : real) id %= real_->size();
    return real_->decode(real);
  }
  int size() const override { return vocabulary_; }
  std::string_view kind() const override { return kind_; }

 private:
  std::vector<TokenId> folded(std::vector<TokenId> ids) const {
    for (TokenId& id : ids) id %= vocabulary_;
    return ids;
  }

  std::unique_ptr<Tokenizer> real_;
  int vocabulary_;
  std::string kind_;
};

/// Four bytes a token. An encoder's texts stand between a token before and one after them; of two texts each
/// ends in one.
class HashTokenizer : public Tokenizer {
 public:
  HashTokenizer(int vocabulary, bool encoder, int32_t second_type)
      : vocabulary_(vocabulary), encoder_(encoder), second_type_(second_type) {
    if (encoder_) special_.mask = vocabulary - 1;
  }

  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override {
    const TextPart part{text};
    return encode_parts({&part, 1}, options.add_special);
  }
  std::vector<TokenId> encode_parts(std::span<const TextPart> parts, bool add_special) const override {
    std::vector<TokenId> ids;
    if (add_special) ids.push_back(kBegin);
    std::string text;
    for (const TextPart& part : parts) {
      if (!encoder_ || !is_mask(part)) {
        text += part.text;
        continue;
      }
      append_ids(ids, text);
      ids.push_back(*special_.mask);
      text.clear();
    }
    append_ids(ids, text);
    if (add_special && encoder_) ids.push_back(kEnd);
    return ids;
  }
  Encoding encode_body(std::string_view text, bool) const override {
    Encoding body;
    append_ids(body.ids, text);
    int32_t word = 0;
    // Offsets begin and end with a character, tokens need not.
    const auto at_character = [&](size_t place) {
      while (place < text.size() && (static_cast<unsigned char>(text[place]) & 0xC0) == 0x80) ++place;
      return static_cast<uint32_t>(std::min(place, text.size()));
    };
    for (size_t i = 0; i < body.ids.size(); ++i) {
      const ByteRange range{at_character(i * kBytesPerToken), at_character((i + 1) * kBytesPerToken)};
      if (i > 0 && text.substr(range.begin, range.end - range.begin).find(' ') != std::string_view::npos)
        ++word;
      body.offsets.push_back(range);
      body.words.push_back(word);
    }
    body.type_ids.assign(body.ids.size(), 0);
    body.sequence.assign(body.ids.size(), 0);
    return body;
  }
  Encoding assemble(Encoding first, std::optional<Encoding> second, bool add_special) const override {
    Encoding whole;
    const auto put = [&](TokenId id, int32_t type) { whole.append(id, type, {}, -1, -1); };
    if (add_special) put(kBegin, 0);
    for (size_t i = 0; i < first.size(); ++i)
      whole.append(first.ids[i], 0, first.offsets[i], 0, first.words[i]);
    if (add_special && encoder_) put(kEnd, 0);
    if (!second) return whole;
    for (size_t i = 0; i < second->size(); ++i)
      whole.append(second->ids[i], second_type_, second->offsets[i], 1, second->words[i]);
    if (add_special && encoder_) put(kEnd, second_type_);
    return whole;
  }
  std::string piece(TokenId id) const override { return fmt::format("<{}>", id); }
  std::string token_text(TokenId id) const override {
    return id == special_.mask ? std::string(kMask) : piece(id);
  }
  std::string decode(std::span<const TokenId> ids) const override {
    std::string text;
    for (const TokenId id : ids) text += piece(id);
    return text;
  }
  int size() const override { return vocabulary_; }
  std::string_view kind() const override { return "four bytes a token"; }

 private:
  static constexpr TokenId kBegin = 0, kEnd = 1;

  void append_ids(std::vector<TokenId>& ids, std::string_view text) const {
    for (size_t i = 0; i < text.size(); i += kBytesPerToken) {
      uint32_t hash = 2166136261u;
      for (const char letter : text.substr(i, kBytesPerToken))
        hash = (hash ^ static_cast<uint8_t>(letter)) * 16777619u;
      ids.push_back(static_cast<TokenId>(hash % static_cast<uint32_t>(vocabulary_)));
    }
  }

  int vocabulary_;
  bool encoder_;
  int32_t second_type_;  ///< of a second text: 1 where the model tells the two apart
};

}  // namespace

std::unique_ptr<Tokenizer> shape_tokenizer(const ModelFile& shape, const std::filesystem::path& from) {
  const auto vocabulary = static_cast<int>(shape.need("token_embd.weight").rows());
  if (from.empty() || !std::filesystem::exists(from)) {
    const bool causal = shape.metadata().flag(shape.architecture() + ".attention.causal").value_or(true);
    const Tensor* types = shape.find("token_types.weight");
    return std::make_unique<HashTokenizer>(vocabulary, !causal,
                                           types != nullptr && types->rows() > 1 ? 1 : 0);
  }
  const ModelFile file = open_model_file(from);
  return std::make_unique<FoldedTokenizer>(Tokenizer::create(file.metadata()), vocabulary,
                                           from.stem().string());
}

}  // namespace wattle::inline models
