#include "jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "jinja/format.h"

namespace wattle::jinja {
namespace {

[[noreturn]] void beyond(Context& context) {
  context.fail("the result is beyond the integers of 64 bits");
}

Value integer_power(Context& context, int64_t base, int64_t exponent) {
  if (exponent < 0)
    return Value::of_float(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) beyond(context);
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) beyond(context);
  }
  return Value::of_integer(result);
}

/// Python rounds down and gives the remainder the divisor's sign.
Value integer_division(Context& context, std::string_view operation, int64_t a, int64_t b) {
  if (b == 0) context.fail("division by zero");
  if (operation == "/") return Value::of_float(static_cast<double>(a) / static_cast<double>(b));
  if (b == -1) {
    int64_t negated = 0;
    if (operation == "%") return Value::of_integer(0);
    if (__builtin_sub_overflow(int64_t{0}, a, &negated)) beyond(context);
    return Value::of_integer(negated);
  }
  const int64_t remainder = a % b;
  const bool adjusted = remainder != 0 && ((remainder < 0) != (b < 0));
  return Value::of_integer(operation == "%" ? remainder + (adjusted ? b : 0) : a / b - (adjusted ? 1 : 0));
}

Value integer_arithmetic(Context& context, std::string_view operation, int64_t a, int64_t b) {
  int64_t result = 0;
  bool over = false;
  if (operation == "+") {
    over = __builtin_add_overflow(a, b, &result);
  } else if (operation == "-") {
    over = __builtin_sub_overflow(a, b, &result);
  } else if (operation == "*") {
    over = __builtin_mul_overflow(a, b, &result);
  } else if (operation == "**") {
    return integer_power(context, a, b);
  } else {
    return integer_division(context, operation, a, b);
  }
  if (over) beyond(context);
  return Value::of_integer(result);
}

Value real_arithmetic(Context& context, std::string_view operation, double a, double b) {
  if (operation == "+") return Value::of_float(a + b);
  if (operation == "-") return Value::of_float(a - b);
  if (operation == "*") return Value::of_float(a * b);
  if (operation == "**") return Value::of_float(std::pow(a, b));
  if (b == 0) context.fail("division by zero");
  if (operation == "/") return Value::of_float(a / b);
  double remainder = std::fmod(a, b);
  if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
  return Value::of_float(operation == "%" ? remainder : std::round((a - remainder) / b));
}

Value repeated(Context& context, const Value& value, int64_t count) {
  count = std::max<int64_t>(count, 0);
  const bool is_text = value.is(Kind::kText);
  const size_t size = is_text ? value.text().size() : value.list().items.size() * sizeof(Value);
  if (size == 0) count = 0;
  size_t bytes = 0;
  if (__builtin_mul_overflow(size, static_cast<size_t>(count), &bytes) || bytes > (size_t{1} << 40)) {
    bytes = size_t{1} << 40;
  }
  context.charge_bytes(bytes);  // before anything of that size is made
  if (is_text) {
    Text text;
    if (count > 0) text = value.text();
    while (text.size() < bytes) {  // doubled, and cut to the size at last
      const Text half = text;
      text.append(half, 0, std::min(half.size(), bytes - half.size()));
    }
    return context.text(std::move(text));
  }
  std::vector<Value> items;
  for (int64_t i = 0; i < count; ++i) {
    items.insert(items.end(), value.list().items.begin(), value.list().items.end());
  }
  return context.list(std::move(items), value.list().kind);
}

bool is_sequence(const Value& value) {
  return value.is(Kind::kText) || (value.is(Kind::kList) && (value.list().kind == ListKind::kList ||
                                                             value.list().kind == ListKind::kTuple));
}

Value joined(Context& context, const Value& a, const Value& b) {
  if (a.is(Kind::kText)) {
    Text text = a.text();
    text.append(b.text());
    return context.text(std::move(text));
  }
  std::vector<Value> items = a.list().items;
  items.insert(items.end(), b.list().items.begin(), b.list().items.end());
  return context.list(std::move(items), a.list().kind);
}

int64_t slice_bound(Context& context, const Value& value, int64_t otherwise, int64_t length, int64_t step) {
  if (value.is(Kind::kNone)) return otherwise;
  need_defined(context, value);
  if (!value.is_integral()) context.fail("a slice's bounds are integers, not {}", type_name(value));
  int64_t bound = value.integer();
  if (bound < 0) bound = std::max<int64_t>(bound + length, step < 0 ? -1 : 0);
  return std::min(bound, step < 0 ? length - 1 : length);
}

}  // namespace

