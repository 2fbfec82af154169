#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"
#include "jinja/format.h"
#include "jinja/functions.h"
#include "jinja/operators.h"

namespace wattle::jinja {
namespace {

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_cased(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL || kind == UTF8PROC_CATEGORY_LT;
}
bool is_letter(char32_t c) {
  const auto kind = category(c);
  return is_cased(c) || kind == UTF8PROC_CATEGORY_LM || kind == UTF8PROC_CATEGORY_LO;
}

enum class Case { kUpper, kLower, kTitle };

/// Characters whose other case is several (Unicode's SpecialCasing), those of Latin scripts.
struct SpecialCase {
  char32_t character;
  std::string_view upper, title;
};
constexpr SpecialCase kSpecialCases[] = {{U'\u00DF', "SS", "Ss"},           {U'\u0149', "\u02BCN", "\u02BCN"},
                                         {U'\u01F0', "J\u030C", "J\u030C"}, {U'\uFB00', "FF", "Ff"},
                                         {U'\uFB01', "FI", "Fi"},           {U'\uFB02', "FL", "Fl"},
                                         {U'\uFB03', "FFI", "Ffi"},         {U'\uFB04', "FFL", "Ffl"},
                                         {U'\uFB05', "ST", "St"},           {U'\uFB06', "ST", "St"}};

void append_in_case(char32_t c, Case wanted, Source source, Text& out) {
  const auto value = static_cast<utf8proc_int32_t>(c);
  if (wanted == Case::kLower) {
    out.append_character(static_cast<char32_t>(utf8proc_tolower(value)), source);
    if (c == U'\u0130') out.append("\u0307", source);
    return;
  }
  for (const SpecialCase& special : kSpecialCases) {
    if (special.character == c)
      return out.append(wanted == Case::kUpper ? special.upper : special.title, source);
  }
  out.append_character(
      static_cast<char32_t>(wanted == Case::kUpper ? utf8proc_toupper(value) : utf8proc_totitle(value)),
      source);
}

/// The text with each character in the case that `choose(previous is cased, character)` gives.
template <typename Choose>
Text in_case(const Text& text, const Choose& choose) {
  Text out;
  const std::string_view bytes = text.bytes();
  bool after_cased = false;
  for (size_t i = 0; i < bytes.size();) {
    const DecodedCharacter c = decode_utf8(bytes, i);
    const Case wanted = choose(after_cased, c.value);
    const size_t next = i + c.bytes;
    // A sigma that ends a word is small in its own form.
    const bool ends_word = next >= bytes.size() || !is_letter(decode_utf8(bytes, next).value);
    const bool final_sigma = c.value == U'\u03A3' && wanted == Case::kLower && after_cased && ends_word;
    final_sigma ? out.append("\u03C2", text.source_at(i))
                : append_in_case(c.value, wanted, text.source_at(i), out);
    after_cased = is_cased(c.value);
    i = next;
  }
  return out;
}

/// Whether all characters are of a kind, and there is one.
template <typename Is>
Value all_are(const Value& subject, const Is& is) {
  const std::string_view bytes = subject.bytes();
  for (size_t i = 0; i < bytes.size();) {
    const DecodedCharacter c = decode_utf8(bytes, i);
    if (!is(c.value)) return Value::of_bool(false);
    i += c.bytes;
  }
  return Value::of_bool(!bytes.empty());
}

bool is_decimal(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_ND;
}
bool is_numeric(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_NO;
}

bool in_one_case(std::string_view text, utf8proc_category_t wanted, utf8proc_category_t other) {
  bool found = false;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter c = decode_utf8(text, i);
    const auto kind = category(c.value);
    if (kind == other || kind == UTF8PROC_CATEGORY_LT) return false;
    found |= kind == wanted;
    i += c.bytes;
  }
  return found;
}

// --- methods ---

Value stripped(Interpreter& in, const Value& subject, const Bound& arguments, bool left, bool right) {
  return in.text(strip(subject.text(), arguments.given(0) ? arguments.text(0) : "", left, right));
}

/// startswith and endswith: a text or a tuple of them.
template <typename Matches>
Value any_affix(Interpreter& in, const Bound& arguments, const Matches& matches) {
  const Value wanted = arguments.value(0);
  if (wanted.is(Kind::kText)) return Value::of_bool(matches(wanted.bytes()));
  need_defined(in, wanted);
  if (!wanted.is(Kind::kList) || wanted.list().kind != ListKind::kTuple) {
    in.fail("\"{}\" wants a text or a tuple of texts, not a {}", arguments.name, type_name(wanted));
  }
  for (const Value& item : wanted.list().items) {
    if (item.is(Kind::kText) && matches(item.bytes())) return Value::of_bool(true);
  }
  return Value::of_bool(false);
}

/// The part of the subject that optional arguments `start` and `end` (from place `first`) leave, and where it
/// begins.
std::pair<std::string_view, int64_t> window(const Value& subject, const Bound& arguments, size_t first) {
  const std::string_view bytes = subject.bytes();
  if (!arguments.given(first) && !arguments.given(first + 1)) return {bytes, 0};
  const auto length = static_cast<int64_t>(count_characters(bytes));
  const auto bound = [&](size_t i, int64_t otherwise) {
    const int64_t at = arguments.given(i) ? arguments.integer(i, 0) : otherwise;
    return std::clamp<int64_t>(at < 0 ? at + length : at, 0, length);
  };
  const int64_t begin = bound(first, 0), end = std::max(bound(first + 1, length), begin);
  const size_t from = byte_of_character(bytes, static_cast<size_t>(begin));
  const size_t to = byte_of_character(bytes, static_cast<size_t>(end));
  return {bytes.substr(from, to - from), begin};
}

int64_t found_at(Interpreter& in, const Value& subject, const Bound& arguments, bool last) {
  const auto [part, offset] = window(subject, arguments, 1);
  in.charge(static_cast<int64_t>(part.size()) / 64);
  const size_t at = last ? part.rfind(arguments.text(0)) : part.find(arguments.text(0));
  if (at == std::string_view::npos) return -1;
  return offset + static_cast<int64_t>(count_characters(part.substr(0, at)));
}

int64_t index_of(Interpreter& in, const Value& subject, const Bound& arguments, bool last) {
  const int64_t found = found_at(in, subject, arguments, last);
  if (found < 0) in.fail("\"{}\" does not find its text", arguments.name);
  return found;
}

Value count(Interpreter& in, const Value& subject, const Bound& arguments) {
  const auto [part, offset] = window(subject, arguments, 1);
  const std::string_view wanted = arguments.text(0);
  in.charge(static_cast<int64_t>(part.size()) / 64);
  if (wanted.empty()) return Value::of_integer(static_cast<int64_t>(count_characters(part)) + 1);
  int64_t found = 0;
  for (size_t i = 0; (i = part.find(wanted, i)) != std::string_view::npos; i += wanted.size()) ++found;
  return Value::of_integer(found);
}

Value split_by(Interpreter& in, const Value& subject, const Bound& arguments, bool from_right) {
  const Value separator = arguments.value(0);
  if (arguments.given(0) && arguments.text(0).empty())
    in.fail("\"{}\" got an empty separator", arguments.name);
  return in.list(split(in, subject.text(), arguments.given(0) ? &separator.text() : nullptr,
                       arguments.integer(1, -1), from_right));
}

Value partition(Interpreter& in, const Value& subject, const Bound& arguments, bool last) {
  const std::string_view bytes = subject.bytes(), separator = arguments.text(0);
  if (separator.empty()) in.fail("\"{}\" got an empty separator", arguments.name);
  const size_t at = last ? bytes.rfind(separator) : bytes.find(separator);
  if (at == std::string_view::npos) {
    return last ? in.tuple({in.text(""), in.text(""), subject})
                : in.tuple({subject, in.text(""), in.text("")});
  }
  const Text& text = subject.text();
  return in.tuple({in.text(text.part(0, at)), in.text(text.part(at, at + separator.size())),
                   in.text(text.part(at + separator.size(), text.size()))});
}

/// The width that a text is padded to, checked against the limits before anything is made.
int64_t checked_width(Interpreter& in, const Bound& arguments, size_t place, int64_t otherwise) {
  const int64_t width = std::max<int64_t>(arguments.integer(place, otherwise), 0);
  in.charge_bytes(static_cast<size_t>(width));
  return width;
}

Value justified(Interpreter& in, const Value& subject, const Bound& arguments, bool left) {
  const int64_t width = checked_width(in, arguments, 0, 0);
  const std::string_view fill = arguments.text(1, " ");
  const Text& text = subject.text();
  Text padding;
  for (auto i = static_cast<int64_t>(count_characters(text.bytes())); i < width; ++i) padding.append(fill);
  Text out = left ? text : padding;
  out.append(left ? padding : text);
  return in.text(std::move(out));
}

Value zfill(Interpreter& in, const Value& subject, const Bound& arguments) {
  const int64_t width = checked_width(in, arguments, 0, 0);
  const Text& text = subject.text();
  const size_t sign = !text.empty() && (text.bytes()[0] == '-' || text.bytes()[0] == '+') ? 1 : 0;
  Text out = text.part(0, sign);
  for (auto i = static_cast<int64_t>(count_characters(text.bytes())); i < width; ++i) out.append("0");
  out.append(text, sign, text.size());
  return in.text(std::move(out));
}

Value without_affix(Interpreter& in, const Value& subject, const Bound& arguments, bool prefix) {
  const std::string_view affix = arguments.text(0), bytes = subject.bytes();
  const Text& text = subject.text();
  if (prefix && bytes.starts_with(affix)) return in.text(text.part(affix.size(), text.size()));
  if (!prefix && bytes.ends_with(affix)) return in.text(text.part(0, text.size() - affix.size()));
  return subject;
}

Value expand_tabs(Interpreter& in, const Value& subject, const Bound& arguments) {
  const int64_t size = std::max<int64_t>(arguments.integer(0, 8), 0);
  const Text& text = subject.text();
  Text out;
  int64_t column = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    if (c == '\t') {
      const int64_t spaces = size == 0 ? 0 : size - column % size;
      in.charge_bytes(static_cast<size_t>(spaces));
      out.append(std::string(static_cast<size_t>(spaces), ' '), text.source_at(i));
      column += spaces;
    } else {
      out.append(text, i, i + 1);
      column = c == '\n' || c == '\r' ? 0 : column + ((static_cast<uint8_t>(c) & 0xC0) != 0x80 ? 1 : 0);
    }
  }
  return in.text(std::move(out));
}

