#include "jinja/value.h"

#include <algorithm>
#include <cmath>

#include "base/utf8.h"

namespace wattle::jinja {
namespace {

/// A text that is the same for keys that Python takes as equal.
void append_key(Context& context, const Value& key, std::string& out) {
  switch (key.kind()) {
    case Kind::kText:
      out += 's';
      out += key.bytes();
      return;
    case Kind::kNone:
      out += 'n';
      return;
    case Kind::kUndefined:
      out += 'u';
      return;
    case Kind::kBool:
    case Kind::kInteger:
      out += fmt::format("i{}", key.integer());
      return;
    case Kind::kFloat:
      if (std::abs(key.number()) < 1e15 && key.number() == std::trunc(key.number())) {
        out += fmt::format("i{}", static_cast<int64_t>(key.number()));
      } else {
        out += fmt::format("f{}", key.number());
      }
      return;
    case Kind::kObject:
      out += fmt::format("o{}", static_cast<const void*>(&key.object()));
      return;
    case Kind::kList:
      if (key.list().kind == ListKind::kTuple) {
        const Context::Nested nested(context);
        out += fmt::format("t{}:", key.list().items.size());
        for (const Value& item : key.list().items) {
          std::string part;
          append_key(context, item, part);
          out += fmt::format("{}:", part.size()) + part;
        }
        return;
      }
      [[fallthrough]];
    case Kind::kDict:
      context.fail("a {} cannot be a key", type_name(key));
  }
}

std::string canonical(Context& context, const Value& key) {
  std::string out;
  append_key(context, key, out);
  context.charge(1 + static_cast<int64_t>(out.size()) / 64);
  return out;
}

bool equal_lists(Context& context, const List& a, const List& b) {
  const auto is_sequence = [](const List& list) {
    return list.kind == ListKind::kList || list.kind == ListKind::kTuple;
  };
  if (&a == &b) return true;
  if ((a.kind != b.kind) || (!is_sequence(a) && a.view != b.view)) return false;
  if (a.kind == ListKind::kGenerator || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!equal(context, a.items[i], b.items[i])) return false;
  }
  return true;
}

bool equal_dicts(Context& context, Dict& a, Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = b.find(context, key);
    if (other == nullptr || !equal(context, value, *other)) return false;
  }
  return true;
}

template <typename Number>
int order(Number a, Number b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

}  // namespace

Value* Dict::find(Context& context, const Value& key) {
  const auto found = index_.find(canonical(context, key));
  return found == index_.end() ? nullptr : &entries[found->second].second;
}

Value* Dict::find(std::string_view key) {
  const auto found = index_.find(std::string(1, 's').append(key));
  return found == index_.end() ? nullptr : &entries[found->second].second;
}

void Dict::set(Context& context, const Value& key, const Value& value) {
  std::string name = canonical(context, key);
  const size_t bytes = name.size();
  const auto [place, is_new] = index_.try_emplace(std::move(name), entries.size());
  if (!is_new) {
    entries[place->second].second = value;
    return;
  }
  context.charge_bytes(128 + bytes);
  entries.emplace_back(key, value);
}

bool Dict::erase(Context& context, const Value& key) {
  const auto found = index_.find(canonical(context, key));
  if (found == index_.end()) return false;
  const size_t place = found->second;
  index_.erase(found);
  entries.erase(entries.begin() + static_cast<ptrdiff_t>(place));
  context.charge(static_cast<int64_t>(index_.size()));
  for (auto& [name, position] : index_) position -= position > place ? 1 : 0;
  return true;
}

Value Object::call(Interpreter& interpreter, const Arguments&) {
  fail("a {} cannot be called", type_name());
}

Value Context::text(Text text) {
  charge_bytes(sizeof(Text) + text.size());
  return Value::of_text(&texts_.emplace_back(std::move(text)));
}

Value Context::list(std::vector<Value> items, ListKind kind, std::string_view view) {
  charge_bytes(sizeof(List) + items.size() * sizeof(Value));
  return Value::of_list(&lists_.emplace_back(List{std::move(items), kind, view, {}, false}));
}

Value Context::dict() {
  charge_bytes(sizeof(Dict));
  return Value::of_dict(&dicts_.emplace_back());
}

Value Context::undefined(std::string why) {
  charge_bytes(sizeof(Text) + why.size());
  return Value::undefined(&texts_.emplace_back(why));
}

Value Context::object(std::unique_ptr<Object> object) {
  charge_bytes(128);
  return Value::of_object(objects_.emplace_back(std::move(object)).get());
}

void Context::charge_bytes(size_t bytes) {
  if (bytes > static_cast<size_t>(limits_.bytes - bytes_)) over("bytes", limits_.bytes);
  bytes_ += static_cast<int64_t>(bytes);
  charge(static_cast<int64_t>(bytes / 64));
}

