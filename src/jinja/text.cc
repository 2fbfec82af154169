#include "jinja/text.h"

#include <algorithm>

#include "base/utf8.h"

namespace wattle::jinja {

Source Text::source_at(size_t byte) const {
  const auto run = std::upper_bound(runs_.begin(), runs_.end(), byte,
                                    [](size_t position, const Run& r) { return position < r.end; });
  return run == runs_.end() ? kTemplate : run->source;
}

void Text::append(std::string_view bytes, Source source) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  if (!runs_.empty() && runs_.back().source == source) {
    runs_.back().end = bytes_.size();
  } else {
    runs_.push_back({bytes_.size(), source});
  }
}

void Text::append(const Text& other, size_t begin, size_t end) {
  auto run = std::upper_bound(other.runs_.begin(), other.runs_.end(), begin,
                              [](size_t position, const Run& r) { return position < r.end; });
  while (begin < end) {
    const size_t stop = std::min(end, run->end);
    append(std::string_view(other.bytes_).substr(begin, stop - begin), run->source);
    begin = stop;
    ++run;
  }
}

void Text::append_character(char32_t character, Source source) {
  std::string encoded;
  append_utf8(encoded, character);
  append(encoded, source);
}

Text Text::part(size_t begin, size_t end) const {
  Text text;
  text.append(*this, begin, end);
  return text;
}

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(),
                                           [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

size_t byte_of_character(std::string_view text, size_t index) {
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<uint8_t>(text[i]) & 0xC0) == 0x80) continue;
    if (index-- == 0) return i;
  }
  return text.size();
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

Text strip(const Text& text, std::string_view characters, bool left, bool right) {
  std::u32string wanted;
  for (size_t i = 0; i < characters.size();) {
    const DecodedCharacter c = decode_utf8(characters, i);
    wanted += c.value;
    i += c.bytes;
  }
  const auto removed = [&](char32_t c) {
    return wanted.empty() ? is_space(c) : wanted.find(c) != std::u32string::npos;
  };
  const std::string_view bytes = text.bytes();
  size_t begin = 0, end = bytes.size();
  while (left && begin < end) {
    const DecodedCharacter c = decode_utf8(bytes, begin);
    if (!removed(c.value)) break;
    begin += c.bytes;
  }
  while (right && begin < end) {
    size_t last = end - 1;
    while (last > begin && (static_cast<uint8_t>(bytes[last]) & 0xC0) == 0x80) --last;
    if (!removed(decode_utf8(bytes, last).value)) break;
    end = last;
  }
  return text.part(begin, end);
}

}  // namespace wattle::jinja
