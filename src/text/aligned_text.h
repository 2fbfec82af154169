#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/unicode.h"

namespace wattle::inline text {

/// A text (well-formed UTF-8) on its way through a tokenizer and, where that is wanted, the place in the
/// original that each of its bytes stands for. The rules of what an inserted, replaced or removed character
/// stands for are those of Hugging Face's tokenizers, so that the offsets of tokens are theirs.
class AlignedText {
 public:
  /// `origin`: where the text begins in the original.
  AlignedText(std::string_view text, uint32_t origin, bool aligned);

  std::string_view view() const { return text_; }
  size_t size() const { return text_.size(); }
  bool empty() const { return text_.empty(); }
  bool aligned() const { return aligned_; }
  /// Whether its first character stands for the first of the original.
  bool at_start() const { return at_start_; }
  /// The part of the original that bytes [begin, end) stand for; only where aligned().
  ByteRange origin(size_t begin, size_t end) const;
  /// Bytes [begin, end) as a text of their own.
  AlignedText slice(size_t begin, size_t end) const;

 private:
  friend class Rewriter;
  std::string text_;
  std::vector<ByteRange> origins_;  ///< one a byte where aligned
  bool aligned_, at_start_;
};

/// Writes the next form of bytes [begin, end) of a text, from left to right.
class Rewriter {
 public:
  /// Appends to `to`; `from` must stay as it is meanwhile.
  Rewriter(const AlignedText& from, size_t begin, size_t end, AlignedText& to)
      : from_(from), begin_(begin), end_(end), position_(begin), to_(to) {}

  bool done() const { return position_ >= end_; }
  size_t position() const { return position_; }
  /// The next character of the old form.
  DecodedCharacter next() const { return decode_utf8(from_.text_, position_); }

  void keep(size_t bytes);
  void drop(size_t bytes) { position_ = std::min(end_, position_ + bytes); }
  void drop_characters(size_t count);
  /// A character of the new form. change 0: in place of the next one; -n: in place of it and the n that
  /// follow; 1: a new one, which stands for what the character before the place stands for.
  void put(char32_t c, int change);
  /// New characters before the next one, which they stand for. Nothing where there is none.
  void prepend(std::string_view text);
  /// A character that stands for bytes [begin, end) of the old form, wherever they are; the place stays.
  void write(char32_t c, size_t begin, size_t end);

 private:
  ByteRange origin_of(int change) const;
  void note_start(int change);

  const AlignedText& from_;
  size_t begin_, end_, position_;
  AlignedText& to_;
};

/// An empty text to write the next form of `text` into.
AlignedText blank_like(const AlignedText& text);

/// Calls `change(Rewriter&)` for the whole text, which becomes what that wrote.
template <typename Change>
void rewrite(AlignedText& text, const Change& change) {
  AlignedText out = blank_like(text);
  Rewriter writer(text, 0, text.size(), out);
  change(writer);
  text = std::move(out);
}

}  // namespace wattle::inline text
