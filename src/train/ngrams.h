#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/features.h"
#include "train/term_table.h"

namespace wattle::inline train {

/// What a text's n-grams are made of.
enum class NgramUnit {
  kWords,  ///< runs of at least two letters, digits or underscores of any script, joined by single spaces
  kCharacters,  ///< code points of what spaces part, with a space before and after it; none reaches over one
};

enum class NgramWeights {
  kTfIdf,  ///< (1 + ln count) * (ln((1 + documents) / (1 + documents with the term)) + 1), then L2-normalised
  kPresence,  ///< 1 where the term occurs
};

struct NgramRule {
  NgramUnit unit = NgramUnit::kWords;
  NgramWeights weights = NgramWeights::kTfIdf;
  int min = 1, max = 2;  ///< words, or code points
};

/// A text's words, or what spaces part, in lower case with single spaces around them: " one two ".
struct Pieces {
  std::string text;
  std::vector<int32_t> begins, ends;
  RollingHashes hashes;

  size_t size() const { return ends.size(); }
};

/// Splits a UTF-8 text, reusing the memory of `pieces`.
void split(std::string_view text, NgramUnit unit, Pieces& pieces);

/// Bags of n-grams. With kTfIdf the values are those of scikit-learn's TfidfVectorizer(sublinear_tf=True): of
/// words those of ngram_range=(1, max), of characters those of analyzer="char_wb", ngram_range=(min, max);
/// save for the few letters whose lower case depends on context.
class Ngrams {
 public:
  /// The terms of `texts` in sorted order, those that occur in at least `min_documents` of them.
  static Ngrams fit(std::span<const std::string> texts, const NgramRule& rule, int min_documents = 1);
  /// As saved: idf has one value a term, or is empty for kPresence. Error (`origin` names the file) when they
  /// disagree or a term occurs twice.
  Ngrams(std::span<const std::string_view> terms, std::vector<float> idf, const NgramRule& rule,
         const std::string& origin);

  /// Adds the features of one text to `out`, the first term at column `first`; terms that training did not
  /// see are left out. Returns the number of words, or of what spaces part. `scratch` keeps its memory.
  int64_t add_features(std::string_view text, Pieces& scratch, SparseVector& out, int32_t first = 0) const;

  size_t size() const { return terms_.size(); }
  std::string_view term(size_t place) const { return terms_.term(place); }
  std::vector<std::string_view> terms() const;
  const std::vector<float>& idf() const { return idf_; }
  const NgramRule& rule() const { return rule_; }

 private:
  TermTable terms_;
  std::vector<float> idf_;
  NgramRule rule_;
};

}  // namespace wattle::inline train
