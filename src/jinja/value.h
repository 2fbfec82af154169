#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <wattle/error.h>

#include "jinja/text.h"

namespace wattle::jinja {

class Context;
struct Dict;
struct List;
class Object;

enum class Kind : uint8_t { kUndefined, kNone, kBool, kInteger, kFloat, kText, kList, kDict, kObject };

/// A value of a running template. Texts, lists, dictionaries and objects belong to the Context that made them
/// and live as long as it: copying a value is copying 16 bytes, and structures that hold themselves need no
/// care.
class Value {
 public:
  Value() : kind_(Kind::kNone) { held_.integer = 0; }
  static Value of_bool(bool flag) {
    Value value(Kind::kBool);
    value.held_.integer = flag ? 1 : 0;
    return value;
  }
  static Value of_integer(int64_t number) {
    Value value(Kind::kInteger);
    value.held_.integer = number;
    return value;
  }
  static Value of_float(double number) {
    Value value(Kind::kFloat);
    value.held_.real = number;
    return value;
  }
  static Value of_text(const Text* text) {
    Value value(Kind::kText);
    value.held_.text = text;
    return value;
  }
  static Value of_list(List* list) {
    Value value(Kind::kList);
    value.held_.list = list;
    return value;
  }
  static Value of_dict(Dict* dict) {
    Value value(Kind::kDict);
    value.held_.dict = dict;
    return value;
  }
  static Value of_object(Object* object) {
    Value value(Kind::kObject);
    value.held_.object = object;
    return value;
  }
  /// `why` is the sentence of the error that using the value raises.
  static Value undefined(const Text* why) {
    Value value(Kind::kUndefined);
    value.held_.text = why;
    return value;
  }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  /// Python's bool is an int.
  bool is_integral() const { return kind_ == Kind::kInteger || kind_ == Kind::kBool; }
  bool is_number() const { return is_integral() || kind_ == Kind::kFloat; }

  int64_t integer() const { return held_.integer; }  ///< of kInteger and kBool
  double number() const { return kind_ == Kind::kFloat ? held_.real : static_cast<double>(held_.integer); }
  const Text& text() const { return *held_.text; }  ///< of kText; of kUndefined the reason
  std::string_view bytes() const { return held_.text->bytes(); }
  List& list() const { return *held_.list; }
  Dict& dict() const { return *held_.dict; }
  Object& object() const { return *held_.object; }
  /// Python's `is`.
  bool same_as(const Value& other) const {
    return kind_ == other.kind_ && held_.integer == other.held_.integer;
  }

 private:
  explicit Value(Kind kind) : kind_(kind) {}
  Kind kind_;
  union {
    int64_t integer;
    double real;
    const Text* text;
    List* list;
    Dict* dict;
    Object* object;
  } held_;
};

enum class ListKind : uint8_t { kList, kTuple, kView, kGenerator };

struct List {
  std::vector<Value> items;
  ListKind kind = ListKind::kList;
  std::string_view view =
      {};                  ///< Python's name of a view: "dict_items", "range"; "group" of groupby's tuples
  std::string shown = {};  ///< how a range prints
  bool used_up = false;    ///< a generator that was iterated over
};

/// Keys in the order of their insertion; 1, 1.0 and true are one key, as in Python.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;

  /// Null when the key is absent. Error for a key that cannot be one (a list).
  Value* find(Context& context, const Value& key);
  Value* find(std::string_view key);
  void set(Context& context, const Value& key, const Value& value);
  bool erase(Context& context, const Value& key);

 private:
  std::unordered_map<std::string, size_t> index_;  ///< canonical key -> position in entries
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;
};

class Interpreter;

/// What is no plain data: loops, namespaces, macros, functions.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string type_name() const = 0;
  /// Nothing when there is none of that name.
  virtual std::optional<Value> attribute(Context&, std::string_view name) { return std::nullopt; }
  virtual bool callable() const { return false; }
  virtual Value call(Interpreter&, const Arguments&);
  /// For `{% set object.name = value %}`; false where that is not possible.
  virtual bool set_attribute(Context&, std::string_view name, const Value& value) { return false; }
};

/// What one rendering may use. A template is untrusted: it may neither run for ever nor fill the memory.
struct Limits {
  int64_t steps = 5'000'000;         ///< syntax nodes evaluated, elements and each 64 bytes touched
  int64_t bytes = int64_t{1} << 27;  ///< of all texts and lists that are made
  int depth = 200;                   ///< of calls, of expressions, and of what holds what
};

/// The memory of one rendering, its limits, and the place where it is.
class Context {
 public:
  Context(std::string name, const Limits& limits) : name_(std::move(name)), limits_(limits) {}

  Value text(Text text);
  Value text(std::string_view bytes) { return text(Text(bytes)); }
  Value list(std::vector<Value> items, ListKind kind = ListKind::kList, std::string_view view = {});
  Value tuple(std::vector<Value> items) { return list(std::move(items), ListKind::kTuple); }
  Value dict();
  Value undefined(std::string why);
  Value object(std::unique_ptr<Object> object);

  /// Throws Error when the rendering has done more than its limits allow.
  void charge(int64_t steps) {
    steps_ += steps;
    if (steps_ > limits_.steps) over("steps", limits_.steps);
  }
  void charge_bytes(size_t bytes);

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    fail_with(fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void fail_with(const std::string& what) const;

  uint32_t line = 1;

  /// Counts one level of nesting while it lives.
  class Nested {
   public:
    explicit Nested(Context& context) : context_(context) {
      if (++context_.depth_ > context_.limits_.depth)
        context_.over("levels of nesting", context_.limits_.depth);
    }
    ~Nested() { --context_.depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    Context& context_;
  };

 private:
  [[noreturn]] void over(std::string_view what, int64_t limit) const;

  std::string name_;
  Limits limits_;
  int64_t steps_ = 0, bytes_ = 0;
  int depth_ = 0;
  std::deque<Text> texts_;
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<std::unique_ptr<Object>> objects_;
};

/// Python's name of a value's type: "str", "int", "dict".
std::string type_name(const Value& value);
bool is_true(const Value& value);
bool equal(Context& context, const Value& a, const Value& b);
/// Below, equal or above 0. Error when Python does not order them.
int compare(Context& context, const Value& a, const Value& b);
/// The elements of an iterable: characters of a text, keys of a dictionary. Error for what is none.
std::vector<Value> elements(Context& context, const Value& iterable);
bool is_iterable(const Value& value);
int64_t length_of(Context& context, const Value& value);
bool contains(Context& context, const Value& container, const Value& item);

}  // namespace wattle::jinja