void need_defined(Context& context, const Value& value) {
  if (value.is(Kind::kUndefined)) context.fail_with(std::string(value.bytes()));
}

Value arithmetic(Context& context, std::string_view operation, const Value& a, const Value& b) {
  need_defined(context, a);
  if (operation == "%" && a.is(Kind::kText)) return context.text(percent_format(context, a.text(), b));
  need_defined(context, b);
  if (a.is_integral() && b.is_integral())
    return integer_arithmetic(context, operation, a.integer(), b.integer());
  if (a.is_number() && b.is_number()) return real_arithmetic(context, operation, a.number(), b.number());
  if (operation == "+" && a.kind() == b.kind() && is_sequence(a) && is_sequence(b) &&
      (a.is(Kind::kText) || a.list().kind == b.list().kind)) {
    return joined(context, a, b);
  }
  if (operation == "*" && is_sequence(a) && b.is_integral()) return repeated(context, a, b.integer());
  if (operation == "*" && is_sequence(b) && a.is_integral()) return repeated(context, b, a.integer());
  context.fail("{} has no meaning for a {} and a {}", operation, type_name(a), type_name(b));
}

Value negative(Context& context, const Value& value) {
  need_defined(context, value);
  if (value.is_integral()) return integer_arithmetic(context, "-", 0, value.integer());
  if (value.is(Kind::kFloat)) return Value::of_float(-value.number());
  context.fail("a {} has no negative", type_name(value));
}

bool comparison(Context& context, std::string_view operation, const Value& a, const Value& b) {
  if (operation == "==") return equal(context, a, b);
  if (operation == "!=") return !equal(context, a, b);
  if (operation == "in") return contains(context, b, a);
  if (operation == "not in") return !contains(context, b, a);
  need_defined(context, a);
  need_defined(context, b);
  const bool unordered = a.is_number() && b.is_number() && (std::isnan(a.number()) || std::isnan(b.number()));
  const int order = compare(context, a, b);
  if (unordered) return false;
  if (operation == "<") return order < 0;
  if (operation == "<=") return order <= 0;
  if (operation == ">") return order > 0;
  return order >= 0;
}

std::optional<Value> at_index(Context& context, const Value& value, int64_t index) {
  const int64_t length = length_of(context, value);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return std::nullopt;
  const auto place = static_cast<size_t>(index);
  if (value.is(Kind::kList)) return value.list().items[place];
  const Text& text = value.text();
  const size_t begin = byte_of_character(text.bytes(), place);
  return context.text(text.part(begin, begin + decode_utf8(text.bytes(), begin).bytes));
}

Value slice(Context& context, const Value& value, const Value& from, const Value& to, const Value& step) {
  need_defined(context, value);
  const bool is_range = value.is(Kind::kList) && value.list().view == "range";
  if (!is_sequence(value) && !is_range) context.fail("a {} has no slices", type_name(value));
  const int64_t length = length_of(context, value);
  int64_t by = 1;
  if (!step.is(Kind::kNone)) {
    need_defined(context, step);
    if (!step.is_integral() || step.integer() == 0) context.fail("a slice's step is an integer other than 0");
    by = std::clamp<int64_t>(step.integer(), -(int64_t{1} << 40), int64_t{1} << 40);
  }
  const int64_t begin = slice_bound(context, from, by < 0 ? length - 1 : 0, length, by);
  const int64_t end = slice_bound(context, to, by < 0 ? -1 : length, length, by);
  if (value.is(Kind::kText) && by == 1) {
    const Text& text = value.text();
    const size_t first = byte_of_character(text.bytes(), static_cast<size_t>(begin));
    const size_t last = byte_of_character(text.bytes(), static_cast<size_t>(end));
    return context.text(first < last ? text.part(first, last) : Text());
  }
  const std::vector<Value> items = elements(context, value);
  std::vector<Value> taken;
  for (int64_t i = begin; by > 0 ? i < end : i > end; i += by) taken.push_back(items[static_cast<size_t>(i)]);
  if (value.is(Kind::kList)) return context.list(std::move(taken), value.list().kind, value.list().view);
  Text text;
  for (const Value& character : taken) text.append(character.text());
  return context.text(std::move(text));
}

}  // namespace wattle::jinja
