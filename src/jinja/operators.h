#pragma once

#include <optional>
#include <string_view>

#include "jinja/value.h"

namespace wattle::jinja {

/// `a operator b` for + - * / // % **, as Python computes it. Error for types that it has none for, a
/// division by zero, and an integer beyond 64 bits.
Value arithmetic(Context& context, std::string_view operation, const Value& a, const Value& b);
Value negative(Context& context, const Value& value);
/// `a operator b` for == != < <= > >= in "not in".
bool comparison(Context& context, std::string_view operation, const Value& a, const Value& b);
/// `value[from:to:step]` of a text, list or tuple; none stands for a bound that is left out.
Value slice(Context& context, const Value& value, const Value& from, const Value& to, const Value& step);
/// `value[index]`, an index below zero from the end; nothing where there is none.
std::optional<Value> at_index(Context& context, const Value& value, int64_t index);

/// Raises an undefined value's error.
void need_defined(Context& context, const Value& value);

}  // namespace wattle::jinja
