#include "jinja/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <utf8proc.h>

#include "base/utf8.h"

namespace wattle::jinja {
namespace {

/// Python's str.isprintable() of one character beyond ASCII.
bool is_printable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

void append_text_repr(const Text& text, Text& out) {
  const std::string_view bytes = text.bytes();
  const bool has_single = bytes.find('\'') != std::string_view::npos;
  const char quote = has_single && bytes.find('"') == std::string_view::npos ? '"' : '\'';
  out.append(std::string_view(&quote, 1));
  for (size_t i = 0; i < bytes.size();) {
    const DecodedCharacter c = decode_utf8(bytes, i);
    const Source source = text.source_at(i);
    const auto value = static_cast<uint32_t>(c.value);
    if (c.value == static_cast<char32_t>(quote) || c.value == U'\\') {
      out.append("\\", source);
      out.append(text, i, i + 1);
    } else if (c.value == U'\n' || c.value == U'\r' || c.value == U'\t') {
      out.append(c.value == U'\n' ? "\\n" : c.value == U'\r' ? "\\r" : "\\t", source);
    } else if (value < 0x20 || value == 0x7F || (value >= 0x80 && value < 0x100 && !is_printable(c.value))) {
      out.append(fmt::format("\\x{:02x}", value), source);
    } else if (value >= 0x80 && !is_printable(c.value)) {
      out.append(value < 0x10000 ? fmt::format("\\u{:04x}", value) : fmt::format("\\U{:08x}", value), source);
    } else {
      out.append(text, i, i + c.bytes);
    }
    i += c.bytes;
  }
  out.append(std::string_view(&quote, 1));
}

void append_list_repr(Context& context, const List& list, Text& out) {
  if (list.kind == ListKind::kGenerator) return out.append("<generator object>");
  if (!list.shown.empty()) return out.append(list.shown);
  if (list.kind == ListKind::kView) out.append(fmt::format("{}(", list.view));
  const bool is_tuple = list.kind == ListKind::kTuple;
  out.append(is_tuple ? "(" : "[");
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(context, list.items[i], out);
  }
  if (is_tuple && list.items.size() == 1) out.append(",");
  out.append(is_tuple ? ")" : "]");
  if (list.kind == ListKind::kView) out.append(")");
}

void append_dict_repr(Context& context, const Dict& dict, Text& out) {
  out.append("{");
  bool first = true;
  for (const auto& [key, value] : dict.entries) {
    if (!first) out.append(", ");
    first = false;
    append_repr(context, key, out);
    out.append(": ");
    append_repr(context, value, out);
  }
  out.append("}");
}

// --- JSON ---

class JsonWriter {
 public:
  JsonWriter(Context& context, const JsonStyle& style) : context_(context), style_(style) {}

  void write(const Value& value, size_t level) {
    const Context::Nested nested(context_);
    context_.charge(1);
    switch (value.kind()) {
      case Kind::kNone:
        return out.append("null");
      case Kind::kBool:
        return out.append(value.integer() != 0 ? "true" : "false");
      case Kind::kInteger:
        return out.append(std::to_string(value.integer()));
      case Kind::kFloat:
        return out.append(json_number(value.number()));
      case Kind::kText:
        return write_text(value.text());
      case Kind::kList:
        if (value.list().kind == ListKind::kList || value.list().kind == ListKind::kTuple) {
          return write_list(value.list(), level);
        }
        break;
      case Kind::kDict:
        return write_dict(value.dict(), level);
      default:
        break;
    }
    context_.fail("a value of type {} cannot be written as JSON", type_name(value));
  }

  Text out;

 private:
  static std::string json_number(double number) {
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
    return float_text(number);
  }

  void new_line(size_t level) {
    if (!style_.pretty) return;
    out.append("\n");
    for (size_t i = 0; i < level; ++i) out.append(style_.indent);
    context_.charge_bytes(level * style_.indent.size());
  }

  void write_list(const List& list, size_t level) {
    if (list.items.empty()) return out.append("[]");
    out.append("[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out.append(style_.item_separator);
      new_line(level + 1);
      write(list.items[i], level + 1);
    }
    new_line(level);
    out.append("]");
  }

