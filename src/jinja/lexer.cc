#include "jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <wattle/error.h>

#include "base/utf8.h"
#include "jinja/text.h"

namespace wattle::jinja {
namespace {

constexpr std::string_view kDigits = "0123456789";

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<uint8_t>(c) >= 0x80;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// "\r\n" and "\r" are line ends too.
std::string with_plain_newlines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') {
      out += '\n';
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& name)
      : source_(with_plain_newlines(source)), name_(name) {
    if (source_.ends_with('\n')) source_.pop_back();
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) read_data();
    push(TokenKind::kEnd);
    return std::move(tokens_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail("{}, line {}: {}", name_, line_, fmt::format(format, std::forward<Args>(args)...));
  }

  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  bool next_is(std::string_view text) const { return rest().starts_with(text); }

  void advance(size_t bytes) {
    line_ += static_cast<uint32_t>(std::count(source_.begin() + static_cast<ptrdiff_t>(at_),
                                              source_.begin() + static_cast<ptrdiff_t>(at_ + bytes), '\n'));
    at_ += bytes;
    if (bytes > 0) line_starting_ = source_[at_ - 1] == '\n';
  }

  void skip_spaces() {
    while (at_ < source_.size()) {
      const DecodedCharacter c = decode_utf8(source_, at_);
      if (!is_space(c.value)) return;
      advance(c.bytes);
    }
  }

  void push(TokenKind kind, std::string text = {}) { tokens_.push_back({kind, line_, std::move(text)}); }

  void push_data(std::string_view text) {
    if (!text.empty()) push(TokenKind::kData, std::string(text));
  }

  /// Data before a mark, without the white space that the mark takes away. `sign` is the character after it.
  std::string_view stripped(std::string_view data, char sign, bool is_print) const {
    if (sign == '-') return data.substr(0, strip(Text(data), {}, false, true).size());
    if (sign == '+' || is_print) return data;
    const size_t newline = data.rfind('\n');
    const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    if (begin == 0 && !line_starting_) return data;
    const bool blank = strip(Text(data.substr(begin)), {}, true, false).empty();
    return blank ? data.substr(0, begin) : data;
  }

  /// Reads `sign` and `mark`, with what they take away after them; false when they are not here.
  bool read_end(std::string_view mark, bool trims_newline) {
    if (next_is(mark)) {
      advance(mark.size());
      if (trims_newline && next_is("\n")) advance(1);
      return true;
    }
    const bool minus = next_is("-"), plus = next_is("+") && trims_newline;
    if ((!minus && !plus) || !rest().substr(1).starts_with(mark)) return false;
    advance(1 + mark.size());
    if (minus) skip_spaces();
    return true;
  }

  void read_data() {
    size_t begin = at_;
    while (begin < source_.size() &&
           !(source_[begin] == '{' && begin + 1 < source_.size() &&
             std::string_view("{%#").find(source_[begin + 1]) != std::string_view::npos)) {
      ++begin;
    }
    const std::string_view data = std::string_view(source_).substr(at_, begin - at_);
    if (begin == source_.size()) {
      push_data(data);
      advance(data.size());
      return;
    }
    const char mark = source_[begin + 1];
    const char sign = begin + 2 < source_.size() ? source_[begin + 2] : '\0';
    push_data(stripped(data, sign, mark == '{'));
    advance(begin + 2 - at_);
    if (sign == '-' || sign == '+') advance(1);
    if (mark == '#') return read_comment();
    if (mark == '%' && read_raw()) return;
    push(mark == '{' ? TokenKind::kPrintBegin : TokenKind::kTagBegin);
    read_code(mark == '{' ? "}}" : "%}", mark == '{' ? TokenKind::kPrintEnd : TokenKind::kTagEnd);
  }

  void read_comment() {
    const size_t end = rest().find("#}");
    if (end == std::string_view::npos) fail_here("a comment has no end; close it with #}}");
    const bool signed_end = end > 0 && (rest()[end - 1] == '-' || rest()[end - 1] == '+');
    advance(end - (signed_end ? 1 : 0));
    read_end("#}", true);
  }

  /// After "{%": true when this is a raw block, which is then read whole.
  bool read_raw() {
    const auto [saved_at, saved_line] = std::pair(at_, line_);
    const bool saved_starting = line_starting_;
    skip_spaces();
    if (next_is("raw")) {
      advance(3);
      skip_spaces();
      if (read_end("%}", false)) {
        read_raw_body();
        return true;
      }
    }
    at_ = saved_at, line_ = saved_line, line_starting_ = saved_starting;
    return false;
  }

  void read_raw_body() {
    const size_t body = at_;
    for (size_t begin = at_; (begin = source_.find("{%", begin)) != std::string::npos; ++begin) {
      size_t inside = begin + 2;
      const char sign = inside < source_.size() ? source_[inside] : '\0';
      if (sign == '-' || sign == '+') ++inside;
      inside = std::min(source_.find_first_not_of(" \t\n\f\v", inside), source_.size());
      if (source_.compare(inside, 6, "endraw") != 0) continue;
      const size_t end = std::min(source_.find_first_not_of(" \t\n\f\v", inside + 6), source_.size());
      const std::string_view after = std::string_view(source_).substr(end);
      if (!after.starts_with("%}") && !after.starts_with("-%}") && !after.starts_with("+%}")) continue;
      push_data(stripped(std::string_view(source_).substr(body, begin - body), sign, false));
      advance(end - body);
      read_end("%}", true);
      return;
    }
    fail_here("a raw block has no end; close it with {{% endraw %}}");
  }

