#include "base/utf8.h"

#include <cstdint>

namespace wattle {
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

}  // namespace wattle