  void write_dict(const Dict& dict, size_t level) {
    if (dict.entries.empty()) return out.append("{}");
    auto entries = dict.entries;
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const auto& a, const auto& b) { return compare(context_, a.first, b.first) < 0; });
    }
    out.append("{");
    bool first = true;
    for (const auto& [key, value] : entries) {
      if (!first) out.append(style_.item_separator);
      first = false;
      new_line(level + 1);
      write_key(key);
      out.append(style_.key_separator);
      write(value, level + 1);
    }
    new_line(level);
    out.append("}");
  }

  void write_key(const Value& key) {
    if (key.is(Kind::kText)) return write_text(key.text());
    if (key.is(Kind::kList) || key.is(Kind::kObject) || key.is(Kind::kUndefined)) {
      context_.fail("a key of type {} cannot be written as JSON", type_name(key));
    }
    out.append("\"");
    write(key, 0);
    out.append("\"");
  }

  void write_text(const Text& text) {
    context_.charge_bytes(text.size());
    out.append("\"");
    const std::string_view bytes = text.bytes();
    for (size_t i = 0; i < bytes.size();) {
      const DecodedCharacter c = decode_utf8(bytes, i);
      const std::string escape = escape_of(c.value);
      if (escape.empty()) {
        out.append(text, i, i + c.bytes);
      } else {
        out.append(escape, text.source_at(i));
      }
      i += c.bytes;
    }
    out.append("\"");
  }

  std::string escape_of(char32_t c) const {
    switch (c) {
      case U'"':
        return "\\\"";
      case U'\\':
        return "\\\\";
      case U'\n':
        return "\\n";
      case U'\r':
        return "\\r";
      case U'\t':
        return "\\t";
      case U'\f':
        return "\\f";
      case U'\b':
        return "\\b";
      default:
        break;
    }
    const auto value = static_cast<uint32_t>(c);
    if (value < 0x20) return fmt::format("\\u{:04x}", value);
    if (value < 0x7F || !style_.ensure_ascii) return {};
    if (value == 0x7F) return {};
    if (value < 0x10000) return fmt::format("\\u{:04x}", value);
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD7C0 + (value >> 10), 0xDC00 + (value & 0x3FF));
  }

  Context& context_;
  const JsonStyle& style_;
};

// --- % and format() ---

/// [[fill]align][sign][0][width][,][.precision][type]
struct FieldStyle {
  std::string fill = " ";
  char align = 0, sign = '-', type = 0;
  bool zeros = false, commas = false, alternate = false;
  int width = 0, precision = -1;
};

constexpr int kWidest = 10'000;

void append_padded(const FieldStyle& style, const Text& text, bool is_number, Text& out) {
  const auto length = static_cast<int>(std::min<size_t>(count_characters(text.bytes()), kWidest));
  const int missing = std::max(0, style.width - length);
  const char align = style.align != 0 ? style.align : style.zeros && is_number ? '=' : is_number ? '>' : '<';
  const std::string fill = style.align == 0 && style.zeros ? "0" : style.fill;
  const auto pad = [&](int count) {
    for (int i = 0; i < count; ++i) out.append(fill);
  };
  const bool has_sign = !text.empty() && (text.bytes()[0] == '-' || text.bytes()[0] == '+');
  switch (align) {
    case '<':
      out.append(text);
      return pad(missing);
    case '^':
      pad(missing / 2);
      out.append(text);
      return pad(missing - missing / 2);
    case '=':
      out.append(text, 0, has_sign ? 1 : 0);
      pad(missing);
      return out.append(text, has_sign ? 1 : 0, text.size());
    default:
      pad(missing);
      out.append(text);
  }
}

std::string with_commas(std::string digits) {
  const size_t begin = digits.find_first_of("0123456789");
  const size_t end = std::min(digits.find_first_not_of("0123456789", begin), digits.size());
  for (size_t i = end; i > begin + 3; i -= 3)
    digits.insert(digits.begin() + static_cast<ptrdiff_t>(i) - 3, ',');
  return digits;
}

std::string real_text(const FieldStyle& style, double number) {
  const int precision = style.precision < 0 ? 6 : style.precision;
  switch (style.type) {
    case 'e':
      return fmt::format("{:.{}e}", number, precision);
    case 'E':
      return fmt::format("{:.{}E}", number, precision);
    case 'g':
      return fmt::format("{:.{}g}", number, precision);
    case 'G':
      return fmt::format("{:.{}G}", number, precision);
    case '%':
      return fmt::format("{:.{}f}%", number * 100, precision);
    case 0:
      return style.precision < 0 ? float_text(number) : fmt::format("{:.{}g}", number, precision);
    default:
      return fmt::format("{:.{}f}", number, precision);
  }
}

