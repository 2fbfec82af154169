#include "train/ngrams.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include <utf8proc.h>
#include <wattle/error.h>

namespace wattle {
namespace {

/// Python's \w: letters, numbers of every kind, and the underscore; not combining marks.
bool is_word_character(utf8proc_int32_t code) {
  if (code == '_') return true;
  switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return false;
  }
}

void append_lower(utf8proc_int32_t code, std::string& text) {
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(utf8proc_tolower(code), bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

/// Calls each(term) for every n-gram of the words, repeats included.
template <typename Each>
void for_each_ngram(const Words& words, int max_words, Each each) {
  for (size_t first = 0; first < words.size(); ++first) {
    const size_t end = std::min(words.size(), first + static_cast<size_t>(max_words));
    for (size_t last = first; last < end; ++last) each(words.range(first, last));
  }
}

}  // namespace

void split_words(std::string_view text, Words& words) {
  words.text.clear();
  words.ends.clear();
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  size_t word_begin = 0;
  int characters = 0;
  const auto end_word = [&] {
    if (characters >= 2) {
      words.ends.push_back(static_cast<int32_t>(words.text.size()));
      words.text += ' ';
      word_begin = words.text.size();
    } else {
      words.text.resize(word_begin);
    }
    characters = 0;
  };
  for (size_t i = 0; i < text.size();) {
    utf8proc_int32_t code = -1;
    const auto length = utf8proc_iterate(bytes + i, static_cast<utf8proc_ssize_t>(text.size() - i), &code);
    i += length > 0 ? static_cast<size_t>(length) : 1;
    if (length > 0 && is_word_character(code)) {
      append_lower(code, words.text);
      ++characters;
    } else if (characters > 0) {
      end_word();
    }
  }
  if (characters > 0) end_word();
}

Ngrams Ngrams::fit(std::span<const std::string> texts, NgramWeights weights, int max_words,
                   int min_documents) {
  std::map<std::string, int64_t, std::less<>> documents;
  Words words;
  std::vector<std::string_view> found;
  for (const std::string& text : texts) {
    split_words(text, words);
    found.clear();
    for_each_ngram(words, max_words, [&](std::string_view term) { found.push_back(term); });
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    for (const std::string_view term : found) {
      auto place = documents.find(term);
      if (place == documents.end()) place = documents.emplace(term, 0).first;
      ++place->second;
    }
  }
  std::vector<std::string> terms;
  std::vector<float> idf;
  for (const auto& [term, count] : documents) {
    if (count < min_documents) continue;
    terms.push_back(term);
    if (weights != NgramWeights::kTfIdf) continue;
    const double n = static_cast<double>(texts.size());
    idf.push_back(static_cast<float>(std::log((1 + n) / (1 + static_cast<double>(count))) + 1));
  }
  return Ngrams(std::move(terms), std::move(idf), weights, max_words, "the training texts");
}

Ngrams::Ngrams(std::vector<std::string> terms, std::vector<float> idf, NgramWeights weights, int max_words,
               const std::string& origin)
    : terms_(std::move(terms)), idf_(std::move(idf)), weights_(weights), max_words_(max_words) {
  if (idf_.size() != (weights_ == NgramWeights::kTfIdf ? terms_.size() : 0)) {
    fail("{}: {} terms but {} document frequencies; train the head again", origin, terms_.size(),
         idf_.size());
  }
  index_.reserve(terms_.size());
  for (size_t i = 0; i < terms_.size(); ++i) {
    if (!index_.emplace(terms_[i], static_cast<int32_t>(i)).second) {
      fail("{}: the term '{}' occurs twice; train the head again", origin, terms_[i]);
    }
  }
}

int64_t Ngrams::features(std::string_view text, Words& scratch, SparseVector& out) const {
  split_words(text, scratch);
  out.clear();
  for_each_ngram(scratch, max_words_, [&](std::string_view term) {
    const auto place = index_.find(term);
    if (place != index_.end()) out.columns.push_back(place->second);
  });
  std::sort(out.columns.begin(), out.columns.end());
  double squares = 0;
  size_t kept = 0;
  for (size_t i = 0; i < out.columns.size();) {
    const int32_t column = out.columns[i];
    size_t count = 0;
    for (; i < out.columns.size() && out.columns[i] == column; ++i) ++count;
    float value = 1;
    if (weights_ == NgramWeights::kTfIdf) {
      value =
          static_cast<float>(1 + std::log(static_cast<double>(count))) * idf_[static_cast<size_t>(column)];
    }
    out.columns[kept++] = column;
    out.values.push_back(value);
    squares += static_cast<double>(value) * value;
  }
  out.columns.resize(kept);
  if (weights_ == NgramWeights::kTfIdf && squares > 0) {
    const auto scale = static_cast<float>(1 / std::sqrt(squares));
    for (float& value : out.values) value *= scale;
  }
  return static_cast<int64_t>(scratch.size());
}

SparseMatrix Ngrams::features(std::span<const std::string> texts) const {
  SparseMatrix matrix;
  matrix.columns = static_cast<int64_t>(terms_.size());
  Words scratch;
  SparseVector row;
  for (const std::string& text : texts) {
    features(text, scratch, row);
    matrix.append(row);
  }
  return matrix;
}

}  // namespace wattle
