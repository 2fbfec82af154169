#include "train/ngrams.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>
#include <utility>

#include <utf8proc.h>
#include <wattle/error.h>

#include "text/unicode_classes.h"

namespace wattle::inline train {
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

/// What Python's str.split parts words at.
bool is_space(utf8proc_int32_t code) {
  return is_white_space(static_cast<char32_t>(code)) || (code >= 0x1c && code <= 0x1f);
}

/// The lower case of ASCII characters that belong to a unit's pieces, 0 for those that part them.
using AsciiTable = std::array<char, 128>;

AsciiTable make_ascii(NgramUnit unit) {
  AsciiTable table{};
  for (int code = 0; code < 128; ++code) {
    const bool inside = unit == NgramUnit::kWords ? is_word_character(code) : code != 0 && !is_space(code);
    if (inside) table[static_cast<size_t>(code)] = static_cast<char>(utf8proc_tolower(code));
  }
  return table;
}

const AsciiTable& ascii_of(NgramUnit unit) {
  static const std::array<AsciiTable, 2> tables = {make_ascii(NgramUnit::kWords),
                                                   make_ascii(NgramUnit::kCharacters)};
  return tables[static_cast<size_t>(unit)];
}

/// Builds pieces from characters.
class PieceWriter {
 public:
  PieceWriter(Pieces& pieces, int shortest, size_t bytes) : pieces_(pieces), shortest_(shortest) {
    pieces_.begins.clear();
    pieces_.ends.clear();
    // The lower case of a character of two bytes may have three, and each piece has a space after it.
    pieces_.text.resize(2 * bytes + 2);
    pieces_.text[0] = ' ';
  }

  void add(char lower) {
    pieces_.text[end_++] = lower;
    ++characters_;
  }
  void add(utf8proc_int32_t code) {
    auto* place = reinterpret_cast<utf8proc_uint8_t*>(pieces_.text.data() + end_);
    end_ += static_cast<size_t>(utf8proc_encode_char(utf8proc_tolower(code), place));
    ++characters_;
  }
  void end_piece() {
    if (characters_ == 0) return;
    if (characters_ >= shortest_) {
      pieces_.begins.push_back(static_cast<int32_t>(begin_));
      pieces_.ends.push_back(static_cast<int32_t>(end_));
      pieces_.text[end_++] = ' ';
      begin_ = end_;
    }
    end_ = begin_;
    characters_ = 0;
  }
  void finish() {
    end_piece();
    pieces_.text.resize(begin_);
    pieces_.hashes.read(pieces_.text);
  }

 private:
  Pieces& pieces_;
  int shortest_, characters_ = 0;
  size_t begin_ = 1, end_ = 1;
};

/// Calls each(begin, end) for every n-gram, a part of the pieces' text, repeats included.
template <typename Each>
void for_each_of_words(const Pieces& words, int min, int max, Each each) {
  for (size_t first = 0; first < words.size(); ++first) {
    const size_t end = std::min(words.size(), first + static_cast<size_t>(max));
    for (size_t last = first + static_cast<size_t>(min) - 1; last < end; ++last)
      each(static_cast<size_t>(words.begins[first]), static_cast<size_t>(words.ends[last]));
  }
}

bool begins_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

/// As scikit-learn's char_wb: a piece that is shorter than an n-gram, spaces included, counts as one, once.
template <typename Each>
void for_each_of_characters(const Pieces& pieces, int min, int max, Each each) {
  const auto after = [&](size_t place) {
    do {
      ++place;
    } while (place < pieces.text.size() && !begins_character(pieces.text[place]));
    return place;
  };
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto end = static_cast<size_t>(pieces.ends[i]) + 1;
    for (size_t begin = static_cast<size_t>(pieces.begins[i]) - 1; begin < end; begin = after(begin)) {
      const bool whole = begin + 1 == static_cast<size_t>(pieces.begins[i]);
      size_t part_end = begin;
      int length = 0;
      while (length < max && part_end < end) {
        part_end = after(part_end);
        if (++length >= min) each(begin, part_end);
      }
      if (whole && length < min) each(begin, part_end);
    }
  }
}

template <typename Each>
void for_each_ngram(const Pieces& pieces, const NgramRule& rule, Each each) {
  if (rule.unit == NgramUnit::kWords) {
    for_each_of_words(pieces, rule.min, rule.max, each);
  } else {
    for_each_of_characters(pieces, rule.min, rule.max, each);
  }
}

}  // namespace

