#include "text/aligned_text.h"

#include <algorithm>

namespace wattle::inline text {

AlignedText::AlignedText(std::string_view text, uint32_t origin, bool aligned)
    : text_(text), aligned_(aligned), at_start_(origin == 0) {
  if (!aligned) return;
  origins_.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const uint32_t bytes = decode_utf8(text, i).bytes;
    const auto begin = static_cast<uint32_t>(origin + i);
    origins_.insert(origins_.end(), bytes, ByteRange{begin, begin + bytes});
    i += bytes;
  }
}

ByteRange AlignedText::origin(size_t begin, size_t end) const {
  if (origins_.empty()) return {};
  if (begin >= end) {
    const uint32_t place = begin < origins_.size() ? origins_[begin].begin : origins_.back().end;
    return {place, place};
  }
  return {origins_[begin].begin, origins_[end - 1].end};
}

AlignedText AlignedText::slice(size_t begin, size_t end) const {
  AlignedText part({}, at_start_ && begin == 0 ? 0 : 1, aligned_);
  part.text_ = text_.substr(begin, end - begin);
  if (aligned_) {
    part.origins_.assign(origins_.begin() + static_cast<ptrdiff_t>(begin),
                         origins_.begin() + static_cast<ptrdiff_t>(end));
  }
  return part;
}

AlignedText blank_like(const AlignedText& text) {
  return AlignedText({}, text.at_start() ? 0 : 1, text.aligned());
}

void Rewriter::keep(size_t bytes) {
  bytes = std::min(bytes, end_ - position_);
  if (bytes == 0) return;
  note_start(0);
  to_.text_.append(from_.text_, position_, bytes);
  if (from_.aligned_) {
    const auto begin = from_.origins_.begin() + static_cast<ptrdiff_t>(position_);
    to_.origins_.insert(to_.origins_.end(), begin, begin + static_cast<ptrdiff_t>(bytes));
  }
  position_ += bytes;
}

void Rewriter::drop_characters(size_t count) {
  for (; count > 0 && position_ < end_; --count) position_ += next().bytes;
}

/// Only what is at the very beginning, or new there, stands for the first character of the original.
void Rewriter::note_start(int change) {
  if (!to_.text_.empty()) return;
  const bool after_first = change > 0 && position_ > 0 && position_ == decode_utf8(from_.text_, 0).bytes;
  to_.at_start_ = from_.at_start_ && (position_ == 0 || after_first);
}

ByteRange Rewriter::origin_of(int change) const {
  if (change > 0 && position_ > begin_) return from_.origins_[position_ - 1];
  if (change <= 0 && position_ < end_) return from_.origins_[position_];
  return from_.origin(position_, position_);
}

void Rewriter::prepend(std::string_view text) {
  if (done()) return;
  const size_t first = next().bytes;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter c = decode_utf8(text, i);
    write(c.value, position_, position_ + first);
    i += c.bytes;
  }
}

void Rewriter::write(char32_t c, size_t begin, size_t end) {
  if (to_.text_.empty()) to_.at_start_ = from_.at_start_ && begin == 0;
  const size_t before = to_.text_.size();
  append_utf8(to_.text_, c);
  if (from_.aligned_)
    to_.origins_.insert(to_.origins_.end(), to_.text_.size() - before, from_.origin(begin, end));
}

void Rewriter::put(char32_t c, int change) {
  note_start(change);
  const size_t before = to_.text_.size();
  append_utf8(to_.text_, c);
  if (from_.aligned_) to_.origins_.insert(to_.origins_.end(), to_.text_.size() - before, origin_of(change));
  if (change <= 0) drop_characters(static_cast<size_t>(1 - change));
}

}  // namespace wattle::inline text
