#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace wattle::jinja {

struct Node;
using NodePointer = std::unique_ptr<Node>;

struct CallSyntax {
  std::vector<NodePointer> positional;
  std::vector<std::pair<std::string, NodePointer>> named;
  NodePointer list, dict;  ///< *list, **dict; null where there is none
};

enum class NodeKind : uint8_t {
  kConstant,
  kName,         ///< text
  kTuple,        ///< children
  kList,         ///< children
  kDict,         ///< children: key, value, key, value, ...
  kAttribute,    ///< children[0].text
  kItem,         ///< children[0][children[1]]
  kSlice,        ///< children: from, to, step; each may be null
  kCall,         ///< children[0](call)
  kFilter,       ///< children[0] | text(call); without a child in a filter block
  kTest,         ///< children[0] is text(call)
  kNot,          ///< children[0]
  kNegative,     ///< children[0]
  kPositive,     ///< children[0]
  kAnd,          ///< children
  kOr,           ///< children
  kArithmetic,   ///< children[0] operators[0] children[1] operators[1] ..., from the left
  kConcat,       ///< children
  kCompare,      ///< as kArithmetic, but each pair of neighbours compared
  kConditional,  ///< children: test, value, otherwise; the last may be null
};

/// An expression.
struct Node {
  NodeKind kind;
  uint32_t line;
  int depth = 1;  ///< of the tree that it is the root of
  std::string text = {};
  Value constant = {};
  Text constant_text = {};  ///< what `constant` refers to
  std::vector<NodePointer> children = {};
  std::vector<std::string> operators = {};
  CallSyntax call = {};
};

struct Statement;
using Body = std::vector<Statement>;

struct Parameter {
  std::string name;
  NodePointer otherwise;  ///< null: none
};

enum class StatementKind : uint8_t {
  kData,      ///< text
  kPrint,     ///< expressions[0]
  kIf,        ///< expressions[i] guards bodies[i]; one body more is the else
  kFor,       ///< expressions: target, iterable, condition or null; bodies: loop, else
  kSet,       ///< expressions: target, value
  kSetBlock,  ///< expressions: target, filter or null; bodies[0]
  kMacro,     ///< text, parameters, bodies[0]
  kCall,      ///< expressions[0] is called with a caller of parameters and bodies[0]
  kFilter,    ///< expressions[0] over bodies[0]
  kWith,      ///< expressions: target, value, ...; bodies[0]
  kScope,     ///< bodies[0]
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind;
  uint32_t line;
  std::string text = {};
  std::vector<NodePointer> expressions = {};
  std::vector<Body> bodies = {};
  std::vector<Parameter> parameters = {};
  bool recursive = false;     ///< a loop that may call itself
  bool uses_caller = false;   ///< a macro that names `caller`
  bool uses_varargs = false;  ///< a macro that names `varargs`
  bool uses_kwargs = false;   ///< a macro that names `kwargs`
};

/// Throws Error naming `name` and the line for what is no template, or uses a tag that is not known.
Body parse(std::string_view source, const std::string& name);

}  // namespace wattle::jinja
