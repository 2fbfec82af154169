#include "models/shape_tokenizer.h"
#include "families/open_file.h"

#include <fmt/format.h>

namespace wattle {
namespace {

constexpr size_t kBytesPerToken = 4;  // of English text, for vocabularies from 30,000 tokens up

class FoldedTokenizer : public Tokenizer {
 public:
  FoldedTokenizer(std::unique_ptr<Tokenizer> real, int vocabulary, const std::string& source)
      : real_(std::move(real)),
        vocabulary_(vocabulary),
        kind_(fmt::format("{} of {}", real_->kind(), source)) {}

  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override {
    return folded(real_->encode(text, options));
  }
  std::vector<TokenId> encode_parts(std::span<const TextPart> parts, bool add_special) const override {
    return folded(real_->encode_parts(parts, add_special));
  }
  std::string piece(TokenId id) const override { return real_->piece(id % real_->size()); }
  std::string token_text(TokenId id) const override { return real_->token_text(id % real_->size()); }
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

class HashTokenizer : public Tokenizer {
 public:
  HashTokenizer(int vocabulary, bool encoder) : vocabulary_(vocabulary), encoder_(encoder) {}

  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override {
    const TextPart part{text};
    return encode_parts({&part, 1}, options.add_special);
  }
  std::vector<TokenId> encode_parts(std::span<const TextPart> parts, bool add_special) const override {
    std::string text;
    for (const TextPart& part : parts) text += part.text;
    std::vector<TokenId> ids;
    if (add_special) ids.push_back(0);
    for (size_t i = 0; i < text.size(); i += kBytesPerToken) {
      uint32_t hash = 2166136261u;
      for (const char letter : text.substr(i, kBytesPerToken))
        hash = (hash ^ static_cast<uint8_t>(letter)) * 16777619u;
      ids.push_back(static_cast<TokenId>(hash % static_cast<uint32_t>(vocabulary_)));
    }
    if (add_special && encoder_) ids.push_back(1);
    return ids;
  }
  std::string piece(TokenId id) const override { return fmt::format("<{}>", id); }
  std::string token_text(TokenId id) const override { return piece(id); }
  std::string decode(std::span<const TokenId> ids) const override {
    std::string text;
    for (const TokenId id : ids) text += piece(id);
    return text;
  }
  int size() const override { return vocabulary_; }
  std::string_view kind() const override { return "four bytes a token"; }

 private:
  int vocabulary_;
  bool encoder_;
};

}  // namespace

std::unique_ptr<Tokenizer> shape_tokenizer(const ModelFile& shape, const std::filesystem::path& from) {
  const auto vocabulary = static_cast<int>(shape.need("token_embd.weight").rows());
  if (from.empty() || !std::filesystem::exists(from)) {
    const bool causal = shape.metadata().flag(shape.architecture() + ".attention.causal").value_or(true);
    return std::make_unique<HashTokenizer>(vocabulary, !causal);
  }
  const ModelFile file = open_model_file(from);
  return std::make_unique<FoldedTokenizer>(Tokenizer::create(file.metadata()), vocabulary,
                                           from.stem().string());
}

}  // namespace wattle