std::string integer_text(Context& context, const FieldStyle& style, const Value& value) {
  const int64_t number = value.is(Kind::kFloat) ? static_cast<int64_t>(value.number()) : value.integer();
  switch (style.type) {
    case 'x':
      return style.alternate ? fmt::format("{:#x}", number) : fmt::format("{:x}", number);
    case 'X':
      return style.alternate ? fmt::format("{:#X}", number) : fmt::format("{:X}", number);
    case 'o':
      return fmt::format("{:o}", number);
    case 'b':
      return fmt::format("{:b}", number);
    case 'c': {
      std::string text;
      append_utf8(text, static_cast<char32_t>(number));
      return text;
    }
    default:
      return std::to_string(number);
  }
}

/// One value in one field. `any_type` is Python's %: s and r take every value.
void append_field(Context& context, const FieldStyle& style, const Value& value, Text& out) {
  constexpr std::string_view kReal = "eEfFgG%", kInteger = "dixXobcu";
  const bool wants_real = style.type != 0 && kReal.find(style.type) != std::string_view::npos;
  const bool wants_integer = style.type != 0 && kInteger.find(style.type) != std::string_view::npos;
  const bool plain_number = style.type == 0 && value.is_number() && !value.is(Kind::kBool);
  if (wants_real || wants_integer || plain_number) {
    if (!value.is_number())
      context.fail("a number is wanted for \"{}\", not a {}", style.type, type_name(value));
    const bool finite = std::abs(value.number()) < 9e18;
    if (wants_integer && value.is(Kind::kFloat) && !finite)
      context.fail("a number is too large for an integer");
    const bool real = wants_real || (plain_number && value.is(Kind::kFloat));
    std::string text = real ? real_text(style, value.number()) : integer_text(context, style, value);
    if (style.commas) text = with_commas(text);
    if (style.sign != '-' && text[0] != '-') text.insert(0, 1, style.sign);
    return append_padded(style, Text(text), true, out);
  }
  Text text;
  if (style.type == 'r') {
    append_repr(context, value, text);
  } else if (style.type == 0 || style.type == 's') {
    text = to_text(context, value);
  } else {
    context.fail("the format \"{}\" is not known", style.type);
  }
  if (style.precision >= 0) {
    text = text.part(0, byte_of_character(text.bytes(), static_cast<size_t>(style.precision)));
  }
  append_padded(style, text, false, out);
}

int read_number(Context& context, std::string_view text, size_t& at) {
  int number = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    number = number * 10 + (text[at++] - '0');
    if (number > kWidest) context.fail("a field wider than {} characters", kWidest);
  }
  return number;
}

FieldStyle read_brace_style(Context& context, std::string_view text) {
  FieldStyle style;
  size_t at = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (!text.empty()) {
    const size_t first = decode_utf8(text, 0).bytes;
    if (first < text.size() && is_align(text[first])) {
      style.fill = text.substr(0, first);
      style.align = text[first];
      at = first + 1;
    } else if (is_align(text[0])) {
      style.align = text[at++];
    }
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' ')) style.sign = text[at++];
  if (at < text.size() && text[at] == '#') style.alternate = true, ++at;
  if (at < text.size() && text[at] == '0') style.zeros = true, ++at;
  style.width = read_number(context, text, at);
  if (at < text.size() && text[at] == ',') style.commas = true, ++at;
  if (at < text.size() && text[at] == '.') style.precision = read_number(context, text, ++at);
  if (at < text.size()) style.type = text[at++];
  if (at < text.size()) context.fail("the format \"{}\" is not known", text);
  return style;
}

}  // namespace

std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  char digits[64];
  const double size = std::abs(number);
  const bool scientific = size != 0 && (size < 1e-4 || size >= 1e16);
  const auto end = std::to_chars(digits, digits + sizeof digits, number,
                                 scientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(digits, end.ptr);
  if (!scientific && text.find('.') == std::string::npos) text += ".0";
  return text;
}

void append_repr(Context& context, const Value& value, Text& out) {
  const Context::Nested nested(context);
  context.charge(1);
  const size_t before = out.size();
  switch (value.kind()) {
    case Kind::kUndefined:
      out.append("Undefined");
      break;
    case Kind::kNone:
      out.append("None");
      break;
    case Kind::kBool:
      out.append(value.integer() != 0 ? "True" : "False");
      break;
    case Kind::kInteger:
      out.append(std::to_string(value.integer()));
      break;
    case Kind::kFloat:
      out.append(float_text(value.number()));
      break;
    case Kind::kText:
      append_text_repr(value.text(), out);
      break;
    case Kind::kList:
      append_list_repr(context, value.list(), out);
      break;
    case Kind::kDict:
      append_dict_repr(context, value.dict(), out);
      break;
    case Kind::kObject:
      out.append(fmt::format("<{}>", value.object().type_name()));
      break;
  }
  context.charge_bytes(out.size() - before);
}

