#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "train/features.h"

namespace wattle {

/// The words of a text: lower-cased runs of at least two letters, digits or underscores (of any script),
/// joined by single spaces in `text`. ends[i] is where word i ends.
struct Words {
  std::string text;
  std::vector<int32_t> ends;

  size_t size() const { return ends.size(); }
  /// Words first .. last inclusive, with single spaces between them.
  std::string_view range(size_t first, size_t last) const {
    const size_t begin = first == 0 ? 0 : static_cast<size_t>(ends[first - 1]) + 1;
    return std::string_view(text).substr(begin, static_cast<size_t>(ends[last]) - begin);
  }
};

/// Splits a UTF-8 text, reusing the memory of `words`.
void split_words(std::string_view text, Words& words);

enum class NgramWeights {
  kTfIdf,  ///< (1 + ln count) * (ln((1 + documents) / (1 + documents with the term)) + 1), then L2-normalised
  kPresence,  ///< 1 where the term occurs
};

/// Bags of word n-grams. With kTfIdf and max_words 2 the values are those of scikit-learn's
/// TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), save for the few letters whose lower case depends
/// on context.
class Ngrams {
 public:
  /// The terms of `texts` in sorted order, those that occur in at least `min_documents` of them.
  static Ngrams fit(std::span<const std::string> texts, NgramWeights weights, int max_words,
                    int min_documents = 1);
  /// As saved: idf has one value a term, or is empty for kPresence. Error (`origin` names the file) when they
  /// disagree or a term occurs twice.
  Ngrams(std::vector<std::string> terms, std::vector<float> idf, NgramWeights weights, int max_words,
         const std::string& origin);
  Ngrams(Ngrams&&) = default;
  Ngrams& operator=(Ngrams&&) = default;

  /// Features of one text; terms that training did not see are left out. Returns the number of words.
  /// `scratch` and `out` keep their memory from call to call.
  int64_t features(std::string_view text, Words& scratch, SparseVector& out) const;
  SparseMatrix features(std::span<const std::string> texts) const;

  const std::vector<std::string>& terms() const { return terms_; }
  const std::vector<float>& idf() const { return idf_; }
  NgramWeights weights() const { return weights_; }
  int max_words() const { return max_words_; }

 private:
  std::vector<std::string> terms_;
  std::vector<float> idf_;
  NgramWeights weights_;
  int max_words_;
  std::unordered_map<std::string_view, int32_t> index_;  ///< views into terms_
};

}  // namespace wattle
