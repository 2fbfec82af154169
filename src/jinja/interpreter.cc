#include "jinja/interpreter.h"

#include <algorithm>

#include "jinja/format.h"
#include "jinja/objects.h"
#include "jinja/operators.h"

namespace wattle::jinja {

// --- statements ---

Text Interpreter::render(const Body& body) {
  Text text;
  out_ = &text;
  run(body, new_scope(root_));
  return text;
}

void Interpreter::print(const Value& value) {
  if (value.is(Kind::kUndefined)) return;
  const size_t before = out_->size();
  if (value.is(Kind::kText)) {
    out_->append(value.text());
  } else {
    out_->append(to_text(*this, value));
  }
  charge_bytes(out_->size() - before);
}

Interpreter::Flow Interpreter::run(const Body& body, Scope& scope) {
  for (const Statement& statement : body) {
    const Flow flow = run(statement, scope);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run(const Statement& statement, Scope& scope) {
  const Nested nested(*this);
  charge(1);
  line = statement.line;
  switch (statement.kind) {
    case StatementKind::kData:
      charge_bytes(statement.text.size());
      out_->append(statement.text);
      break;
    case StatementKind::kPrint:
      print(evaluate(*statement.expressions[0], scope));
      break;
    case StatementKind::kIf:
      return run_if(statement, scope);
    case StatementKind::kFor:
      return run_for({&statement, &scope, 0}, evaluate(*statement.expressions[1], scope));
    case StatementKind::kSet:
      run_set(statement, scope);
      break;
    case StatementKind::kSetBlock:
      run_set_block(statement, scope);
      break;
    case StatementKind::kMacro:
      assign(scope, statement.text, object(std::make_unique<Macro>(statement, scope)));
      break;
    case StatementKind::kCall:
      run_call_block(statement, scope);
      break;
    case StatementKind::kFilter:
      return run_filter_block(statement, scope);
    case StatementKind::kWith:
      return run_with(statement, scope);
    case StatementKind::kScope:
      return run(statement.bodies[0], new_scope(scope));
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_if(const Statement& statement, Scope& scope) {
  for (size_t i = 0; i < statement.expressions.size(); ++i) {
    if (is_true(evaluate(*statement.expressions[i], scope))) return run(statement.bodies[i], scope);
  }
  const bool has_else = statement.bodies.size() > statement.expressions.size();
  return has_else ? run(statement.bodies.back(), scope) : Flow::kNext;
}

std::vector<Value> Interpreter::loop_items(const Statement& statement, Scope& scope, const Value& iterable) {
  std::vector<Value> items = elements(*this, iterable);
  if (statement.expressions[2] == nullptr) return items;
  std::erase_if(items, [&](const Value& item) {
    Scope& inner = new_scope(scope);
    assign_target(inner, *statement.expressions[0], item);
    return !is_true(evaluate(*statement.expressions[2], inner));
  });
  return items;
}

Interpreter::Flow Interpreter::run_for(const LoopPlace& place, const Value& iterable) {
  const Statement& statement = *place.statement;
  line = statement.line;
  std::vector<Value> items = loop_items(statement, *place.scope, iterable);
  charge_bytes(items.size() * sizeof(Value));
  if (items.empty()) return run(statement.bodies[1], new_scope(*place.scope));
  const Value value = object(std::make_unique<Loop>(statement, *place.scope, std::move(items), place.depth));
  Loop& loop = static_cast<Loop&>(value.object());
  for (loop.index = 0; loop.index < loop.items.size(); ++loop.index) {
    Scope& scope = new_scope(*place.scope);
    assign(scope, "loop", value);
    line = statement.line;
    assign_target(scope, *statement.expressions[0], loop.items[loop.index]);
    if (run(statement.bodies[0], scope) == Flow::kBreak) break;
  }
  return Flow::kNext;
}

void Interpreter::run_set(const Statement& statement, Scope& scope) {
  assign_target(scope, *statement.expressions[0], evaluate(*statement.expressions[1], scope));
}

void Interpreter::run_set_block(const Statement& statement, Scope& scope) {
  Value value = captured([&] { run(statement.bodies[0], new_scope(scope)); });
  if (statement.expressions[1] != nullptr) value = evaluate_filter(*statement.expressions[1], scope, &value);
  assign_target(scope, *statement.expressions[0], value);
}

void Interpreter::run_call_block(const Statement& statement, Scope& scope) {
  Arguments more;
  more.named.emplace_back("caller", object(std::make_unique<Macro>(statement, scope)));
  print(evaluate_call(*statement.expressions[0], scope, &more));
}

Interpreter::Flow Interpreter::run_filter_block(const Statement& statement, Scope& scope) {
  Flow flow = Flow::kNext;
  const Value value = captured([&] { flow = run(statement.bodies[0], new_scope(scope)); });
  print(evaluate_filter(*statement.expressions[0], scope, &value));
  return flow;
}

Interpreter::Flow Interpreter::run_with(const Statement& statement, Scope& scope) {
  Scope& inner = new_scope(scope);
  for (size_t i = 0; i < statement.expressions.size(); i += 2) {
    assign_target(inner, *statement.expressions[i], evaluate(*statement.expressions[i + 1], scope));
  }
  return run(statement.bodies[0], inner);
}

// --- scopes ---

Scope& Interpreter::new_scope(Scope& parent) {
  charge_bytes(sizeof(Scope));
  return scopes_.emplace_back(Scope{&parent});
}

void Interpreter::assign(Scope& scope, std::string_view name, const Value& value) {
  for (auto& [known, held] : scope.variables) {
    if (known == name) {
      held = value;
      return;
    }
  }
  charge_bytes(sizeof(scope.variables[0]));
  scope.variables.emplace_back(name, value);
}

void Interpreter::assign_target(Scope& scope, const Node& target, const Value& value) {
  if (target.kind == NodeKind::kName) return assign(scope, target.text, value);
  if (target.kind == NodeKind::kAttribute) {
    const Value holder = look_up(scope, target.children[0]->text);
    need_defined(*this, holder);
    if (!holder.is(Kind::kObject) || !holder.object().set_attribute(*this, target.text, value)) {
      fail("{} is no namespace: its attributes cannot be set; make it one by namespace()",
           target.children[0]->text);
    }
    return;
  }
  need_defined(*this, value);
  const std::vector<Value> items = elements(*this, value);
  if (items.size() != target.children.size()) {
    fail("{} values for {} names", items.size(), target.children.size());
  }
  for (size_t i = 0; i < items.size(); ++i) assign_target(scope, *target.children[i], items[i]);
}

Value Interpreter::look_up(const Scope& scope, std::string_view name) {
  for (const Scope* at = &scope; at != nullptr; at = at->parent) {
    for (const auto& [known, value] : at->variables) {
      if (known == name) return value;
    }
  }
  if (const Function* function = find_global(name)) {
    if (name != "strftime_now" || now) return object(std::make_unique<BoundFunction>(*function, Value()));
  }
  return undefined(fmt::format("\"{}\" is undefined", name));
}

// --- expressions ---

Value Interpreter::evaluate(const Node& node, Scope& scope) {
  charge(1);
  switch (node.kind) {
    case NodeKind::kConstant:
      return node.constant;
    case NodeKind::kName:
      line = node.line;
      return look_up(scope, node.text);
    default: {
      const Nested nested(*this);
      return evaluate_nested(node, scope);
    }
  }
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<NodePointer>& nodes, Scope& scope) {
  std::vector<Value> values;
  values.reserve(nodes.size());
  for (const NodePointer& node : nodes) values.push_back(evaluate(*node, scope));
  return values;
}

Value Interpreter::evaluate_nested(const Node& node, Scope& scope) {
  const auto child = [&](size_t i) { return evaluate(*node.children[i], scope); };
  switch (node.kind) {
    case NodeKind::kTuple:
      return tuple(evaluate_all(node.children, scope));
    case NodeKind::kList:
      return list(evaluate_all(node.children, scope));
    case NodeKind::kDict: {
      const Value made = dict();
      for (size_t i = 0; i < node.children.size(); i += 2) {
        const Value key = child(i);
        made.dict().set(*this, key, child(i + 1));
      }
      return made;
    }
    case NodeKind::kAttribute: {
      const Value value = child(0);
      line = node.line;
      return attribute(value, node.text);
    }
    case NodeKind::kItem:
      return evaluate_item(node, scope);
    case NodeKind::kSlice:
      fail("a slice outside of a subscript");
    case NodeKind::kCall:
      return evaluate_call(node, scope);
    case NodeKind::kFilter:
      return evaluate_filter(node, scope, nullptr);
    case NodeKind::kTest: {
      const Value value = child(0);
      const Arguments arguments = evaluate_arguments(node.call, scope);
      line = node.line;
      return Value::of_bool(apply_test(node.text, value, arguments));
    }
    case NodeKind::kNot:
      return Value::of_bool(!is_true(child(0)));
    case NodeKind::kNegative:
      return negative(*this, child(0));
    case NodeKind::kPositive:
      return negative(*this, negative(*this, child(0)));
    case NodeKind::kAnd:
    case NodeKind::kOr: {
      Value value;
      for (size_t i = 0; i < node.children.size(); ++i) {
        value = child(i);
        if (is_true(value) == (node.kind == NodeKind::kOr)) break;
      }
      return value;
    }
    case NodeKind::kConditional:
      if (is_true(child(0))) return child(1);
      if (node.children[2] != nullptr) return child(2);
      return undefined("the inline if has no else, and its condition is false");
    case NodeKind::kCompare:
      return evaluate_compare(node, scope);
    default:
      return evaluate_chain(node, scope);
  }
}

Value Interpreter::evaluate_chain(const Node& node, Scope& scope) {
  if (node.kind == NodeKind::kConcat) {
    Text text;
    for (const NodePointer& child : node.children) text.append(to_text(*this, evaluate(*child, scope)));
    return this->text(std::move(text));
  }
  Value value = evaluate(*node.children[0], scope);
  for (size_t i = 0; i < node.operators.size(); ++i) {
    const Value next = evaluate(*node.children[i + 1], scope);
    line = node.line;
    value = arithmetic(*this, node.operators[i], value, next);
  }
  return value;
}

Value Interpreter::evaluate_compare(const Node& node, Scope& scope) {
  Value left = evaluate(*node.children[0], scope);
  for (size_t i = 0; i < node.operators.size(); ++i) {
    const Value right = evaluate(*node.children[i + 1], scope);
    line = node.line;
    if (!comparison(*this, node.operators[i], left, right)) return Value::of_bool(false);
    left = right;
  }
  return Value::of_bool(true);
}

Value Interpreter::evaluate_item(const Node& node, Scope& scope) {
  const Value value = evaluate(*node.children[0], scope);
  const Node& key = *node.children[1];
  if (key.kind != NodeKind::kSlice) {
    const Value index = evaluate(key, scope);
    line = node.line;
    return item(value, index);
  }
  const auto bound = [&](size_t i) {
    return key.children[i] != nullptr ? evaluate(*key.children[i], scope) : Value();
  };
  const Value from = bound(0), to = bound(1), step = bound(2);
  line = node.line;
  return slice(*this, value, from, to, step);
}

Arguments Interpreter::evaluate_arguments(const CallSyntax& call, Scope& scope) {
  Arguments arguments;
  arguments.positional = evaluate_all(call.positional, scope);
  for (const auto& [name, node] : call.named) arguments.named.emplace_back(name, evaluate(*node, scope));
  if (call.list != nullptr) {
    for (const Value& value : elements(*this, evaluate(*call.list, scope)))
      arguments.positional.push_back(value);
  }
  if (call.dict != nullptr) {
    const Value more = evaluate(*call.dict, scope);
    if (!more.is(Kind::kDict)) fail("** takes a dictionary, not a {}", type_name(more));
    for (const auto& [key, value] : more.dict().entries) {
      if (!key.is(Kind::kText)) fail("a parameter's name is a text, not a {}", type_name(key));
      arguments.named.emplace_back(key.bytes(), value);
    }
  }
  return arguments;
}

Value Interpreter::evaluate_call(const Node& node, Scope& scope, const Arguments* more) {
  const Node& callee = *node.children[0];
  // A method is called without making an object of it first.
  if (callee.kind == NodeKind::kAttribute) {
    const Value receiver = evaluate(*callee.children[0], scope);
    if (const Function* method = find_method(receiver, callee.text)) {
      Arguments arguments = evaluate_arguments(node.call, scope);
      if (more != nullptr) arguments.named.push_back(more->named[0]);
      line = node.line;
      return method->call(*this, receiver, Bound(*this, *method, arguments));
    }
    line = callee.line;
    const Value function = attribute(receiver, callee.text);
    Arguments arguments = evaluate_arguments(node.call, scope);
    if (more != nullptr) arguments.named.push_back(more->named[0]);
    line = node.line;
    return call(function, arguments);
  }
  const Value function = evaluate(callee, scope);
  Arguments arguments = evaluate_arguments(node.call, scope);
  if (more != nullptr) arguments.named.push_back(more->named[0]);
  line = node.line;
  return call(function, arguments);
}

Value Interpreter::evaluate_filter(const Node& node, Scope& scope, const Value* subject) {
  // In a filter block the innermost filter has no expression before it: it takes the block's text.
  const Value value = node.children.empty() ? *subject
                      : node.children[0]->kind == NodeKind::kFilter
                          ? evaluate_filter(*node.children[0], scope, subject)
                          : evaluate(*node.children[0], scope);
  const Arguments arguments = evaluate_arguments(node.call, scope);
  line = node.line;
  return apply_filter(node.text, value, arguments);
}

// --- calls ---

Value Interpreter::call(const Value& callee, const Arguments& arguments) {
  const Nested nested(*this);
  charge(1);
  need_defined(*this, callee);
  if (!callee.is(Kind::kObject) || !callee.object().callable())
    fail("a {} cannot be called", type_name(callee));
  return callee.object().call(*this, arguments);
}

Value Interpreter::apply_filter(std::string_view name, const Value& subject, const Arguments& arguments) {
  const Nested nested(*this);
  charge(1);
  const Function* const filter = find_filter(name);
  if (filter == nullptr) fail("the filter \"{}\" is not known here", name);
  return filter->call(*this, subject, Bound(*this, *filter, arguments));
}

bool Interpreter::apply_test(std::string_view name, const Value& subject, const Arguments& arguments) {
  charge(1);
  const Function* const test = find_test(name);
  if (test == nullptr) fail("the test \"{}\" is not known here", name);
  return is_true(test->call(*this, subject, Bound(*this, *test, arguments)));
}

Value Interpreter::attribute(const Value& value, std::string_view name) {
  need_defined(*this, value);
  if (const Function* method = find_method(value, name)) {
    return object(std::make_unique<BoundFunction>(*method, value));
  }
  if (value.is(Kind::kObject)) {
    if (const auto found = value.object().attribute(*this, name)) return *found;
  }
  if (value.is(Kind::kDict)) {
    if (const Value* found = value.dict().find(name)) return *found;
  }
  if (value.is(Kind::kList) && value.list().view == "group") {
    if (name == "grouper") return value.list().items[0];
    if (name == "list") return value.list().items[1];
  }
  return undefined(fmt::format("a {} has no \"{}\"", type_name(value), name));
}

Value Interpreter::item(const Value& value, const Value& key) {
  need_defined(*this, value);
  if (value.is(Kind::kDict) && !key.is(Kind::kUndefined)) {
    const bool hashable =
        !key.is(Kind::kDict) && !(key.is(Kind::kList) && key.list().kind != ListKind::kTuple);
    const Value* found = hashable ? value.dict().find(*this, key) : nullptr;
    if (found != nullptr) return *found;
  }
  const bool indexed =
      value.is(Kind::kText) || (value.is(Kind::kList) && value.list().kind != ListKind::kGenerator &&
                                (value.list().kind != ListKind::kView || value.list().view == "range"));
  if (indexed && key.is_integral()) {
    if (const auto found = at_index(*this, value, key.integer())) return *found;
  }
  if (key.is(Kind::kText)) return attribute(value, key.bytes());
  Text shown;
  append_repr(*this, key, shown);
  return undefined(fmt::format("a {} has no [{}]", type_name(value), shown.bytes()));
}

Value Interpreter::bind_macro(const Statement& statement, Scope& closure, const Arguments& arguments) {
  Scope& scope = new_scope(closure);
  const auto& parameters = statement.parameters;
  if (arguments.positional.size() > parameters.size() && !statement.uses_varargs) {
    fail("the macro \"{}\" takes not more than {} arguments", statement.text, parameters.size());
  }
  std::vector<bool> used(arguments.named.size());
  const auto named = [&](std::string_view name) -> const Value* {
    for (size_t i = 0; i < arguments.named.size(); ++i) {
      if (arguments.named[i].first != name) continue;
      used[i] = true;
      return &arguments.named[i].second;
    }
    return nullptr;
  };
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Value* given = named(parameters[i].name);
    if (i < arguments.positional.size()) {
      if (given != nullptr) fail("the macro \"{}\" got \"{}\" twice", statement.text, parameters[i].name);
      given = &arguments.positional[i];
    }
    if (given != nullptr) {
      assign(scope, parameters[i].name, *given);
    } else if (parameters[i].otherwise != nullptr) {
      assign(scope, parameters[i].name, evaluate(*parameters[i].otherwise, scope));
    } else {
      assign(scope, parameters[i].name,
             undefined(fmt::format("the parameter \"{}\" of the macro \"{}\" is not given",
                                   parameters[i].name, statement.text)));
    }
  }
  if (statement.uses_caller) {
    const Value* const caller = named("caller");
    assign(scope, "caller", caller != nullptr ? *caller : undefined("no caller is defined"));
  }
  if (statement.uses_varargs) {
    const size_t taken = std::min(arguments.positional.size(), parameters.size());
    assign(scope, "varargs",
           tuple({arguments.positional.begin() + static_cast<ptrdiff_t>(taken), arguments.positional.end()}));
  }
  const Value rest = dict();
  for (size_t i = 0; i < arguments.named.size(); ++i) {
    if (used[i]) continue;
    const auto& [name, value] = arguments.named[i];
    if (!statement.uses_kwargs) fail("the macro \"{}\" has no parameter \"{}\"", statement.text, name);
    rest.dict().set(*this, text(name), value);
  }
  if (statement.uses_kwargs) assign(scope, "kwargs", rest);
  return captured([&] { run(statement.bodies[0], scope); });
}

// --- arguments ---

Bound::Bound(Interpreter& interpreter, const Function& function, const Arguments& arguments)
    : name(function.name), all(arguments), interpreter_(interpreter) {
  const auto& parameters = function.parameters;
  if (parameters[0] == "*") return;
  const auto plain = [&](size_t i) {
    return parameters[i].ends_with('?') ? parameters[i].substr(0, parameters[i].size() - 1) : parameters[i];
  };
  size_t count = 0;
  while (count < parameters.size() && !parameters[count].empty()) ++count;
  if (arguments.positional.size() > count) {
    interpreter.fail("\"{}\" takes {} arguments, and {} are given", name, count, arguments.positional.size());
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = arguments.positional[i];
  for (const auto& [given, value] : arguments.named) {
    size_t i = 0;
    while (i < count && plain(i) != given) ++i;
    if (i == count) interpreter.fail("\"{}\" has no parameter \"{}\"", name, given);
    if (values_[i]) interpreter.fail("\"{}\" got \"{}\" twice", name, given);
    values_[i] = value;
  }
  for (size_t i = 0; i < count; ++i) {
    if (!values_[i] && !parameters[i].ends_with('?')) {
      interpreter.fail("\"{}\" lacks its argument \"{}\"", name, parameters[i]);
    }
  }
}

int64_t Bound::integer(size_t i, int64_t otherwise) const {
  if (!values_[i]) return otherwise;
  need_defined(interpreter_, *values_[i]);
  if (!values_[i]->is_integral()) {
    interpreter_.fail("\"{}\" wants an integer, not a {}", name, type_name(*values_[i]));
  }
  return values_[i]->integer();
}

std::string_view Bound::text(size_t i, std::string_view otherwise) const {
  if (!values_[i]) return otherwise;
  need_defined(interpreter_, *values_[i]);
  if (!values_[i]->is(Kind::kText)) {
    interpreter_.fail("\"{}\" wants a text, not a {}", name, type_name(*values_[i]));
  }
  return values_[i]->bytes();
}

}  // namespace wattle::jinja
