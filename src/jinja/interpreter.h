#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/syntax.h"
#include "jinja/value.h"

namespace wattle::jinja {

class Bound;

/// A filter, test, method or global function. `subject` is what it is applied to; nothing for a global.
struct Function {
  std::string_view name;
  Value (*call)(Interpreter& interpreter, const Value& subject, const Bound& arguments);
  /// Names of the parameters in order; "?" at the end of one that may be left out. "*" takes whatever is
  /// given.
  std::array<std::string_view, 5> parameters = {};
};

/// A call's arguments by the places of a function's parameters.
class Bound {
 public:
  /// Error when an argument is missing, too much, or of no parameter's name.
  Bound(Interpreter& interpreter, const Function& function, const Arguments& arguments);

  const std::string_view name;
  const Arguments& all;

  /// Whether it is there, and not none.
  bool given(size_t i) const { return values_[i] && !values_[i]->is(Kind::kNone); }
  Value value(size_t i, const Value& otherwise = {}) const { return values_[i].value_or(otherwise); }
  bool flag(size_t i, bool otherwise) const { return values_[i] ? is_true(*values_[i]) : otherwise; }
  /// Error when it is there and of another type.
  int64_t integer(size_t i, int64_t otherwise) const;
  std::string_view text(size_t i, std::string_view otherwise = {}) const;

 private:
  Interpreter& interpreter_;
  std::array<std::optional<Value>, 5> values_;
};

/// Null where there is none of that name.
const Function* find_filter(std::string_view name);
const Function* find_test(std::string_view name);
const Function* find_global(std::string_view name);
const Function* find_method(const Value& receiver, std::string_view name);

struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> variables = {};
};

/// One rendering of a template: walks its syntax tree.
class Interpreter : public Context {
 public:
  using Context::Context;

  void define(std::string_view name, const Value& value) { assign(root_, name, value); }
  Text render(const Body& body);

  Value call(const Value& callee, const Arguments& arguments);
  /// A filter's or test's own name in `name`; Error when it is not known.
  Value apply_filter(std::string_view name, const Value& subject, const Arguments& arguments);
  bool apply_test(std::string_view name, const Value& subject, const Arguments& arguments);
  /// `value.name` and `value[key]`: undefined where there is nothing.
  Value attribute(const Value& value, std::string_view name);
  Value item(const Value& value, const Value& key);

  /// The answer of strftime_now; without one templates find the function undefined.
  std::optional<std::chrono::local_seconds> now;

 private:
  friend class Macro;
  friend class Loop;
  enum class Flow { kNext, kBreak, kContinue };
  struct LoopPlace {
    const Statement* statement;
    Scope* scope;
    int64_t depth;
  };

  // Statements.
  Flow run(const Body& body, Scope& scope);
  Flow run(const Statement& statement, Scope& scope);
  Flow run_if(const Statement& statement, Scope& scope);
  Flow run_for(const LoopPlace& place, const Value& iterable);
  void run_set(const Statement& statement, Scope& scope);
  void run_set_block(const Statement& statement, Scope& scope);
  void run_call_block(const Statement& statement, Scope& scope);
  Flow run_filter_block(const Statement& statement, Scope& scope);
  Flow run_with(const Statement& statement, Scope& scope);
  void print(const Value& value);
  /// What `write` prints, as a text.
  template <typename Write>
  Value captured(const Write& write) {
    Text text;
    Text* const outer = std::exchange(out_, &text);
    write();
    out_ = outer;
    return this->text(std::move(text));
  }
  std::vector<Value> loop_items(const Statement& statement, Scope& scope, const Value& iterable);

  // Scopes.
  Scope& new_scope(Scope& parent);
  void assign(Scope& scope, std::string_view name, const Value& value);
  void assign_target(Scope& scope, const Node& target, const Value& value);
  Value look_up(const Scope& scope, std::string_view name);

  // Expressions.
  Value evaluate(const Node& node, Scope& scope);
  Value evaluate_nested(const Node& node, Scope& scope);
  std::vector<Value> evaluate_all(const std::vector<NodePointer>& nodes, Scope& scope);
  Value evaluate_chain(const Node& node, Scope& scope);
  Value evaluate_compare(const Node& node, Scope& scope);
  Value evaluate_item(const Node& node, Scope& scope);
  Value evaluate_call(const Node& node, Scope& scope, const Arguments* more = nullptr);
  Value evaluate_filter(const Node& node, Scope& scope, const Value* subject);
  Arguments evaluate_arguments(const CallSyntax& call, Scope& scope);
  Value bind_macro(const Statement& statement, Scope& closure, const Arguments& arguments);

  std::deque<Scope> scopes_;
  Scope root_;
  Text* out_ = nullptr;
};

}  // namespace wattle::jinja
