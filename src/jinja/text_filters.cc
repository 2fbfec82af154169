// Jinja2's filters that make a text.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/utf8.h"
#include "jinja/format.h"
#include "jinja/functions.h"
#include "jinja/operators.h"

namespace wattle::jinja {
namespace {

Value trim(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value text = as_text(in, subject);
  return in.text(strip(text.text(), arguments.given(0) ? arguments.text(0) : "", true, true));
}

/// Words begin after white space, hyphens and opening brackets; each is capitalised.
Value title(Interpreter& in, const Value& subject, const Bound&) {
  const Value held = as_text(in, subject);
  const Text& text = held.text();
  Text out;
  size_t begin = 0;
  const auto flush = [&](size_t end) {
    const size_t first = begin < end ? begin + decode_utf8(text.bytes(), begin).bytes : end;
    out.append(upper(text.part(begin, first)));
    out.append(lower(text.part(first, end)));
    begin = end;
  };
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter c = decode_utf8(text.bytes(), i);
    const bool separates = is_space(c.value) || (c.value < 0x80 && c.value != 0 &&
                                                 std::strchr("-({[<", static_cast<char>(c.value)));
    if (separates) {
      flush(i);
      out.append(text, i, i + c.bytes);
      begin = i + c.bytes;
    }
    i += c.bytes;
  }
  flush(text.size());
  return in.text(std::move(out));
}

Value replace(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value from = as_text(in, arguments.value(0)), to = as_text(in, arguments.value(1));
  const int64_t count = arguments.given(2) ? arguments.integer(2, -1) : -1;
  return in.text(replaced(in, as_text(in, subject).text(), from.text(), to.text(), count));
}

Value indent(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value text = as_text(in, subject);
  const Value width = arguments.value(0, Value::of_integer(4));
  std::string space;
  if (width.is(Kind::kText)) {
    space = width.bytes();
  } else {
    const int64_t count = std::max<int64_t>(arguments.integer(0, 4), 0);
    in.charge_bytes(static_cast<size_t>(count));
    space.assign(static_cast<size_t>(count), ' ');
  }
  const bool first = arguments.flag(1, false), blank = arguments.flag(2, false);
  Text with_end = text.text();
  with_end.append("\n");
  std::vector<Value> lines = split_lines(in, with_end, false);
  Text out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append("\n");
    in.charge_bytes(space.size() + lines[i].text().size());
    if (i == 0 ? first : blank || !lines[i].text().empty()) out.append(space);
    out.append(lines[i].text());
  }
  return in.text(std::move(out));
}

Value tojson(Interpreter& in, const Value& subject, const Bound& arguments) {
  JsonStyle style;
  style.ensure_ascii = arguments.flag(0, false);
  style.sort_keys = arguments.flag(3, false);
  if (arguments.given(1)) {
    style.pretty = true;
    style.item_separator.assign(1, ',');
    if (arguments.value(1).is(Kind::kText)) {
      style.indent = arguments.text(1);
    } else {
      const int64_t width = std::max<int64_t>(arguments.integer(1, 0), 0);
      in.charge_bytes(static_cast<size_t>(width));
      style.indent.assign(static_cast<size_t>(width), ' ');
    }
  }
  if (arguments.given(2)) {
    const std::vector<Value> separators = elements(in, arguments.value(2));
    if (separators.size() != 2 || !separators[0].is(Kind::kText) || !separators[1].is(Kind::kText)) {
      in.fail("tojson's separators are two texts");
    }
    style.item_separator = separators[0].bytes();
    style.key_separator = separators[1].bytes();
  }
  return in.text(to_json(in, subject, style));
}

Value escape(Interpreter& in, const Value& subject, const Bound&) {
  const Value held = as_text(in, subject);
  const Text& text = held.text();
  Text out;
  for (size_t i = 0; i < text.size(); ++i) {
    constexpr std::string_view kCharacters = "&<>'\"";
    constexpr std::string_view kEscapes[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    const size_t found = kCharacters.find(text.bytes()[i]);
    if (found == std::string_view::npos) {
      out.append(text, i, i + 1);
    } else {
      out.append(kEscapes[found], text.source_at(i));
    }
  }
  return in.text(std::move(out));
}

Value urlencode_text(Interpreter& in, const Text& text, bool in_query) {
  Text out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("_.-~").find(c) != std::string_view::npos || (c == '/' && !in_query);
    const std::string escaped = c == ' ' && in_query ? "+" : fmt::format("%{:02X}", static_cast<uint8_t>(c));
    out.append(plain ? std::string(1, c) : escaped, text.source_at(i));
  }
  return in.text(std::move(out));
}

