#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::inline text {

/// SentencePiece's precompiled character map: a double-array trie of byte strings (darts-clone: a unit is 32
/// bits) and the texts that they become (github.com/google/sentencepiece, src/normalizer.cc).
class CharacterMap {
 public:
  CharacterMap() = default;
  /// Error naming `origin` when the blob is cut.
  CharacterMap(std::string_view blob, const std::string& origin);

  bool empty() const { return units_.empty(); }
  struct Match {
    size_t length;  ///< bytes of the text that are replaced
    std::string_view text;
  };
  /// The longest, or the shortest, beginning of the text that the map has.
  std::optional<Match> longest(std::string_view text) const { return search(text, false); }
  std::optional<Match> shortest(std::string_view text) const { return search(text, true); }

 private:
  std::optional<Match> search(std::string_view text, bool first) const;
  std::string_view text_at(uint32_t place) const;

  std::vector<uint32_t> units_;
  std::string texts_;
};

}  // namespace wattle::inline text