void split(std::string_view text, NgramUnit unit, Pieces& pieces) {
  const bool words = unit == NgramUnit::kWords;
  const AsciiTable& ascii = ascii_of(unit);
  PieceWriter writer(pieces, words ? 2 : 1, text.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t i = 0; i < text.size();) {
    if (bytes[i] < 128) {
      const char lower = ascii[bytes[i++]];
      if (lower != 0) {
        writer.add(lower);
      } else {
        writer.end_piece();
      }
      continue;
    }
    utf8proc_int32_t code = -1;
    const auto length = utf8proc_iterate(bytes + i, static_cast<utf8proc_ssize_t>(text.size() - i), &code);
    i += length > 0 ? static_cast<size_t>(length) : 1;
    if (length > 0 && (words ? is_word_character(code) : !is_space(code))) {
      writer.add(code);
    } else {
      writer.end_piece();
    }
  }
  writer.finish();
}

Ngrams Ngrams::fit(std::span<const std::string> texts, const NgramRule& rule, int min_documents) {
  struct Count {
    int64_t documents = 0;
    size_t last_text = 0;  ///< from 1
  };
  std::unordered_map<std::string, Count> counts;
  Pieces pieces;
  std::string term;
  for (size_t i = 0; i < texts.size(); ++i) {
    split(texts[i], rule.unit, pieces);
    for_each_ngram(pieces, rule, [&](size_t begin, size_t end) {
      term.assign(pieces.text, begin, end - begin);
      Count& count = counts[term];
      count.documents += count.last_text == i + 1 ? 0 : 1;
      count.last_text = i + 1;
    });
  }
  std::vector<std::pair<std::string_view, int64_t>> kept;
  for (const auto& [name, count] : counts) {
    if (count.documents >= min_documents) kept.emplace_back(name, count.documents);
  }
  std::sort(kept.begin(), kept.end());
  std::vector<std::string_view> terms;
  std::vector<float> idf;
  const auto n = static_cast<double>(texts.size());
  for (const auto& [name, documents] : kept) {
    terms.push_back(name);
    if (rule.weights != NgramWeights::kTfIdf) continue;
    idf.push_back(static_cast<float>(std::log((1 + n) / (1 + static_cast<double>(documents))) + 1));
  }
  return Ngrams(terms, std::move(idf), rule, "the training texts");
}

Ngrams::Ngrams(std::span<const std::string_view> terms, std::vector<float> idf, const NgramRule& rule,
               const std::string& origin)
    : terms_(terms, origin), idf_(std::move(idf)), rule_(rule) {
  if (rule.min < 1 || rule.max < rule.min || rule.max > 8)
    fail("{}: has n-grams of {} to {}, not of 1 to 8; train the head again", origin, rule.min, rule.max);
  if (idf_.size() != (rule_.weights == NgramWeights::kTfIdf ? terms_.size() : 0)) {
    fail("{}: {} terms but {} document frequencies; train the head again", origin, terms_.size(),
         idf_.size());
  }
}

std::vector<std::string_view> Ngrams::terms() const {
  std::vector<std::string_view> terms;
  terms.reserve(size());
  for (size_t i = 0; i < size(); ++i) terms.push_back(term(i));
  return terms;
}

int64_t Ngrams::add_features(std::string_view text, Pieces& scratch, SparseVector& out, int32_t first) const {
  split(text, rule_.unit, scratch);
  const size_t before = out.columns.size();
  const std::string_view pieces = scratch.text;
  for_each_ngram(scratch, rule_, [&](size_t begin, size_t end) {
    const int32_t place = terms_.find(pieces.substr(begin, end - begin), scratch.hashes.of(begin, end));
    if (place >= 0) out.columns.push_back(place);
  });
  const auto added = std::span(out.columns).subspan(before);
  std::ranges::sort(added);
  const bool tf_idf = rule_.weights == NgramWeights::kTfIdf;
  double squares = 0;
  size_t kept = before;
  for (size_t i = 0; i < added.size();) {
    const int32_t column = added[i];
    size_t count = 0;
    for (; i < added.size() && added[i] == column; ++i) ++count;
    float value = 1;
    if (tf_idf) {
      const double frequency = count == 1 ? 1 : 1 + std::log(static_cast<double>(count));
      value = static_cast<float>(frequency) * idf_[static_cast<size_t>(column)];
    }
    out.columns[kept++] = first + column;
    out.values.push_back(value);
    squares += static_cast<double>(value) * value;
  }
  out.columns.resize(kept);
  if (tf_idf && squares > 0) {
    const auto scale = static_cast<float>(1 / std::sqrt(squares));
    for (float& value : std::span(out.values).subspan(before)) value *= scale;
  }
  return static_cast<int64_t>(scratch.size());
}

}  // namespace wattle::inline train
