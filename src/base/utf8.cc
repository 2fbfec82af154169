#include "base/utf8.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace wattle::inline base {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// The part at the front of `bytes`: a whole character, or the longest beginning of one that is there.
struct Part {
  size_t length;
  bool whole;
  bool cut;  ///< the bytes end where a continuation byte would have to follow
};

Part first_part(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {1, true, false};
  if (lead < 0xC2 || lead > 0xF4) return {1, false, false};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte's range is narrower after these leads: overlong forms, surrogates, beyond U+10FFFF.
  uint8_t low = 0x80, high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {i, false, true};
    if (byte(i) < low || byte(i) > high) return {i, false, false};
    low = 0x80, high = 0xBF;
  }
  return {length, true, false};
}

/// Length of the well-formed beginning.
size_t valid_prefix(std::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    const Part part = first_part(bytes.substr(i));
    if (!part.whole) break;
    i += part.length;
  }
  return i;
}

}  // namespace

std::string lower_ascii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool is_utf8(std::string_view bytes) {
  return valid_prefix(bytes) == bytes.size();
}

std::string repaired_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t valid = valid_prefix(bytes);
    text += bytes.substr(0, valid);
    bytes.remove_prefix(valid);
    if (bytes.empty()) break;
    text += kReplacement;
    bytes.remove_prefix(first_part(bytes).length);
  }
  return text;
}

Utf8Part first_utf8_part(std::string_view bytes) {
  const Part part = first_part(bytes);
  return {part.length, part.whole};
}

std::string_view whole_characters(std::string_view bytes) {
  for (size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    const size_t begin = bytes.size() - back;
    if ((static_cast<uint8_t>(bytes[begin]) & 0xC0) == 0x80) continue;
    return first_part(bytes.substr(begin)).cut ? bytes.substr(0, begin) : bytes;
  }
  return bytes;
}

DecodedCharacter decode_utf8(std::string_view text, size_t position) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[position + i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const Part part = first_part(text.substr(position));
  if (!part.whole) return {kReplacementCharacter, 1};
  char32_t value = byte(0) & (0x7Fu >> part.length);
  for (size_t i = 1; i < part.length; ++i) value = value << 6 | (byte(i) & 0x3Fu);
  return {value, static_cast<uint32_t>(part.length)};
}

void append_utf8(std::string& out, char32_t character) {
  const auto put = [&](char32_t bits) { out += static_cast<char>(bits); };
  const auto rest = [&](int shift) { put(0x80 | ((character >> shift) & 0x3F)); };
  if (character < 0x80) {
    put(character);
  } else if (character < 0x800) {
    put(0xC0 | character >> 6), rest(0);
  } else if (character >= 0xD800 && character < 0xE000) {
    return;
  } else if (character < 0x10000) {
    put(0xE0 | character >> 12), rest(6), rest(0);
  } else if (character < 0x110000) {
    put(0xF0 | character >> 18), rest(12), rest(6), rest(0);
  }
}

bool is_ascii(std::string_view text) {
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if (word & 0x8080808080808080u) return false;
  }
  return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(i), text.end(),
                     [](char byte) { return static_cast<uint8_t>(byte) < 0x80; });
}

}  // namespace wattle::inline base
