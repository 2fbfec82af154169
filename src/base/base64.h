#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace wattle::inline base {

/// Bytes of standard base64 (RFC 4648, padded or not); nullopt for what is none.
std::optional<std::string> from_base64(std::string_view text);
std::string to_base64(std::string_view bytes);

}  // namespace wattle::inline base
