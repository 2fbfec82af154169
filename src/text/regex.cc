#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

#include <wattle/error.h>

#include "base/utf8.h"
#include "text/unicode.h"

namespace wattle::inline text {
namespace {

constexpr size_t kLongestPattern = 32 * 1024;
constexpr uint32_t kMostSteps = 2'000'000;  // of one match; published patterns take a few a character
constexpr uint32_t kMostHeap = 64 * 1024;   // KiB

// White_Space spelt out: PCRE2's own \s takes U+180E as well, and a property is slower than ranges.
constexpr std::string_view kSpaces =
    R"(\t-\r\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
// Oniguruma's: UTS 18, annex C, and the numbers of Latin-1; PCRE2's own \w has no marks.
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})";

/// What a letter after a backslash stands for, outside and inside a character class; empty: as PCRE2 has it.
struct Escape {
  char letter;
  std::string outside, inside;
};
const Escape* find_escape(char letter) {
  const auto in = [](std::string_view set) { return "[" + std::string(set) + "]"; };
  const auto out = [](std::string_view set) { return "[^" + std::string(set) + "]"; };
  static const std::string word = in(kWord);
  static const Escape escapes[] = {
      {'s', in(kSpaces), std::string(kSpaces)},
      {'S', out(kSpaces), R"(\P{White_Space})"},
      {'w', word, std::string(kWord)},
      {'W', out(kWord), {}},
      {'d', R"(\p{Nd})", R"(\p{Nd})"},
      {'D', R"(\P{Nd})", R"(\P{Nd})"},
      {'h', "[0-9A-Fa-f]", "0-9A-Fa-f"},  // Oniguruma: a hexadecimal digit
      {'H', "[^0-9A-Fa-f]", {}},
      {'b', "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))", R"(\x08)"},
      {'B', "(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + "))", {}},
  };
  for (const Escape& escape : escapes) {
    if (escape.letter == letter) return &escape;
  }
  return nullptr;
}

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& origin) : pattern_(pattern), origin_(origin) {}

  std::string run() {
    while (place_ < pattern_.size()) {
      if (pattern_[place_] == '\\') {
        escape();
      } else {
        plain();
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail("{}: the pattern \"{}\" uses {}, which is not known here; use another model", origin_,
         repaired_utf8(pattern_.substr(0, 200)), what);
  }

  void escape() {
    if (place_ + 1 >= pattern_.size()) refuse("a backslash at its end");
    const char letter = pattern_[place_ + 1];
    constexpr std::string_view kUnknown = "CEGKMOQRXYgkNcy";
    if (kUnknown.find(letter) != std::string_view::npos) refuse(std::string("\\") + letter);
    const Escape* const known = find_escape(letter);
    if (known != nullptr) {
      const std::string& text = in_class_ ? known->inside : known->outside;
      if (text.empty()) refuse(std::string("\\") + letter + " in a class");
      out_ += text;
    } else {
      out_.append(pattern_, place_, 2);
    }
    place_ += 2;
  }

  void plain() {
    const char c = pattern_[place_];
    const std::string_view rest = pattern_.substr(place_);
    if (in_class_) {
      // Oniguruma nests classes and intersects them; PCRE2 does neither, and a nested one is written out.
      if (rest.starts_with("&&")) refuse("an intersection of classes");
      if (rest.starts_with("[:")) return posix_class(rest);
      if (rest.starts_with("[^")) refuse("a negated class within a class");
      if (c == '[' || (c == ']' && nested_ > 0)) {
        nested_ += c == '[' ? 1 : -1;
        ++place_;
        return;
      }
      if (c == ']' && place_ > class_begin_) in_class_ = false;
    } else if (c == '[') {
      in_class_ = true;
      class_begin_ = place_ + (rest.starts_with("[^") ? 2 : 1);
      if (rest.starts_with("[^")) out_ += c, ++place_;
    } else if (rest.starts_with("(*") || rest.starts_with("(?(") || rest.starts_with("(?C") ||
               rest.starts_with("(?R") || rest.starts_with("(?&") || rest.starts_with("(?P>")) {
      refuse("a verb, a condition, a callout or a recursion");
    }
    out_ += pattern_[place_++];
  }

  void posix_class(std::string_view rest) {
    const size_t end = rest.find(":]");
    if (end == std::string_view::npos) refuse("an unfinished class");
    out_ += rest.substr(0, end + 2);
    place_ += end + 2;
  }

  std::string_view pattern_;
  const std::string& origin_;
  std::string out_;
  size_t place_ = 0, class_begin_ = 0;
  int nested_ = 0;
  bool in_class_ = false;
};

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};

}  // namespace

