#include <algorithm>

#include "jinja/functions.h"
#include "jinja/operators.h"

namespace wattle::jinja {
namespace {

bool is_list(const Value& value) {
  return value.is(Kind::kList) && value.list().kind == ListKind::kList;
}

std::vector<Value>& items_to_change(Interpreter& in, const Value& subject, std::string_view name) {
  if (!is_list(subject)) in.fail("a {} has no \"{}\"", type_name(subject), name);
  return subject.list().items;
}

/// The place of an item in a list, or its size.
size_t place_of(Interpreter& in, const Value& subject, const Value& wanted) {
  const auto& items = subject.list().items;
  size_t i = 0;
  while (i < items.size() && !equal(in, items[i], wanted)) ++i;
  return i;
}

Value append(Interpreter& in, const Value& subject, const Bound& arguments) {
  in.charge_bytes(sizeof(Value));
  items_to_change(in, subject, "append").push_back(arguments.value(0));
  return {};
}

Value extend(Interpreter& in, const Value& subject, const Bound& arguments) {
  const std::vector<Value> more = elements(in, arguments.value(0));
  in.charge_bytes(more.size() * sizeof(Value));
  auto& items = items_to_change(in, subject, "extend");
  items.insert(items.end(), more.begin(), more.end());
  return {};
}

Value insert(Interpreter& in, const Value& subject, const Bound& arguments) {
  auto& items = items_to_change(in, subject, "insert");
  const auto size = static_cast<int64_t>(items.size());
  const int64_t index = arguments.integer(0, 0);
  in.charge_bytes(sizeof(Value));
  in.charge(size / 16);
  items.insert(items.begin() + std::clamp<int64_t>(index < 0 ? index + size : index, 0, size),
               arguments.value(1));
  return {};
}

Value list_pop(Interpreter& in, const Value& subject, const Bound& arguments) {
  auto& items = items_to_change(in, subject, "pop");
  const auto size = static_cast<int64_t>(items.size());
  int64_t index = arguments.integer(0, -1);
  if (index < 0) index += size;
  if (index < 0 || index >= size) in.fail("pop from a list that has no such item");
  in.charge(size / 16);
  const Value value = items[static_cast<size_t>(index)];
  items.erase(items.begin() + index);
  return value;
}

Value remove(Interpreter& in, const Value& subject, const Bound& arguments) {
  auto& items = items_to_change(in, subject, "remove");
  const size_t place = place_of(in, subject, arguments.value(0));
  if (place == items.size()) in.fail("remove: the item is not in the list");
  items.erase(items.begin() + static_cast<ptrdiff_t>(place));
  return {};
}

Value list_index(Interpreter& in, const Value& subject, const Bound& arguments) {
  const size_t place = place_of(in, subject, arguments.value(0));
  if (place == subject.list().items.size()) in.fail("index: the item is not in the list");
  return Value::of_integer(static_cast<int64_t>(place));
}

Value list_count(Interpreter& in, const Value& subject, const Bound& arguments) {
  int64_t found = 0;
  for (const Value& item : subject.list().items) found += equal(in, item, arguments.value(0)) ? 1 : 0;
  return Value::of_integer(found);
}

Value reverse(Interpreter& in, const Value& subject, const Bound&) {
  auto& items = items_to_change(in, subject, "reverse");
  in.charge(static_cast<int64_t>(items.size()));
  std::reverse(items.begin(), items.end());
  return {};
}

Value list_clear(Interpreter& in, const Value& subject, const Bound&) {
  items_to_change(in, subject, "clear").clear();
  return {};
}

Value list_copy(Interpreter& in, const Value& subject, const Bound&) {
  return in.list(subject.list().items);
}

// --- dictionaries ---

Value get(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value* found = subject.dict().find(in, arguments.value(0));
  return found != nullptr ? *found : arguments.value(1);
}

Value items(Interpreter& in, const Value& subject, const Bound&) {
  std::vector<Value> pairs;
  for (const auto& [key, value] : subject.dict().entries) pairs.push_back(in.tuple({key, value}));
  return in.list(std::move(pairs), ListKind::kView, "dict_items");
}

Value keys(Interpreter& in, const Value& subject, const Bound&) {
  std::vector<Value> all;
  for (const auto& [key, value] : subject.dict().entries) all.push_back(key);
  return in.list(std::move(all), ListKind::kView, "dict_keys");
}

Value values(Interpreter& in, const Value& subject, const Bound&) {
  std::vector<Value> all;
  for (const auto& [key, value] : subject.dict().entries) all.push_back(value);
  return in.list(std::move(all), ListKind::kView, "dict_values");
}

Value update(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value made = find_global("dict")->call(in, {}, arguments);
  for (const auto& [key, value] : made.dict().entries) subject.dict().set(in, key, value);
  return {};
}

Value dict_copy(Interpreter& in, const Value& subject, const Bound&) {
  const Value made = in.dict();
  for (const auto& [key, value] : subject.dict().entries) made.dict().set(in, key, value);
  return made;
}

Value dict_pop(Interpreter& in, const Value& subject, const Bound& arguments) {
  const Value* found = subject.dict().find(in, arguments.value(0));
  if (found == nullptr) {
    if (arguments.all.positional.size() < 2) in.fail("pop: the dictionary has no such key");
    return arguments.value(1);
  }
  const Value value = *found;
  subject.dict().erase(in, arguments.value(0));
  return value;
}

Value set_default(Interpreter& in, const Value& subject, const Bound& arguments) {
  if (const Value* found = subject.dict().find(in, arguments.value(0))) return *found;
  subject.dict().set(in, arguments.value(0), arguments.value(1));
  return arguments.value(1);
}

constexpr Function kListMethods[] = {
    {"append", append, {"object"}},
    {"extend", extend, {"iterable"}},
    {"insert", insert, {"index", "object"}},
    {"pop", list_pop, {"index?"}},
    {"remove", remove, {"value"}},
    {"index", list_index, {"value"}},
    {"count", list_count, {"value"}},
    {"reverse", reverse, {}},
    {"clear", list_clear, {}},
    {"copy", list_copy, {}},
};

constexpr Function kDictMethods[] = {
    {"get", get, {"key", "default?"}},
    {"items", items, {}},
    {"keys", keys, {}},
    {"values", values, {}},
    {"update", update, {"*"}},
    {"copy", dict_copy, {}},
    {"pop", dict_pop, {"key", "default?"}},
    {"setdefault", set_default, {"key", "default?"}},
};

constexpr std::string_view kTupleMethods[] = {"index", "count"};

}  // namespace

std::span<const Function> list_methods() {
  return kListMethods;
}
std::span<const Function> dict_methods() {
  return kDictMethods;
}

const Function* find_in(std::span<const Function> functions, std::string_view name) {
  const auto found =
      std::find_if(functions.begin(), functions.end(), [&](const Function& f) { return f.name == name; });
  return found == functions.end() ? nullptr : &*found;
}

const Function* find_method(const Value& receiver, std::string_view name) {
  switch (receiver.kind()) {
    case Kind::kText:
      return find_in(text_methods(), name);
    case Kind::kDict:
      return find_in(dict_methods(), name);
    case Kind::kList:
      if (receiver.list().kind == ListKind::kList) return find_in(list_methods(), name);
      if (receiver.list().kind == ListKind::kTuple &&
          std::find(std::begin(kTupleMethods), std::end(kTupleMethods), name) != std::end(kTupleMethods)) {
        return find_in(list_methods(), name);
      }
      return nullptr;
    default:
      return nullptr;
  }
}

const Function* find_filter(std::string_view name) {
  const Function* const found = find_in(text_filters(), name);
  return found != nullptr ? found : find_in(list_filters(), name);
}

}  // namespace wattle::jinja
