#include "jinja/template.h"

#include "base/utf8.h"
#include "jinja/interpreter.h"
#include "jinja/syntax.h"

namespace wattle::jinja {
namespace {

Value of_json(Context& context, const Argument::Json& json, Source source) {
  const Context::Nested nested(context);
  switch (json.type()) {
    case Argument::Json::value_t::boolean:
      return Value::of_bool(json.get<bool>());
    case Argument::Json::value_t::number_integer:
      return Value::of_integer(json.get<int64_t>());
    case Argument::Json::value_t::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return Value::of_float(json.get<double>());
      return Value::of_integer(json.get<int64_t>());
    case Argument::Json::value_t::number_float:
      return Value::of_float(json.get<double>());
    case Argument::Json::value_t::string:
      return context.text(Text(repaired_utf8(json.get_ref<const std::string&>()), source));
    case Argument::Json::value_t::array: {
      std::vector<Value> items;
      for (const Argument::Json& item : json) items.push_back(of_json(context, item, source));
      return context.list(std::move(items));
    }
    case Argument::Json::value_t::object: {
      const Value made = context.dict();
      for (const auto& [key, value] : json.items()) {
        const Value name = context.text(Text(repaired_utf8(key), source));
        made.dict().set(context, name, of_json(context, value, source));
      }
      return made;
    }
    default:
      return {};
  }
}

}  // namespace

Argument Argument::list(std::vector<Argument> items) {
  Argument argument{Json()};
  argument.form_ = Form::kList;
  for (Argument& item : items) argument.members_.emplace_back(std::string(), std::move(item));
  return argument;
}

Argument Argument::object(std::vector<std::pair<std::string, Argument>> members) {
  Argument argument{Json()};
  argument.form_ = Form::kObject;
  argument.members_ = std::move(members);
  return argument;
}

Value Argument::made(Context& context) const {
  const Context::Nested nested(context);
  if (form_ == Form::kJson) return of_json(context, value_, source_);
  if (form_ == Form::kList) {
    std::vector<Value> items;
    for (const auto& [name, member] : members_) items.push_back(member.made(context));
    return context.list(std::move(items));
  }
  const Value made = context.dict();
  for (const auto& [name, member] : members_) {
    made.dict().set(context, context.text(name), member.made(context));
  }
  return made;
}

struct Template::Parsed {
  std::string name;
  Body body;
};

Template::Template(std::string_view source, std::string name) {
  Body body = parse(repaired_utf8(source), name);
  parsed_ = std::make_unique<const Parsed>(Parsed{std::move(name), std::move(body)});
}

Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

Text Template::render(const Variables& variables, std::optional<std::chrono::local_seconds> now,
                      const Limits& limits) const {
  Interpreter interpreter(parsed_->name, limits);
  interpreter.now = now;
  for (const auto& [name, argument] : variables) interpreter.define(name, argument.made(interpreter));
  return interpreter.render(parsed_->body);
}

}  // namespace wattle::jinja
