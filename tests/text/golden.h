#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "file/metadata.h"
#include "text/chat.h"

namespace wattle {

inline nlohmann::json read_golden(const std::string& name) {
  std::ifstream file(std::string(WATTLE_SOURCE_DIR) + "/tests/golden/tokenizers/" + name);
  return nlohmann::json::parse(file);
}

/// Adds the keys of a JSON object to metadata.
inline void set_all(const nlohmann::json& keys, Metadata& metadata) {
  for (const auto& [key, value] : keys.items()) {
    if (value.is_string()) metadata.set(key, Value::of(value.get<std::string>()));
    if (value.is_boolean()) metadata.set(key, Value::of(value.get<bool>()));
    if (value.is_number_integer()) metadata.set(key, Value::of(value.get<int64_t>()));
    if (!value.is_array()) continue;
    if (value.empty()) continue;
    if (value[0].is_string()) metadata.set(key, Value::of(value.get<std::vector<std::string>>()));
    if (value[0].is_number_float()) metadata.set(key, Value::of(value.get<std::vector<double>>()));
    if (value[0].is_number_integer()) metadata.set(key, Value::of(value.get<std::vector<int64_t>>()));
  }
}

inline Metadata golden_metadata(const nlohmann::json& golden, const nlohmann::json& changes) {
  Metadata metadata("golden");
  set_all(golden["metadata"], metadata);
  set_all(changes, metadata);
  return metadata;
}

/// A text, or the bytes of one that is not UTF-8.
inline std::string golden_text(const nlohmann::json& entry) {
  if (entry.contains("text")) return entry["text"].get<std::string>();
  const std::string hex = entry["hex"];
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

inline std::vector<ChatMessage> golden_messages(const nlohmann::json& list) {
  std::vector<ChatMessage> messages;
  for (const auto& message : list) messages.push_back({message[0], message[1]});
  return messages;
}

/// FNV-1a, 64 bits, over the ids as little-endian 32-bit integers.
inline uint64_t hash_of(const std::vector<TokenId>& ids) {
  uint64_t value = 0xCBF29CE484222325u;
  for (const TokenId id : ids) {
    for (int shift = 0; shift < 32; shift += 8) {
      value = (value ^ ((static_cast<uint32_t>(id) >> shift) & 0xFF)) * 0x100000001B3u;
    }
  }
  return value;
}

}  // namespace wattle
