#include "train/text_features.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/utf8.h"

namespace wattle::inline train {
namespace {

constexpr std::array<std::string_view, 4> kTextUnits = {"auto", "words", "characters", "both"};

/// Scripts that put no spaces between words: Thai, Lao, Tibetan; Burmese; Khmer; Han, Kana and their forms
/// (but not Hangul's letters among them); Han again, beyond the first plane.
constexpr std::array<std::pair<char32_t, char32_t>, 8> kUnspaced = {{{0x0E00, 0x0FFF},
                                                                     {0x1000, 0x109F},
                                                                     {0x1780, 0x17FF},
                                                                     {0x2E80, 0x312F},
                                                                     {0x3190, 0x9FFF},
                                                                     {0xF900, 0xFAFF},
                                                                     {0xFF66, 0xFF9F},
                                                                     {0x20000, 0x3FFFF}}};

bool is_unspaced(char32_t character) {
  return std::ranges::any_of(
      kUnspaced, [&](const auto& range) { return character >= range.first && character <= range.second; });
}

/// Characters of the pieces, without the spaces between them; with `spaced` those of spaced scripts alone.
int64_t count_characters(const Pieces& pieces, bool spaced) {
  int64_t count = 0;
  const std::string_view text = pieces.text;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter character = decode_utf8(text, i);
    i += character.bytes;
    count += character.value == ' ' || (spaced && is_unspaced(character.value)) ? 0 : 1;
  }
  return count;
}

}  // namespace

int64_t TextFeatures::columns() const {
  int64_t columns = 0;
  for (const Ngrams& part : ngrams) columns += static_cast<int64_t>(part.size());
  return columns;
}

int64_t TextFeatures::features(std::string_view text, Pieces& scratch, SparseVector& out) const {
  out.clear();
  int32_t first = 0;
  int64_t pieces = 0;
  for (const Ngrams& part : ngrams) {
    const int64_t found = part.add_features(text, scratch, out, first);
    if (first == 0) pieces = found;
    first += static_cast<int32_t>(part.size());
  }
  return pieces;
}

SparseMatrix TextFeatures::features(std::span<const std::string> texts) const {
  SparseMatrix matrix;
  matrix.columns = columns();
  Pieces scratch;
  SparseVector row;
  for (const std::string& text : texts) {
    features(text, scratch, row);
    matrix.append(row);
  }
  return matrix;
}

TextUnits text_units_from_name(std::string_view name) {
  const auto found = std::ranges::find(kTextUnits, name);
  if (found == kTextUnits.end())
    fail("{}: no features of texts are called so; one of {}", name, fmt::join(kTextUnits, ", "));
  return static_cast<TextUnits>(found - kTextUnits.begin());
}

bool words_serve(std::string_view text) {
  Pieces pieces;
  split(text, NgramUnit::kCharacters, pieces);
  const int64_t all = count_characters(pieces, false);
  split(text, NgramUnit::kWords, pieces);
  return all > 0 && 2 * count_characters(pieces, true) >= all;
}

double share_served_by_words(std::span<const std::string> texts) {
  int64_t written = 0, served = 0;
  for (const std::string& text : texts) {
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) continue;
    ++written;
    served += words_serve(text) ? 1 : 0;
  }
  return written == 0 ? 1 : static_cast<double>(served) / static_cast<double>(written);
}

}  // namespace wattle::inline train