Value urlencode(Interpreter& in, const Value& subject, const Bound&) {
  if (!subject.is(Kind::kDict)) return urlencode_text(in, as_text(in, subject).text(), false);
  Text out;
  for (const auto& [key, value] : subject.dict().entries) {
    if (!out.empty()) out.append("&");
    out.append(urlencode_text(in, as_text(in, key).text(), true).text());
    out.append("=");
    out.append(urlencode_text(in, as_text(in, value).text(), true).text());
  }
  return in.text(std::move(out));
}

Value truncate(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value held = as_text(in, subject), ending = arguments.value(2, in.text("..."));
  const Text& text = held.text();
  const int64_t length = arguments.integer(0, 255), leeway = arguments.given(3) ? arguments.integer(3, 5) : 5;
  const auto whole = static_cast<int64_t>(count_characters(text.bytes()));
  if (whole <= length + leeway) return held;
  const int64_t kept = length - static_cast<int64_t>(count_characters(as_text(in, ending).bytes()));
  if (kept < 0) in.fail("truncate to {} characters leaves no room for the end", length);
  Text out = text.part(0, byte_of_character(text.bytes(), static_cast<size_t>(kept)));
  if (!arguments.flag(1, false)) {
    const size_t space = out.bytes().rfind(' ');
    if (space != std::string_view::npos) out = out.part(0, space);
  }
  out.append(as_text(in, ending).text());
  return in.text(std::move(out));
}

Value center(Interpreter& in, const Value& subject, const Bound& arguments) {
  const int64_t width = std::max<int64_t>(arguments.integer(0, 80), 0);
  in.charge_bytes(static_cast<size_t>(width));
  return in.text(centered(in, as_text(in, subject).text(), width, " "));
}

Value word_count(Interpreter& in, const Value& subject, const Bound&) {
  int64_t words = 0;
  bool inside = false;
  const Value held = as_text(in, subject);
  for (size_t i = 0; i < held.text().size();) {
    const DecodedCharacter c = decode_utf8(held.bytes(), i);
    const bool letter =
        !is_space(c.value) && (c.value >= 0x80 || std::isalnum(static_cast<int>(c.value)) || c.value == '_');
    words += letter && !inside ? 1 : 0;
    inside = letter;
    i += c.bytes;
  }
  return Value::of_integer(words);
}

Value format(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value text = as_text(in, subject);
  if (!arguments.all.named.empty() && !arguments.all.positional.empty()) {
    in.fail("format takes values with names or without, not both");
  }
  if (arguments.all.named.empty()) {
    return in.text(percent_format(in, text.text(), in.tuple(arguments.all.positional)));
  }
  const Value values = in.dict();
  for (const auto& [name, value] : arguments.all.named) values.dict().set(in, in.text(name), value);
  return in.text(percent_format(in, text.text(), values));
}

// --- numbers ---

/// Python's int(text, base) and float(text): spaces around and underscores between digits.
std::string number_text(std::string_view text) {
  std::string digits(strip(Text(text), {}, true, true).bytes());
  std::erase(digits, '_');
  if (digits.starts_with('+')) digits.erase(0, 1);
  return digits;
}

std::optional<double> parsed_float(std::string_view text) {
  const std::string digits = number_text(text);
  double number = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || result.ec != std::errc() || result.ptr != digits.data() + digits.size())
    return std::nullopt;
  return number;
}

std::optional<int64_t> truncated(double number) {
  if (!(std::abs(number) < 9.2e18)) return std::nullopt;
  return static_cast<int64_t>(number);
}

Value to_integer(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value otherwise = arguments.value(0, Value::of_integer(0));
  std::optional<int64_t> number;
  if (subject.is_integral()) {
    number = subject.integer();
  } else if (subject.is(Kind::kFloat)) {
    number = truncated(subject.number());
  } else if (subject.is(Kind::kText)) {
    std::string digits = number_text(subject.bytes());
    const int base = static_cast<int>(std::clamp<int64_t>(arguments.integer(1, 10), 2, 36));
    if (base == 16 && digits.starts_with("0x")) digits.erase(0, 2);
    int64_t parsed = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), parsed, base);
    if (!digits.empty() && result.ec == std::errc() && result.ptr == digits.data() + digits.size()) {
      number = parsed;
    } else if (const auto real = parsed_float(subject.bytes())) {
      number = truncated(*real);
    }
  } else if (subject.is(Kind::kUndefined)) {
    need_defined(in, subject);
  }
  return number ? Value::of_integer(*number) : otherwise;
}