Value swap_case(Interpreter& in, const Value& subject, const Bound&) {
  return in.text(in_case(subject.text(), [](bool, char32_t c) {
    return category(c) == UTF8PROC_CATEGORY_LU ? Case::kLower : Case::kUpper;
  }));
}

Value title(Interpreter& in, const Value& subject, const Bound&) {
  return in.text(
      in_case(subject.text(), [](bool after, char32_t) { return after ? Case::kLower : Case::kTitle; }));
}

Value is_title(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value titled = title(in, subject, arguments);
  const bool cased = is_true(all_are(subject, [](char32_t c) { return !is_cased(c); }));
  return Value::of_bool(!cased && !subject.text().empty() && titled.bytes() == subject.bytes());
}

#define METHOD(...) [](Interpreter& in, const Value& subject, const Bound& arguments) -> Value { __VA_ARGS__ }

const Function kTextMethods[] = {
    {"strip", METHOD(return stripped(in, subject, arguments, true, true);), {"chars?"}},
    {"lstrip", METHOD(return stripped(in, subject, arguments, true, false);), {"chars?"}},
    {"rstrip", METHOD(return stripped(in, subject, arguments, false, true);), {"chars?"}},
    {"split", METHOD(return split_by(in, subject, arguments, false);), {"sep?", "maxsplit?"}},
    {"rsplit", METHOD(return split_by(in, subject, arguments, true);), {"sep?", "maxsplit?"}},
    {"splitlines",
     METHOD(return in.list(split_lines(in, subject.text(), arguments.flag(0, false)));),
     {"keepends?"}},
    {"partition", METHOD(return partition(in, subject, arguments, false);), {"sep"}},
    {"rpartition", METHOD(return partition(in, subject, arguments, true);), {"sep"}},
    {"startswith",
     METHOD(const auto part = window(subject, arguments, 1).first; return any_affix(
                in, arguments, [&](std::string_view affix) { return part.starts_with(affix); });),
     {"prefix", "start?", "end?"}},
    {"endswith",
     METHOD(const auto part = window(subject, arguments, 1).first;
            return any_affix(in, arguments, [&](std::string_view affix) { return part.ends_with(affix); });),
     {"suffix", "start?", "end?"}},
    {"removeprefix", METHOD(return without_affix(in, subject, arguments, true);), {"prefix"}},
    {"removesuffix", METHOD(return without_affix(in, subject, arguments, false);), {"suffix"}},
    {"upper", METHOD(return in.text(upper(subject.text()));)},
    {"lower", METHOD(return in.text(lower(subject.text()));)},
    {"casefold", METHOD(return in.text(lower(subject.text()));)},
    {"capitalize", METHOD(return in.text(capitalized(subject.text()));)},
    {"title", title},
    {"swapcase", swap_case},
    {"replace",
     METHOD(arguments.text(0); arguments.text(1);
            return in.text(replaced(in, subject.text(), arguments.value(0).text(), arguments.value(1).text(),
                                    arguments.integer(2, -1)));),
     {"old", "new", "count?"}},
    {"find",
     METHOD(return Value::of_integer(found_at(in, subject, arguments, false));),
     {"sub", "start?", "end?"}},
    {"rfind",
     METHOD(return Value::of_integer(found_at(in, subject, arguments, true));),
     {"sub", "start?", "end?"}},
    {"index",
     METHOD(return Value::of_integer(index_of(in, subject, arguments, false));),
     {"sub", "start?", "end?"}},
    {"rindex",
     METHOD(return Value::of_integer(index_of(in, subject, arguments, true));),
     {"sub", "start?", "end?"}},
    {"count", count, {"sub", "start?", "end?"}},
    {"join",
     METHOD(const auto items = elements(in, arguments.value(0)); for (const Value& item
                                                                      : items) {
       if (!item.is(Kind::kText)) in.fail("join takes texts, not a {}", type_name(item));
     } return in.text(joined_by(in, subject.text(), items));),
     {"iterable"}},
    {"format", METHOD(return in.text(brace_format(in, subject.text(), arguments.all));), {"*"}},
    {"center",
     METHOD(return in.text(
         centered(in, subject.text(), checked_width(in, arguments, 0, 0), arguments.text(1, " ")));),
     {"width", "fillchar?"}},
    {"ljust", METHOD(return justified(in, subject, arguments, true);), {"width", "fillchar?"}},
    {"rjust", METHOD(return justified(in, subject, arguments, false);), {"width", "fillchar?"}},
    {"zfill", zfill, {"width"}},
    {"expandtabs", expand_tabs, {"tabsize?"}},
    {"isspace", METHOD(return all_are(subject, is_space);)},
    {"isalpha", METHOD(return all_are(subject, is_letter);)},
    {"isalnum", METHOD(return all_are(subject, [](char32_t c) { return is_letter(c) || is_numeric(c); });)},
    {"isdigit", METHOD(return all_are(subject, is_decimal);)},
    {"isdecimal", METHOD(return all_are(subject, is_decimal);)},
    {"isnumeric", METHOD(return all_are(subject, is_numeric);)},
    {"isascii", METHOD(return Value::of_bool(is_ascii(subject.bytes()));)},
    {"isupper", METHOD(return Value::of_bool(is_upper(subject.bytes()));)},
    {"islower", METHOD(return Value::of_bool(is_lower(subject.bytes()));)},
    {"istitle", is_title},
};

