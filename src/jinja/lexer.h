#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::jinja {

enum class TokenKind : uint8_t {
  kData,        ///< text between the marks, as it is to be printed
  kPrintBegin,  ///< {{
  kPrintEnd,
  kTagBegin,  ///< {%
  kTagEnd,
  kName,
  kString,  ///< its text decoded
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  uint32_t line = 1;
  std::string text;
  int64_t integer = 0;
  double real = 0;
};

/// The tokens of a template as Jinja2 reads it with trim_blocks and lstrip_blocks on and
/// keep_trailing_newline off; comments are left out. Throws Error naming `name` and the line.
std::vector<Token> tokenize(std::string_view source, const std::string& name);

}  // namespace wattle::jinja