Text to_text(Context& context, const Value& value) {
  if (value.is(Kind::kText)) return value.text();
  Text text;
  if (!value.is(Kind::kUndefined)) append_repr(context, value, text);
  return text;
}

Text to_json(Context& context, const Value& value, const JsonStyle& style) {
  JsonWriter writer(context, style);
  writer.write(value, 0);
  return std::move(writer.out);
}

Text percent_format(Context& context, const Text& format, const Value& arguments) {
  Text out;
  const std::string_view text = format.bytes();
  const bool is_tuple = arguments.is(Kind::kList) && arguments.list().kind == ListKind::kTuple;
  const std::vector<Value> values = is_tuple ? arguments.list().items : std::vector<Value>{arguments};
  size_t next = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t percent = std::min(text.find('%', at), text.size());
    out.append(format, at, percent);
    at = percent + 1;
    if (percent == text.size()) break;
    if (at < text.size() && text[at] == '%') {
      out.append("%");
      ++at;
      continue;
    }
    const Value* named = nullptr;
    if (at < text.size() && text[at] == '(') {
      const size_t close = text.find(')', at);
      if (close == std::string_view::npos || !arguments.is(Kind::kDict)) {
        context.fail("a format with names needs a dictionary");
      }
      named = arguments.dict().find(text.substr(at + 1, close - at - 1));
      if (named == nullptr)
        context.fail("the format's name {} is missing", text.substr(at + 1, close - at - 1));
      at = close + 1;
    }
    FieldStyle style;
    style.align = '>';
    for (; at < text.size() && std::string_view("-+ #0").find(text[at]) != std::string_view::npos; ++at) {
      if (text[at] == '-') style.align = '<';
      if (text[at] == '+' || text[at] == ' ') style.sign = text[at];
      if (text[at] == '#') style.alternate = true;
      if (text[at] == '0') style.zeros = true;
    }
    if (style.zeros && style.align == '>') style.align = 0;
    style.width = read_number(context, text, at);
    if (at < text.size() && text[at] == '.') style.precision = read_number(context, text, ++at);
    if (at == text.size()) context.fail("the format ends within a field");
    style.type = text[at] == 'i' || text[at] == 'u' ? 'd' : text[at];
    ++at;
    if (named == nullptr && next == values.size())
      context.fail("the format has more fields than there are values");
    append_field(context, style, named != nullptr ? *named : values[next++], out);
    context.charge_bytes(static_cast<size_t>(style.width) + 16);
  }
  if (next < values.size() && !arguments.is(Kind::kDict)) {
    context.fail("not all values of a format are used");
  }
  return out;
}

Text brace_format(Context& context, const Text& format, const Arguments& arguments) {
  Text out;
  const std::string_view text = format.bytes();
  size_t next = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t brace = std::min(text.find_first_of("{}", at), text.size());
    out.append(format, at, brace);
    at = brace;
    if (at == text.size()) break;
    if (at + 1 < text.size() && text[at + 1] == text[at]) {
      out.append(format, at, at + 1);
      at += 2;
      continue;
    }
    const size_t close = text.find('}', at);
    if (text[at] == '}' || close == std::string_view::npos) context.fail("a single brace in a format");
    const std::string_view field = text.substr(at + 1, close - at - 1);
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string_view name = field.substr(0, colon);
    const Value* value = nullptr;
    size_t index = 0;
    if (name.empty()) {
      index = next++;
    } else if (name.find_first_not_of("0123456789") == std::string_view::npos && name.size() < 6) {
      std::from_chars(name.data(), name.data() + name.size(), index);
    } else {
      index = arguments.positional.size();
      for (const auto& [given, held] : arguments.named) {
        if (given == name) value = &held;
      }
    }
    if (value == nullptr && index < arguments.positional.size()) value = &arguments.positional[index];
    if (value == nullptr) context.fail("the format's field \"{}\" has no value", field);
    const FieldStyle style = read_brace_style(context, field.substr(std::min(colon + 1, field.size())));
    append_field(context, style, *value, out);
    context.charge_bytes(static_cast<size_t>(style.width) + 16);
    at = close + 1;
  }
  return out;
}

}  // namespace wattle::jinja
