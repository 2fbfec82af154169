// Jinja2's tests: `value is NAME(arguments)`.
#include <algorithm>

#include "jinja/format.h"
#include "jinja/functions.h"
#include "jinja/operators.h"

namespace wattle::jinja {
namespace {

#define TEST_OF(expression) \
  [](Interpreter& in, const Value& v, const Bound& arguments) -> Value { return Value::of_bool(expression); }

int64_t remainder_of(Interpreter& in, const Value& value, const Value& divisor) {
  const Value rest = arithmetic(in, "%", value, divisor);
  if (!rest.is_number()) in.fail("a {} is no number", type_name(value));
  return rest.number() == 0 ? 0 : rest.number() == 1 ? 1 : 2;
}

bool is_sequence(const Value& v) {
  return v.is(Kind::kText) || v.is(Kind::kDict) || v.is(Kind::kUndefined) ||
         (v.is(Kind::kList) && (v.list().kind == ListKind::kList || v.list().kind == ListKind::kTuple ||
                                v.list().view == "range"));
}

constexpr Function kTests[] = {
    {"defined", TEST_OF(!v.is(Kind::kUndefined))},
    {"undefined", TEST_OF(v.is(Kind::kUndefined))},
    {"none", TEST_OF(v.is(Kind::kNone))},
    {"boolean", TEST_OF(v.is(Kind::kBool))},
    {"true", TEST_OF(v.is(Kind::kBool) && v.integer() != 0)},
    {"false", TEST_OF(v.is(Kind::kBool) && v.integer() == 0)},
    {"integer", TEST_OF(v.is(Kind::kInteger))},
    {"float", TEST_OF(v.is(Kind::kFloat))},
    {"number", TEST_OF(v.is_number())},
    {"string", TEST_OF(v.is(Kind::kText))},
    {"mapping", TEST_OF(v.is(Kind::kDict))},
    {"sequence", TEST_OF(is_sequence(v))},
    {"iterable", TEST_OF(is_iterable(v))},
    {"callable", TEST_OF(v.is(Kind::kUndefined) || (v.is(Kind::kObject) && v.object().callable()))},
    {"sameas", TEST_OF(v.same_as(arguments.value(0))), {"other"}},
    {"escaped", TEST_OF(false)},
    {"odd", TEST_OF(remainder_of(in, v, Value::of_integer(2)) == 1)},
    {"even", TEST_OF(remainder_of(in, v, Value::of_integer(2)) == 0)},
    {"divisibleby", TEST_OF(remainder_of(in, v, arguments.value(0)) == 0), {"num"}},
    {"upper", TEST_OF(is_upper(as_text(in, v).bytes()))},
    {"lower", TEST_OF(is_lower(as_text(in, v).bytes()))},
    {"in", TEST_OF(comparison(in, "in", v, arguments.value(0))), {"seq"}},
    {"filter", TEST_OF(v.is(Kind::kText) && find_filter(v.bytes()) != nullptr)},
    {"test", TEST_OF(v.is(Kind::kText) && find_test(v.bytes()) != nullptr)},
    {"eq", TEST_OF(comparison(in, "==", v, arguments.value(0))), {"other"}},
    {"equalto", TEST_OF(comparison(in, "==", v, arguments.value(0))), {"other"}},
    {"==", TEST_OF(comparison(in, "==", v, arguments.value(0))), {"other"}},
    {"ne", TEST_OF(comparison(in, "!=", v, arguments.value(0))), {"other"}},
    {"!=", TEST_OF(comparison(in, "!=", v, arguments.value(0))), {"other"}},
    {"lt", TEST_OF(comparison(in, "<", v, arguments.value(0))), {"other"}},
    {"lessthan", TEST_OF(comparison(in, "<", v, arguments.value(0))), {"other"}},
    {"<", TEST_OF(comparison(in, "<", v, arguments.value(0))), {"other"}},
    {"le", TEST_OF(comparison(in, "<=", v, arguments.value(0))), {"other"}},
    {"<=", TEST_OF(comparison(in, "<=", v, arguments.value(0))), {"other"}},
    {"gt", TEST_OF(comparison(in, ">", v, arguments.value(0))), {"other"}},
    {"greaterthan", TEST_OF(comparison(in, ">", v, arguments.value(0))), {"other"}},
    {">", TEST_OF(comparison(in, ">", v, arguments.value(0))), {"other"}},
    {"ge", TEST_OF(comparison(in, ">=", v, arguments.value(0))), {"other"}},
    {">=", TEST_OF(comparison(in, ">=", v, arguments.value(0))), {"other"}},
};

#undef TEST_OF

}  // namespace

const Function* find_test(std::string_view name) {
  return find_in(kTests, name);
}

}  // namespace wattle::jinja
