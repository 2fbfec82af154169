#pragma once

#include <string>
#include <string_view>

#include "jinja/value.h"

namespace wattle::jinja {

/// Python's str(): what printing a value gives. Texts keep their sources.
Text to_text(Context& context, const Value& value);
/// Python's repr(), as lists print their elements.
void append_repr(Context& context, const Value& value, Text& out);
/// Python's repr() of a float: the shortest digits that give the same number.
std::string float_text(double number);

/// Of Python's json.dumps.
struct JsonStyle {
  bool ensure_ascii = false, sort_keys = false;
  bool pretty = false;  ///< an indent is given: one element a line
  std::string indent;   ///< of one level
  std::string item_separator = ", ", key_separator = ": ";
};
Text to_json(Context& context, const Value& value, const JsonStyle& style);

/// Python's `format % arguments`: a tuple, a dictionary, or one value.
Text percent_format(Context& context, const Text& format, const Value& arguments);
/// Python's str.format, without attributes and conversions within a field.
Text brace_format(Context& context, const Text& format, const Arguments& arguments);

}  // namespace wattle::jinja