  void read_code(std::string_view mark, TokenKind end_kind) {
    std::string closers;
    while (true) {
      skip_spaces();
      if (at_ == source_.size())
        fail_here("the template ends within {} ... {}", mark == "}}" ? "{{" : "{%", mark);
      if (closers.empty()) {
        const uint32_t line = line_;
        if (read_end(mark, mark == "%}")) {
          tokens_.push_back({end_kind, line, std::string(mark)});
          return;
        }
      }
      read_token(closers);
    }
  }

  void read_token(std::string& closers) {
    const char c = source_[at_];
    if (is_digit(c)) return read_number();
    if (c == '"' || c == '\'') return read_string();
    if (is_name_start(c)) {
      size_t end = at_;
      while (end < source_.size() && (is_name_start(source_[end]) || is_digit(source_[end]))) ++end;
      push(TokenKind::kName, source_.substr(at_, end - at_));
      return advance(end - at_);
    }
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
      if (!next_is(two)) continue;
      push(TokenKind::kOperator, std::string(two));
      return advance(2);
    }
    constexpr std::string_view kOpen = "([{", kClose = ")]}", kOther = "+-*/%~><=.:|,;";
    if (const size_t open = kOpen.find(c); open != std::string_view::npos) {
      closers += kClose[open];
    } else if (kClose.find(c) != std::string_view::npos) {
      if (closers.empty()) fail_here("unexpected \"{}\"", c);
      if (closers.back() != c) fail_here("unexpected \"{}\", expected \"{}\"", c, closers.back());
      closers.pop_back();
    } else if (kOther.find(c) == std::string_view::npos) {
      fail_here("unexpected character \"{}\"", c);
    }
    push(TokenKind::kOperator, std::string(1, c));
    advance(1);
  }

  /// The end of digits with single underscores between them.
  size_t digits_end(size_t begin, std::string_view digits) const {
    size_t end = begin;
    while (end < source_.size() && (digits.find(source_[end]) != std::string_view::npos ||
                                    (source_[end] == '_' && end > begin && end + 1 < source_.size() &&
                                     digits.find(source_[end + 1]) != std::string_view::npos))) {
      ++end;
    }
    return end;
  }

  void read_number() {
    size_t end = digits_end(at_, kDigits);
    int base = 10;
    const char second = at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : '\0';
    if (source_[at_] == '0' && (second == 'x' || second == 'o' || second == 'b')) {
      base = second == 'x' ? 16 : second == 'o' ? 8 : 2;
      const std::string_view digits = std::string_view("0123456789abcdefABCDEF");
      end = digits_end(at_ + 2, base == 16 ? digits : digits.substr(0, static_cast<size_t>(base)));
    }
    bool real = false;
    const bool may_be_real = base == 10 && (at_ == 0 || source_[at_ - 1] != '.');
    if (may_be_real && end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) {
      end = digits_end(end + 1, kDigits);
      real = true;
    }
    if (may_be_real && end < source_.size() && (source_[end] | 0x20) == 'e') {
      const size_t sign =
          end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-') ? 1 : 0;
      const size_t exponent = digits_end(end + 1 + sign, kDigits);
      if (exponent > end + 1 + sign) end = exponent, real = true;
    }
    std::string digits = source_.substr(at_, end - at_);
    std::erase(digits, '_');
    Token token{real ? TokenKind::kFloat : TokenKind::kInteger, line_, digits};
    const char* const first = digits.data() + (base == 10 ? 0 : 2);
    const char* const last = digits.data() + digits.size();
    const auto result =
        real ? std::from_chars(first, last, token.real) : std::from_chars(first, last, token.integer, base);
    if (result.ec != std::errc()) fail_here("the number {} is not between those of 64 bits", digits);
    tokens_.push_back(std::move(token));
    advance(end - at_);
  }

  void read_string() {
    const char quote = source_[at_];
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail_here("a text that begins with {} has no end", quote);
    push(TokenKind::kString, decoded(std::string_view(source_).substr(at_ + 1, end - at_ - 1)));
    advance(end + 1 - at_);
  }

  /// Python's escapes.
  std::string decoded(std::string_view text) const {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      const char c = text[++i];
      constexpr std::string_view kNames = "abfnrtv\\'\"", kValues = "\a\b\f\n\r\t\v\\'\"";
      if (const size_t known = kNames.find(c); known != std::string_view::npos) {
        out += kValues[known];
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        append_escape(text.substr(i + 1, digits), digits, 16, out);
        i += digits;
      } else if (c >= '0' && c <= '7') {
        const size_t digits =
            std::min(text.find_first_not_of("01234567", i), std::min(i + 3, text.size())) - i;
        append_escape(text.substr(i, digits), digits, 8, out);
        i += digits - 1;
      } else if (c == 'N') {
        fail_here("a character by its Unicode name is not known here; write it itself");
      } else if (c != '\n') {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  void append_escape(std::string_view digits, size_t wanted, int base, std::string& out) const {
    uint32_t value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (result.ec != std::errc() || result.ptr != digits.data() + wanted || value > 0x10FFFF ||
        (value >= 0xD800 && value < 0xE000)) {
      fail_here("the escape \\...{} is no character", digits);
    }
    append_utf8(out, value);
  }

  std::string source_;
  const std::string& name_;
  size_t at_ = 0;
  uint32_t line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, const std::string& name) {
  return Lexer(source, name).run();
}

}  // namespace wattle::jinja
