#include <string>
#include <unordered_map>

#include "text/merge.h"
#include "text/token_model.h"
#include "text/unicode.h"

namespace wattle::inline text {
namespace {

constexpr std::string_view kEnd = "</w>";

/// Byte-pair encoding as fairseq's fastBPE has it: merges know the end of a word by "</w>", tokens by a mark
/// ("@@") on all but the last of a word; what the merges make need not be a token.
class MarkedBpe final : public TokenModel {
 public:
  explicit MarkedBpe(const ModelSource& source)
      : words_(source.vocabulary.table([&](TokenId id) { return source.vocabulary.is_plain(id); })),
        unknown_(need_unknown(source, source.json.text("unk_token").value_or("<unk>"), "BPE")),
        mark_(source.json.text("continuation").value_or("@@")) {
    uint32_t rank = 0;
    for (const std::string& merge : source.metadata.strings("tokenizer.ggml.merges"))
      ranks_.emplace(merge, rank++);
  }

  void encode(std::string_view piece, std::vector<TokenPlace>& tokens) const override {
    std::vector<Symbol> symbols;
    for (size_t i = 0; i < piece.size();) {
      const uint32_t bytes = decode_utf8(piece, i).bytes;
      symbols.push_back({static_cast<uint32_t>(i), bytes});
      i += bytes;
    }
    std::string pair;
    merge_symbols<uint32_t>(symbols,
                            [&](const Symbol& left, const Symbol& right) -> std::optional<Joined<uint32_t>> {
                              pair.assign(piece, left.begin, left.length);
                              pair += ' ';
                              pair.append(piece, right.begin, right.length);
                              if (right.begin + right.length == piece.size()) pair += kEnd;
                              const auto found = ranks_.find(pair);
                              if (found == ranks_.end()) return std::nullopt;
                              return Joined<uint32_t>{found->second, -1};
                            });
    for (const Symbol& symbol : symbols) {
      if (symbol.length == 0) continue;
      const uint32_t end = symbol.begin + symbol.length;
      std::string text(piece.substr(symbol.begin, symbol.length));
      if (end < piece.size()) text += mark_;
      tokens.push_back({words_.find(text).value_or(unknown_), symbol.begin, end});
    }
  }

  std::string_view kind() const override { return "bpe"; }

 private:
  TokenTable words_;
  TokenId unknown_;
  std::string mark_;
  std::unordered_map<std::string, uint32_t> ranks_;
};

}  // namespace

std::unique_ptr<TokenModel> make_marked_bpe(const ModelSource& source) {
  return std::make_unique<MarkedBpe>(source);
}

}  // namespace wattle::inline text
