#pragma once

#include <string>
#include <vector>

#include "jinja/interpreter.h"

namespace wattle::jinja {

/// A global function, or a method with what it belongs to.
class BoundFunction : public Object {
 public:
  BoundFunction(const Function& function, const Value& subject) : function_(function), subject_(subject) {}
  std::string type_name() const override { return fmt::format("function {}", function_.name); }
  bool callable() const override { return true; }
  Value call(Interpreter& interpreter, const Arguments& arguments) override {
    return function_.call(interpreter, subject_, Bound(interpreter, function_, arguments));
  }

 private:
  const Function& function_;
  Value subject_;
};

/// A macro, or the body of a call block.
class Macro : public Object {
 public:
  Macro(const Statement& statement, Scope& closure) : statement_(statement), closure_(closure) {}
  std::string type_name() const override { return "Macro"; }
  bool callable() const override { return true; }
  std::optional<Value> attribute(Context& context, std::string_view name) override;
  Value call(Interpreter& interpreter, const Arguments& arguments) override;

 private:
  const Statement& statement_;
  Scope& closure_;
};

/// The variable `loop` of a loop.
class Loop : public Object {
 public:
  Loop(const Statement& statement, Scope& scope, std::vector<Value> elements, int64_t depth)
      : items(std::move(elements)), statement_(statement), scope_(scope), depth_(depth) {}
  std::string type_name() const override { return "LoopContext"; }
  std::optional<Value> attribute(Context& context, std::string_view name) override;
  bool callable() const override { return statement_.recursive; }
  Value call(Interpreter& interpreter, const Arguments& arguments) override;

  std::vector<Value> items;
  size_t index = 0;
  std::optional<Value> last_changed;  ///< what loop.changed saw last

 private:
  const Statement& statement_;
  Scope& scope_;
  int64_t depth_;
};

class Namespace : public Object {
 public:
  explicit Namespace(Dict& values) : values_(values) {}
  std::string type_name() const override { return "Namespace"; }
  std::optional<Value> attribute(Context& context, std::string_view name) override;
  bool set_attribute(Context& context, std::string_view name, const Value& value) override;

 private:
  Dict& values_;
};

/// cycler(a, b, ...): next(), current, reset().
class Cycler : public Object {
 public:
  explicit Cycler(std::vector<Value> values) : items(std::move(values)) {}
  std::string type_name() const override { return "Cycler"; }
  std::optional<Value> attribute(Context& context, std::string_view name) override;

  std::vector<Value> items;
  size_t position = 0;
};

/// joiner(separator): nothing at its first call, then the separator.
class Joiner : public Object {
 public:
  explicit Joiner(const Value& separator) : separator_(separator) {}
  std::string type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Value call(Interpreter& interpreter, const Arguments& arguments) override;

 private:
  Value separator_;
  bool used_ = false;
};

}  // namespace wattle::jinja