#undef METHOD

}  // namespace

std::span<const Function> text_methods() {
  return kTextMethods;
}

Value as_text(Interpreter& interpreter, const Value& value) {
  return value.is(Kind::kText) ? value : interpreter.text(to_text(interpreter, value));
}

Text upper(const Text& text) {
  return in_case(text, [](bool, char32_t) { return Case::kUpper; });
}
Text lower(const Text& text) {
  return in_case(text, [](bool, char32_t) { return Case::kLower; });
}

Text capitalized(const Text& text) {
  bool first = true;
  return in_case(text,
                 [&](bool, char32_t) { return std::exchange(first, false) ? Case::kTitle : Case::kLower; });
}

bool is_upper(std::string_view text) {
  return in_one_case(text, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL);
}
bool is_lower(std::string_view text) {
  return in_one_case(text, UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LU);
}

Text replaced(Interpreter& interpreter, const Text& text, const Text& from, const Text& to, int64_t count) {
  Text out;
  const std::string_view bytes = text.bytes();
  size_t begin = 0;
  interpreter.charge(static_cast<int64_t>(bytes.size()) / 64);
  while (count != 0) {
    // An empty text is found before every character and at the end.
    const bool at_end = from.empty() && begin > bytes.size();
    const size_t found = at_end ? std::string_view::npos : bytes.find(from.bytes(), begin);
    if (found == std::string_view::npos) break;
    interpreter.charge_bytes(to.size() + 1);
    out.append(text, begin, found);
    out.append(to);
    begin = found + from.size();
    if (from.empty()) {
      const size_t next = begin < bytes.size() ? begin + decode_utf8(bytes, begin).bytes : begin + 1;
      out.append(text, begin, std::min(next, bytes.size()));
      begin = next;
    }
    --count;
  }
  if (begin < bytes.size()) out.append(text, begin, bytes.size());
  return out;
}

