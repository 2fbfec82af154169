// Jinja2's filters over lists, dictionaries and other iterables.
#include <algorithm>
#include <charconv>

#include "jinja/format.h"
#include "jinja/functions.h"
#include "jinja/operators.h"

namespace wattle::jinja {
namespace {

/// `value.a.b.0` for the attribute "a.b.0" or an index; `otherwise` where it is undefined.
Value attribute_of(Interpreter& in, Value value, const Value& attribute, const Value& otherwise = {}) {
  if (attribute.is_integral()) {
    value = in.item(value, attribute);
  } else if (attribute.is(Kind::kText)) {
    std::string_view rest = attribute.bytes();
    while (true) {
      const size_t dot = std::min(rest.find('.'), rest.size());
      const std::string_view part = rest.substr(0, dot);
      int64_t index = 0;
      const auto parsed = std::from_chars(part.data(), part.data() + part.size(), index);
      const bool is_index = !part.empty() && parsed.ptr == part.data() + part.size() && part[0] != '-';
      value = in.item(value, is_index ? Value::of_integer(index) : in.text(part));
      if (value.is(Kind::kUndefined) && !otherwise.is(Kind::kNone)) return otherwise;
      if (dot == rest.size()) break;
      rest.remove_prefix(dot + 1);
    }
  } else if (!attribute.is(Kind::kNone)) {
    in.fail("an attribute is a text or an index, not a {}", type_name(attribute));
  }
  return value;
}

/// What values are ordered and compared by: the attribute, in small letters unless case counts.
Value sort_key(Interpreter& in, const Value& value, const Value& attribute, bool case_sensitive) {
  const Value key = attribute_of(in, value, attribute);
  return key.is(Kind::kText) && !case_sensitive ? in.text(lower(key.text())) : key;
}

/// By several attributes: "a,b".
std::vector<Value> split_attributes(Interpreter& in, const Value& attribute) {
  if (!attribute.is(Kind::kText)) return {attribute};
  const Text comma(",");
  return split(in, attribute.text(), &comma, -1, false);
}

std::vector<Value> sorted(Interpreter& in, const std::vector<Value>& items, const Value& attribute,
                          bool case_sensitive, bool reverse) {
  const std::vector<Value> attributes = split_attributes(in, attribute);
  struct Keyed {
    std::vector<Value> keys;
    Value value;
  };
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    keyed.push_back({{}, item});
    for (const Value& part : attributes)
      keyed.back().keys.push_back(sort_key(in, item, part, case_sensitive));
  }
  const auto before = [&](const Keyed& a, const Keyed& b) {
    for (size_t i = 0; i < attributes.size(); ++i) {
      const int order = compare(in, a.keys[i], b.keys[i]);
      if (order != 0) return reverse ? order > 0 : order < 0;
    }
    return false;
  };
  std::stable_sort(keyed.begin(), keyed.end(), before);
  std::vector<Value> out;
  for (const Keyed& entry : keyed) out.push_back(entry.value);
  return out;
}

Value sort(Interpreter& in, const Value& subject, const Bound& arguments) {
  return in.list(sorted(in, elements(in, subject), arguments.value(2), arguments.flag(1, false),
                        arguments.flag(0, false)));
}

Value dict_sort(Interpreter& in, const Value& subject, const Bound& arguments) {
  need_defined(in, subject);
  if (!subject.is(Kind::kDict)) in.fail("dictsort of a {}", type_name(subject));
  const std::string_view by = arguments.text(1, "key");
  if (by != "key" && by != "value") in.fail("dictsort knows key and value, not \"{}\"", by);
  std::vector<Value> pairs;
  for (const auto& [key, value] : subject.dict().entries) pairs.push_back(in.tuple({key, value}));
  return in.list(sorted(in, pairs, Value::of_integer(by == "key" ? 0 : 1), arguments.flag(0, false),
                        arguments.flag(2, false)));
}

Value unique(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value seen = in.dict();
  std::vector<Value> out;
  for (const Value& item : elements(in, subject)) {
    const Value key = sort_key(in, item, arguments.value(1), arguments.flag(0, false));
    if (seen.dict().find(in, key) != nullptr) continue;
    seen.dict().set(in, key, {});
    out.push_back(item);
  }
  return in.list(std::move(out), ListKind::kGenerator);
}

Value extreme(Interpreter& in, const Value& subject, const Bound& arguments, int sign) {
  const std::vector<Value> items = elements(in, subject);
  if (items.empty()) return in.undefined("no item, and so no smallest or largest");
  const auto key = [&](const Value& item) {
    return sort_key(in, item, arguments.value(1), arguments.flag(0, false));
  };
  Value best = items[0], best_key = key(best);
  for (size_t i = 1; i < items.size(); ++i) {
    const Value next = key(items[i]);
    if (compare(in, next, best_key) * sign > 0) best = items[i], best_key = next;
  }
  return best;
}

Value group_by(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value attribute = arguments.value(0), otherwise = arguments.value(1);
  const bool case_sensitive = arguments.flag(2, false);
  std::vector<std::pair<Value, Value>> keyed;  // key, item
  for (const Value& item : elements(in, subject)) {
    const Value key = attribute_of(in, item, attribute, otherwise);
    keyed.emplace_back(key.is(Kind::kText) && !case_sensitive ? in.text(lower(key.text())) : key, item);
  }
  std::stable_sort(keyed.begin(), keyed.end(),
                   [&](const auto& a, const auto& b) { return compare(in, a.first, b.first) < 0; });
  std::vector<Value> groups;
  for (size_t i = 0; i < keyed.size();) {
    std::vector<Value> members;
    const size_t first = i;
    for (; i < keyed.size() && equal(in, keyed[i].first, keyed[first].first); ++i)
      members.push_back(keyed[i].second);
    const Value grouper = attribute_of(in, keyed[first].second, attribute, otherwise);
    groups.push_back(in.list({grouper, in.list(std::move(members))}, ListKind::kTuple, "group"));
  }
  return in.list(std::move(groups));
}

// --- taking items ---

Value first(Interpreter& in, const Value& subject, const Bound&) {
  const std::vector<Value> items = elements(in, subject);
  return items.empty() ? in.undefined("there is no first item") : items.front();
}

Value last(Interpreter& in, const Value& subject, const Bound&) {
  if (subject.is(Kind::kList) && subject.list().kind == ListKind::kGenerator)
    in.fail("a generator has no last item");
  const std::vector<Value> items = elements(in, subject);
  return items.empty() ? in.undefined("there is no last item") : items.back();
}

Value join(Interpreter& in, const Value& subject, const Bound& arguments) {
  std::vector<Value> items = elements(in, subject);
  if (arguments.given(1)) {
    for (Value& item : items) item = attribute_of(in, item, arguments.value(1));
  }
  return in.text(joined_by(in, as_text(in, arguments.value(0, in.text(""))).text(), items));
}

Value reversed(Interpreter& in, const Value& subject, const Bound&) {
  std::vector<Value> items = elements(in, subject);
  std::reverse(items.begin(), items.end());
  if (subject.is(Kind::kText)) return in.text(joined_by(in, Text(), items));
  return in.list(std::move(items), ListKind::kGenerator);
}

Value sum(Interpreter& in, const Value& subject, const Bound& arguments) {
  Value total = arguments.value(1, Value::of_integer(0));
  for (const Value& item : elements(in, subject)) {
    total = arithmetic(in, "+", total, attribute_of(in, item, arguments.value(0)));
  }
  return total;
}

Value items(Interpreter& in, const Value& subject, const Bound&) {
  if (subject.is(Kind::kUndefined)) return in.list({}, ListKind::kGenerator);
  if (!subject.is(Kind::kDict)) in.fail("items of a {}: it wants a dictionary", type_name(subject));
  std::vector<Value> pairs;
  for (const auto& [key, value] : subject.dict().entries) pairs.push_back(in.tuple({key, value}));
  return in.list(std::move(pairs), ListKind::kGenerator);
}

Value batch(Interpreter& in, const Value& subject, const Bound& arguments) {
  const int64_t size = arguments.integer(0, 1);
  if (size < 1) in.fail("batch of {} items", size);
  std::vector<Value> rows, row;
  for (const Value& item : elements(in, subject)) {
    if (static_cast<int64_t>(row.size()) == size) rows.push_back(in.list(std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) {
    while (arguments.given(1) && static_cast<int64_t>(row.size()) < size) {
      in.charge_bytes(sizeof(Value));
      row.push_back(arguments.value(1));
    }
    rows.push_back(in.list(std::move(row)));
  }
  return in.list(std::move(rows), ListKind::kGenerator);
}

Value slices(Interpreter& in, const Value& subject, const Bound& arguments) {
  const std::vector<Value> all = elements(in, subject);
  const int64_t count = arguments.integer(0, 1);
  if (count < 1) in.fail("{} slices", count);
  const auto length = static_cast<int64_t>(all.size());
  std::vector<Value> out;
  auto at = all.begin();
  for (int64_t i = 0; i < count; ++i) {
    const bool longer = i < length % count;
    std::vector<Value> part(at, at + length / count + (longer ? 1 : 0));
    at += static_cast<ptrdiff_t>(part.size());
    if (arguments.given(1) && !longer) part.push_back(arguments.value(1));
    out.push_back(in.list(std::move(part)));
  }
  return in.list(std::move(out), ListKind::kGenerator);
}

// --- map, select and reject ---

Value map(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Arguments& all = arguments.all;
  std::vector<Value> out;
  if (all.positional.empty()) {
    Value attribute, otherwise;
    for (const auto& [name, value] : all.named) {
      if (name != "attribute" && name != "default") in.fail("map has no parameter \"{}\"", name);
      (name == "attribute" ? attribute : otherwise) = value;
    }
    if (attribute.is(Kind::kNone)) in.fail("map wants a filter's name or an attribute");
    for (const Value& item : elements(in, subject))
      out.push_back(attribute_of(in, item, attribute, otherwise));
    return in.list(std::move(out), ListKind::kGenerator);
  }
  if (!all.positional[0].is(Kind::kText))
    in.fail("map wants a filter's name, not a {}", type_name(all.positional[0]));
  const Arguments rest{{all.positional.begin() + 1, all.positional.end()}, all.named};
  for (const Value& item : elements(in, subject)) {
    out.push_back(in.apply_filter(all.positional[0].bytes(), item, rest));
  }
  return in.list(std::move(out), ListKind::kGenerator);
}

/// Items for which a test (or their own truth) holds, or does not; `by_attribute`: of the attribute named
/// first.
Value chosen(Interpreter& in, const Value& subject, const Bound& arguments, bool wanted, bool by_attribute) {
  std::vector<Value> rest = arguments.all.positional;
  Value attribute;
  if (by_attribute) {
    if (rest.empty()) in.fail("\"{}\" wants the name of an attribute", arguments.name);
    attribute = rest[0];
    rest.erase(rest.begin());
  }
  std::string_view test;
  if (!rest.empty()) {
    if (!rest[0].is(Kind::kText))
      in.fail("\"{}\" wants a test's name, not a {}", arguments.name, type_name(rest[0]));
    test = rest[0].bytes();
    rest.erase(rest.begin());
  }
  const Arguments passed{rest, arguments.all.named};
  std::vector<Value> out;
  for (const Value& item : elements(in, subject)) {
    const Value value = by_attribute ? attribute_of(in, item, attribute) : item;
    const bool holds = test.empty() ? is_true(value) : in.apply_test(test, value, passed);
    if (holds == wanted) out.push_back(item);
  }
  return in.list(std::move(out), ListKind::kGenerator);
}

Value otherwise(Interpreter& in, const Value& subject, const Bound& arguments) {
  const bool replaced = subject.is(Kind::kUndefined) || (arguments.flag(1, false) && !is_true(subject));
  return replaced ? arguments.value(0, in.text("")) : subject;
}

/// An attribute that is no key: a method or an object's own.
Value attr(Interpreter& in, const Value& subject, const Bound& arguments) {
  const std::string_view name = arguments.text(0);
  if (subject.is(Kind::kDict) && find_method(subject, name) == nullptr) {
    return in.undefined(fmt::format("a dict has no attribute \"{}\"", name));
  }
  return in.attribute(subject, name);
}

#define FILTER(...) [](Interpreter& in, const Value& subject, const Bound& arguments) -> Value { __VA_ARGS__ }

const Function kListFilters[] = {
    {"default", otherwise, {"default_value?", "boolean?"}},
    {"d", otherwise, {"default_value?", "boolean?"}},
    {"length", FILTER(return Value::of_integer(length_of(in, subject));)},
    {"count", FILTER(return Value::of_integer(length_of(in, subject));)},
    {"first", first},
    {"last", last},
    {"join", join, {"d?", "attribute?"}},
    {"list", FILTER(return in.list(elements(in, subject));)},
    {"reverse", reversed},
    {"sort", sort, {"reverse?", "case_sensitive?", "attribute?"}},
    {"dictsort", dict_sort, {"case_sensitive?", "by?", "reverse?"}},
    {"unique", unique, {"case_sensitive?", "attribute?"}},
    {"min", FILTER(return extreme(in, subject, arguments, -1);), {"case_sensitive?", "attribute?"}},
    {"max", FILTER(return extreme(in, subject, arguments, 1);), {"case_sensitive?", "attribute?"}},
    {"groupby", group_by, {"attribute", "default?", "case_sensitive?"}},
    {"sum", sum, {"attribute?", "start?"}},
    {"items", items},
    {"batch", batch, {"linecount", "fill_with?"}},
    {"slice", slices, {"slices", "fill_with?"}},
    {"map", map, {"*"}},
    {"select", FILTER(return chosen(in, subject, arguments, true, false);), {"*"}},
    {"reject", FILTER(return chosen(in, subject, arguments, false, false);), {"*"}},
    {"selectattr", FILTER(return chosen(in, subject, arguments, true, true);), {"*"}},
    {"rejectattr", FILTER(return chosen(in, subject, arguments, false, true);), {"*"}},
    {"attr", attr, {"name"}},
};

#undef FILTER

}  // namespace

std::span<const Function> list_filters() {
  return kListFilters;
}

}  // namespace wattle::jinja
