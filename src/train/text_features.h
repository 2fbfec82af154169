#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/ngrams.h"

namespace wattle::inline train {

/// The features of texts: n-grams of one or both units, one after another. None: no features.
struct TextFeatures {
  std::vector<Ngrams> ngrams;

  int64_t columns() const;
  /// Returns the number of words, or without any of what spaces part.
  int64_t features(std::string_view text, Pieces& scratch, SparseVector& out) const;
  SparseMatrix features(std::span<const std::string> texts) const;
};

/// Which n-grams a head reads.
enum class TextUnits {
  kAuto,  ///< of words; and of characters, where words do not serve enough texts: kLeastServed
  kWords,
  kCharacters,
  kBoth,
};
/// "auto", "words", "characters", "both". Throws Error naming them.
TextUnits text_units_from_name(std::string_view name);

/// Words serve a text when at least half of its characters (spaces left out) are in words of two letters or
/// more, of scripts that put spaces between words. They do not serve Chinese, Japanese or Thai, where a whole
/// sentence is one word, emoji, and much of source code.
bool words_serve(std::string_view text);
/// The share of texts that words serve, of those that are not blank; 1 where all are.
double share_served_by_words(std::span<const std::string> texts);
/// Below this share kAuto reads characters too.
inline constexpr double kLeastServed = 0.9;

}  // namespace wattle::inline train