namespace {

/// [begin, end) of the words between white space.
std::vector<std::pair<size_t, size_t>> words_of(std::string_view bytes) {
  std::vector<std::pair<size_t, size_t>> words;
  bool inside = false;
  for (size_t i = 0; i < bytes.size();) {
    const DecodedCharacter c = decode_utf8(bytes, i);
    const bool space = is_space(c.value);
    if (!space && !inside) words.emplace_back(i, i);
    inside = !space;
    i += c.bytes;
    if (inside) words.back().second = i;
  }
  return words;
}

/// Parts between separators, where at most `most` of them count, from the left or the right.
std::vector<std::pair<size_t, size_t>> parts_of(std::string_view bytes, std::string_view separator,
                                                size_t most, bool from_right) {
  std::vector<size_t> places;
  if (from_right) {
    size_t end = bytes.size();
    while (places.size() < most && end >= separator.size()) {
      const size_t at = bytes.rfind(separator, end - separator.size());
      if (at == std::string_view::npos) break;
      places.push_back(at);
      end = at;
    }
    std::reverse(places.begin(), places.end());
  } else {
    for (size_t i = 0; places.size() < most && (i = bytes.find(separator, i)) != std::string_view::npos;) {
      places.push_back(i);
      i += separator.size();
    }
  }
  std::vector<std::pair<size_t, size_t>> parts;
  size_t begin = 0;
  for (const size_t place : places) {
    parts.emplace_back(begin, place);
    begin = place + separator.size();
  }
  parts.emplace_back(begin, bytes.size());
  return parts;
}

}  // namespace