void Context::fail_with(const std::string& what) const {
  throw Error(fmt::format("{}, line {}: {}", name_, line, what));
}

void Context::over(std::string_view what, int64_t limit) const {
  fail("the template takes more than {} {} on this input; shorten the input, or correct the template", limit,
       what);
}

std::string type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInteger:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kText:
      return "str";
    case Kind::kDict:
      return "dict";
    case Kind::kObject:
      return value.object().type_name();
    case Kind::kList:
      break;
  }
  switch (value.list().kind) {
    case ListKind::kList:
      return "list";
    case ListKind::kTuple:
      return "tuple";
    case ListKind::kGenerator:
      return "generator";
    default:
      return std::string(value.list().view);
  }
}

bool is_true(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInteger:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.number() != 0;
    case Kind::kText:
      return !value.text().empty();
    case Kind::kList:
      return value.list().kind == ListKind::kGenerator || !value.list().items.empty();
    case Kind::kDict:
      return !value.dict().entries.empty();
    case Kind::kObject:
      return true;
  }
  return true;
}

bool equal(Context& context, const Value& a, const Value& b) {
  const Context::Nested nested(context);
  context.charge(1);
  if (a.is_integral() && b.is_integral()) return a.integer() == b.integer();
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kText:
      context.charge(static_cast<int64_t>(a.text().size()) / 64);
      return a.bytes() == b.bytes();
    case Kind::kList:
      return equal_lists(context, a.list(), b.list());
    case Kind::kDict:
      return a.same_as(b) || equal_dicts(context, a.dict(), b.dict());
    case Kind::kObject:
      return a.same_as(b);
    default:
      return true;
  }
}

int compare(Context& context, const Value& a, const Value& b) {
  const Context::Nested nested(context);
  context.charge(1);
  if (a.is_integral() && b.is_integral()) return order(a.integer(), b.integer());
  if (a.is_number() && b.is_number()) return order(a.number(), b.number());
  if (a.is(Kind::kText) && b.is(Kind::kText)) {
    context.charge(static_cast<int64_t>(a.text().size()) / 64);
    return order(a.bytes().compare(b.bytes()), 0);
  }
  if (a.is(Kind::kUndefined)) context.fail_with(std::string(a.bytes()));
  if (b.is(Kind::kUndefined)) context.fail_with(std::string(b.bytes()));
  if (a.is(Kind::kList) && b.is(Kind::kList) && a.list().kind == b.list().kind &&
      (a.list().kind == ListKind::kList || a.list().kind == ListKind::kTuple)) {
    const auto &x = a.list().items, &y = b.list().items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!equal(context, x[i], y[i])) return compare(context, x[i], y[i]);
    }
    return order(x.size(), y.size());
  }
  context.fail("a {} and a {} cannot be ordered", type_name(a), type_name(b));
}

bool is_iterable(const Value& value) {
  return value.is(Kind::kText) || value.is(Kind::kList) || value.is(Kind::kDict) ||
         value.is(Kind::kUndefined);
}

std::vector<Value> elements(Context& context, const Value& iterable) {
  std::vector<Value> items;
  switch (iterable.kind()) {
    case Kind::kUndefined:
      return items;
    case Kind::kText: {
      const Text& text = iterable.text();
      for (size_t i = 0; i < text.size();) {
        const size_t end = i + decode_utf8(text.bytes(), i).bytes;
        items.push_back(context.text(text.part(i, end)));
        i = end;
      }
      return items;
    }
    case Kind::kDict:
      for (const auto& [key, value] : iterable.dict().entries) items.push_back(key);
      break;
    case Kind::kList: {
      List& list = iterable.list();
      if (list.used_up) return items;
      list.used_up = list.kind == ListKind::kGenerator;
      items = list.items;
      break;
    }
    default:
      context.fail("a {} is nothing to iterate over", type_name(iterable));
  }
  context.charge(static_cast<int64_t>(items.size()));
  return items;
}

int64_t length_of(Context& context, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kText:
      context.charge(static_cast<int64_t>(value.text().size()) / 64);
      return static_cast<int64_t>(count_characters(value.bytes()));
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().entries.size());
    case Kind::kList:
      if (value.list().kind != ListKind::kGenerator) return static_cast<int64_t>(value.list().items.size());
      [[fallthrough]];
    default:
      context.fail("a {} has no length", type_name(value));
  }
}

bool contains(Context& context, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kText:
      if (!item.is(Kind::kText)) {
        context.fail("only a text can be in a text, not a {}", type_name(item));
      }
      context.charge(static_cast<int64_t>(container.text().size()) / 64);
      return container.bytes().find(item.bytes()) != std::string_view::npos;
    case Kind::kDict:
      return container.dict().find(context, item) != nullptr;
    default:
      for (const Value& element : elements(context, container)) {
        if (equal(context, element, item)) return true;
      }
      return false;
  }
}

}  // namespace wattle::jinja