struct Regex::Compiled {
  std::unique_ptr<pcre2_code, Freed<pcre2_code_free>> code;
  std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>> limits;

  /// PCRE2's answer; `span` gets the match.
  int match(std::string_view text, size_t from, uint32_t options, pcre2_match_data* data) const {
    const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    options |= PCRE2_NO_UTF_CHECK;
    const int found = pcre2_match(code.get(), subject, text.size(), from, options, data, limits.get());
    if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
    // The interpreter keeps its steps on the heap.
    return pcre2_match(code.get(), subject, text.size(), from, options | PCRE2_NO_JIT, data, limits.get());
  }
};

Regex::Regex(std::string_view pattern, std::string origin)
    : compiled_(std::make_unique<Compiled>()), origin_(std::move(origin)) {
  if (pattern.size() > kLongestPattern) {
    fail("{}: a pattern of {} bytes is longer than the {} that are read; get the file again", origin_,
         pattern.size(), kLongestPattern);
  }
  const std::string text = Translator(pattern, origin_).run();
  const std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context_free>> context(
      pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE where = 0;
  compiled_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                      &error, &where, context.get()));
  if (compiled_->code == nullptr) {
    PCRE2_UCHAR message[200] = {};
    pcre2_get_error_message(error, message, sizeof message);
    fail("{}: the pattern \"{}\" does not compile: {}; get the file again", origin_,
         repaired_utf8(pattern.substr(0, 200)), reinterpret_cast<const char*>(message));
  }
  // Without just-in-time compilation (some processors have none) the same matches come, slower.
  pcre2_jit_compile(compiled_->code.get(), PCRE2_JIT_COMPLETE);
  compiled_->limits.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(compiled_->limits.get(), kMostSteps);
  pcre2_set_heap_limit(compiled_->limits.get(), kMostHeap);
}

Regex Regex::of_literal(std::string_view text, std::string origin) {
  std::string pattern;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    const bool plain =
        byte >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    pattern += plain ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return Regex(pattern, std::move(origin));
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

void Regex::for_each_match(std::string_view text, const std::function<void(size_t, size_t)>& found) const {
  const std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>> data(
      pcre2_match_data_create(1, nullptr));
  const PCRE2_SIZE* const span = pcre2_get_ovector_pointer(data.get());
  constexpr size_t kNone = ~size_t{0};
  size_t last_end = kNone;
  for (size_t position = 0; position <= text.size();) {
    const int result = compiled_->match(text, position, 0, data.get());
    if (result == PCRE2_ERROR_NOMATCH) return;
    if (result < 0) {
      fail(
          "{}: a text of {} bytes is too hard to cut into words at byte {} (PCRE2 error {}); shorten the "
          "text",
          origin_, text.size(), position, result);
    }
    const size_t begin = span[0], end = span[1];
    if (begin > end)
      fail("{}: a pattern matches backwards; get the file again", origin_);  // by \K in a lookahead
    if (begin == end && end == last_end) {
      if (position >= text.size()) return;
      position += decode_utf8(text, position).bytes;
      continue;
    }
    found(begin, end);
    position = last_end = end;
  }
}

bool Regex::matches_whole(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>> data(
      pcre2_match_data_create(1, nullptr));
  return compiled_->match(text, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, data.get()) >= 0;
}

}  // namespace wattle::inline text