std::vector<Value> split(Interpreter& interpreter, const Text& text, const Text* separator, int64_t most,
                         bool from_right) {
  const std::string_view bytes = text.bytes();
  interpreter.charge(static_cast<int64_t>(bytes.size()) / 64);
  const size_t limit = most < 0 ? bytes.size() + 1 : static_cast<size_t>(most);
  std::vector<std::pair<size_t, size_t>> parts;
  if (separator != nullptr) {
    parts = parts_of(bytes, separator->bytes(), limit, from_right);
  } else {
    parts = words_of(bytes);
    if (parts.size() > limit) {
      // What is not split any more keeps its white space on the side that is not cut.
      if (from_right) {
        const size_t end = parts[parts.size() - limit - 1].second;
        parts.erase(parts.begin(), parts.end() - static_cast<ptrdiff_t>(limit));
        parts.insert(parts.begin(), {0, end});
      } else {
        parts.resize(limit + 1);
        parts.back().second = bytes.size();
      }
    }
  }
  std::vector<Value> values;
  for (const auto& [begin, end] : parts) values.push_back(interpreter.text(text.part(begin, end)));
  return values;
}

std::vector<Value> split_lines(Interpreter& interpreter, const Text& text, bool keep_ends) {
  const std::string_view bytes = text.bytes();
  std::vector<Value> lines;
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size();) {
    const DecodedCharacter c = decode_utf8(bytes, i);
    size_t next = i + c.bytes;
    const bool ends = (c.value >= 0x0A && c.value <= 0x0D) || (c.value >= 0x1C && c.value <= 0x1E) ||
                      c.value == 0x85 || c.value == 0x2028 || c.value == 0x2029;
    if (ends) {
      if (c.value == U'\r' && next < bytes.size() && bytes[next] == '\n') ++next;
      lines.push_back(interpreter.text(text.part(begin, keep_ends ? next : i)));
      begin = next;
    }
    i = next;
  }
  if (begin < bytes.size()) lines.push_back(interpreter.text(text.part(begin, bytes.size())));
  return lines;
}

Text centered(Interpreter&, const Text& text, int64_t width, std::string_view fill) {
  const auto length = static_cast<int64_t>(count_characters(text.bytes()));
  const int64_t missing = std::max<int64_t>(width - length, 0);
  // Python gives the odd one to the left where the width is odd.
  const int64_t left = missing / 2 + (missing & width & 1);
  Text out;
  for (int64_t i = 0; i < left; ++i) out.append(fill);
  out.append(text);
  for (int64_t i = left; i < missing; ++i) out.append(fill);
  return out;
}

Text joined_by(Interpreter& interpreter, const Text& separator, const std::vector<Value>& items) {
  Text out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(separator);
    const size_t before = out.size();
    out.append(to_text(interpreter, items[i]));
    interpreter.charge_bytes(out.size() - before + separator.size());
  }
  return out;
}

}  // namespace wattle::jinja
