#include "text/character_map.h"

#include <cstring>

#include <wattle/error.h>

namespace wattle::inline text {
namespace {

uint32_t step_of(uint32_t unit) {
  return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}
bool has_leaf(uint32_t unit) {
  return (unit >> 8 & 1) == 1;
}
uint32_t label_of(uint32_t unit) {
  return unit & ((1u << 31) | 0xFF);
}

}  // namespace

CharacterMap::CharacterMap(std::string_view blob, const std::string& origin) {
  if (blob.empty()) return;
  uint32_t bytes = 0;
  if (blob.size() >= sizeof bytes) std::memcpy(&bytes, blob.data(), sizeof bytes);
  if (bytes == 0 || bytes % 4 != 0 || bytes > blob.size() - sizeof bytes) {
    fail("{}: the character map of {} bytes is cut; get the file again", origin, blob.size());
  }
  units_.resize(bytes / 4);
  std::memcpy(units_.data(), blob.data() + sizeof bytes, bytes);
  texts_ = blob.substr(sizeof bytes + bytes);
}

std::string_view CharacterMap::text_at(uint32_t place) const {
  if (place >= texts_.size()) return {};
  const std::string_view rest = std::string_view(texts_).substr(place);
  return rest.substr(0, rest.find('\0'));
}

std::optional<CharacterMap::Match> CharacterMap::search(std::string_view text, bool first) const {
  std::optional<Match> found;
  if (units_.empty()) return found;
  uint32_t node = step_of(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte == 0) return found;
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) return found;
    const bool leaf = has_leaf(units_[node]);
    node ^= step_of(units_[node]);
    if (!leaf) continue;
    if (node >= units_.size()) return found;
    found = Match{i + 1, text_at(units_[node] & 0x7FFFFFFF)};
    if (first) return found;
  }
  return found;
}

}  // namespace wattle::inline text