Value to_float(Interpreter& in, const Value& subject, const Bound& arguments) {
  if (subject.is_number()) return Value::of_float(subject.number());
  need_defined(in, subject);
  const auto number = subject.is(Kind::kText) ? parsed_float(subject.bytes()) : std::nullopt;
  return number ? Value::of_float(*number) : arguments.value(0, Value::of_float(0));
}

Value absolute(Interpreter& in, const Value& subject, const Bound&) {
  need_defined(in, subject);
  if (!subject.is_number()) in.fail("abs of a {}", type_name(subject));
  if (subject.is(Kind::kFloat)) return Value::of_float(std::abs(subject.number()));
  return subject.integer() < 0 ? negative(in, subject) : Value::of_integer(subject.integer());
}

/// "common" rounds to even in the digits that a double has, as Python's round().
Value round_number(Interpreter& in, const Value& subject, const Bound& arguments) {
  need_defined(in, subject);
  if (!subject.is_number()) in.fail("round of a {}", type_name(subject));
  const int64_t precision = arguments.integer(0, 0);
  if (std::abs(precision) > 300) in.fail("round to {} digits", precision);
  const std::string_view method = arguments.text(1, "common");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double number = subject.number();
  if (method == "ceil") return Value::of_float(std::ceil(number * scale) / scale);
  if (method == "floor") return Value::of_float(std::floor(number * scale) / scale);
  if (method != "common") in.fail("round knows common, ceil and floor, not \"{}\"", method);
  if (subject.is_integral()) {
    if (precision >= 0) return Value::of_integer(subject.integer());
    return Value::of_integer(static_cast<int64_t>(std::nearbyint(number * scale) / scale));
  }
  if (precision < 0) return Value::of_float(std::nearbyint(number * scale) / scale);
  double rounded = 0;
  const std::string digits = fmt::format("{:.{}f}", number, precision);
  std::from_chars(digits.data(), digits.data() + digits.size(), rounded);
  return Value::of_float(rounded);
}

Value file_size(Interpreter& in, const Value& subject, const Bound& arguments) {
  const auto parsed =
      subject.is(Kind::kText) ? parsed_float(subject.bytes()) : std::optional(subject.number());
  if (!parsed || (!subject.is(Kind::kText) && !subject.is_number()))
    in.fail("filesizeformat of a {}", type_name(subject));
  const bool binary = arguments.flag(0, false);
  const double base = binary ? 1024 : 1000;
  if (*parsed == 1) return in.text("1 Byte");
  if (*parsed < base) return in.text(fmt::format("{} Bytes", static_cast<int64_t>(*parsed)));
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  for (size_t i = 0;; ++i) {
    unit *= base;
    if (*parsed >= unit && i + 1 < kPrefixes.size()) continue;
    std::string name(1, binary ? static_cast<char>(std::toupper(kPrefixes[i])) : kPrefixes[i]);
    return in.text(fmt::format("{:.1f} {}{}", base * *parsed / unit, name, binary ? "iB" : "B"));
  }
}

#define FILTER(...) [](Interpreter& in, const Value& subject, const Bound& arguments) -> Value { __VA_ARGS__ }

const Function kTextFilters[] = {
    {"trim", trim, {"chars?"}},
    {"upper", FILTER(return in.text(upper(as_text(in, subject).text()));)},
    {"lower", FILTER(return in.text(lower(as_text(in, subject).text()));)},
    {"capitalize", FILTER(return in.text(capitalized(as_text(in, subject).text()));)},
    {"title", title},
    {"string", FILTER(return as_text(in, subject);)},
    {"safe", FILTER(return as_text(in, subject);)},
    {"escape", escape},
    {"e", escape},
    {"forceescape", escape},
    {"replace", replace, {"old", "new", "count?"}},
    {"indent", indent, {"width?", "first?", "blank?"}},
    {"tojson", tojson, {"ensure_ascii?", "indent?", "separators?", "sort_keys?"}},
    {"urlencode", urlencode},
    {"truncate", truncate, {"length?", "killwords?", "end?", "leeway?"}},
    {"center", center, {"width?"}},
    {"wordcount", word_count},
    {"format", format, {"*"}},
    {"int", to_integer, {"default?", "base?"}},
    {"float", to_float, {"default?"}},
    {"abs", absolute},
    {"round", round_number, {"precision?", "method?"}},
    {"filesizeformat", file_size, {"binary?"}},
};

#undef FILTER

}  // namespace

std::span<const Function> text_filters() {
  return kTextFilters;
}

}  // namespace wattle::jinja
