#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/lexer.h"
#include "jinja/syntax.h"

namespace wattle::jinja {

/// Recursive descent over the expressions of Jinja2's grammar; a base of the parser of statements.
class ExpressionParser {
 protected:
  ExpressionParser(std::string_view source, const std::string& name)
      : tokens_(tokenize(source, name)), name_(name) {}

  static constexpr int kDeepest = 150;

  using Words = std::initializer_list<std::string_view>;

  // --- tokens ---

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(next_ + ahead, tokens_.size() - 1)]; }
  Token take() { return tokens_[std::min(next_++, tokens_.size() - 1)]; }
  bool at(TokenKind kind) const { return peek().kind == kind; }
  bool at_operator(std::string_view text) const { return at(TokenKind::kOperator) && peek().text == text; }
  bool at_name(std::string_view text, size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::kName && peek(ahead).text == text;
  }
  bool take_operator(std::string_view text) {
    if (!at_operator(text)) return false;
    ++next_;
    return true;
  }
  bool take_name(std::string_view text) {
    if (!at_name(text)) return false;
    ++next_;
    return true;
  }

  template <typename... Args>
  [[noreturn]] void fail_at(uint32_t line, fmt::format_string<Args...> format, Args&&... args) const {
    fail("{}, line {}: {}", name_, line, fmt::format(format, std::forward<Args>(args)...));
  }

  static std::string describe(const Token& token) {
    switch (token.kind) {
      case TokenKind::kEnd:
        return "the end of the template";
      case TokenKind::kData:
        return "text";
      case TokenKind::kPrintBegin:
        return "\"{{\"";
      case TokenKind::kTagBegin:
        return "\"{%\"";
      default:
        return fmt::format("\"{}\"", token.text);
    }
  }

  [[noreturn]] void unexpected(std::string_view wanted) const {
    fail_at(peek().line, "unexpected {}; {} is wanted", describe(peek()), wanted);
  }
  void need_operator(std::string_view text) {
    if (!take_operator(text)) unexpected(fmt::format("\"{}\"", text));
  }
  std::string need_name() {
    if (!at(TokenKind::kName)) unexpected("a name");
    return take().text;
  }
  void need_tag_end() {
    if (!at(TokenKind::kTagEnd)) unexpected("\"%}\"");
    ++next_;
  }

  class Nested {
   public:
    explicit Nested(ExpressionParser& parser) : parser_(parser) {
      if (++parser_.depth_ > kDeepest) {
        parser_.fail_at(parser_.peek().line, "nested deeper than {} levels; correct the template", kDeepest);
      }
    }
    ~Nested() { --parser_.depth_; }

   private:
    ExpressionParser& parser_;
  };

  NodePointer make(NodeKind kind, uint32_t line, std::vector<NodePointer> children = {}) const {
    auto node = std::make_unique<Node>(Node{kind, line});
    for (const NodePointer& child : children) {
      if (child != nullptr) node->depth = std::max(node->depth, child->depth + 1);
    }
    if (node->depth > kDeepest) fail_at(line, "nested deeper than {} levels; correct the template", kDeepest);
    node->children = std::move(children);
    return node;
  }
  template <typename... Children>
  NodePointer make(NodeKind kind, uint32_t line, NodePointer first, Children... others) const {
    std::vector<NodePointer> children;
    children.push_back(std::move(first));
    (children.push_back(std::move(others)), ...);
    return make(kind, line, std::move(children));
  }
  NodePointer constant(uint32_t line, Value value) const {
    NodePointer node = make(NodeKind::kConstant, line);
    node->constant = value;
    return node;
  }

  // --- expressions ---

  /// A name, `namespace.name` where allowed, or a tuple of these.
  NodePointer parse_target(bool with_namespace, Words ends, bool with_tuple = true) {
    const uint32_t line = peek().line;
    std::vector<NodePointer> parts;
    bool is_tuple = false;
    do {
      if (!parts.empty() && at_tuple_end(ends)) break;
      parts.push_back(parse_one_target(with_namespace, ends));
      if (with_tuple && at_operator(",")) is_tuple = true;
    } while (with_tuple && take_operator(","));
    return is_tuple ? make(NodeKind::kTuple, line, std::move(parts)) : std::move(parts[0]);
  }

  NodePointer parse_one_target(bool with_namespace, Words ends) {
    const Nested nested(*this);
    const uint32_t line = peek().line;
    if (take_operator("(")) {
      NodePointer inner = parse_target(with_namespace, ends);
      need_operator(")");
      return inner;
    }
    NodePointer name = make(NodeKind::kName, line);
    name->text = need_name();
    constexpr std::string_view kFixed[] = {"true", "false", "none", "True", "False", "None"};
    if (std::find(std::begin(kFixed), std::end(kFixed), name->text) != std::end(kFixed)) {
      fail_at(line, "{} cannot be assigned to", name->text);
    }
    if (!with_namespace || !take_operator(".")) return name;
    NodePointer target = make(NodeKind::kAttribute, line, std::move(name));
    target->text = need_name();
    return target;
  }

  bool at_tuple_end(Words ends) const {
    if (at(TokenKind::kPrintEnd) || at(TokenKind::kTagEnd) || at_operator(")")) return true;
    return at(TokenKind::kName) && std::find(ends.begin(), ends.end(), peek().text) != ends.end();
  }

  NodePointer parse_tuple(Words ends = {}, bool with_conditional = true, bool in_parentheses = false) {
    const uint32_t line = peek().line;
    std::vector<NodePointer> items;
    bool is_tuple = false;
    while (true) {
      if (!items.empty()) need_operator(",");
      if (at_tuple_end(ends)) break;
      items.push_back(with_conditional ? parse_expression() : parse_or());
      if (!at_operator(",")) break;
      is_tuple = true;
    }
    if (!is_tuple && !items.empty()) return std::move(items[0]);
    if (!is_tuple && !in_parentheses) unexpected("an expression");
    return make(NodeKind::kTuple, line, std::move(items));
  }

  NodePointer parse_expression() {
    const Nested nested(*this);
    const uint32_t line = peek().line;
    NodePointer value = parse_or();
    while (take_name("if")) {
      NodePointer test = parse_or();
      NodePointer otherwise = take_name("else") ? parse_expression() : nullptr;
      value = make(NodeKind::kConditional, line, std::move(test), std::move(value), std::move(otherwise));
    }
    return value;
  }

  using Level = NodePointer (ExpressionParser::*)();

  /// Operands joined by a word, as one node.
  NodePointer parse_joined(std::string_view word, NodeKind kind, Level operand) {
    const uint32_t line = peek().line;
    std::vector<NodePointer> children;
    children.push_back((this->*operand)());
    while (take_name(word)) children.push_back((this->*operand)());
    return children.size() == 1 ? std::move(children[0]) : make(kind, line, std::move(children));
  }
  NodePointer parse_or() { return parse_joined("or", NodeKind::kOr, &ExpressionParser::parse_and); }
  NodePointer parse_and() { return parse_joined("and", NodeKind::kAnd, &ExpressionParser::parse_not); }

  NodePointer parse_not() {
    const Nested nested(*this);
    const uint32_t line = peek().line;
    if (at_name("not") && !at_name("in", 1)) {
      ++next_;
      return make(NodeKind::kNot, line, parse_not());
    }
    return parse_compare();
  }

  std::string take_comparison() {
    if (take_name("in")) return "in";
    if (at_name("not") && at_name("in", 1)) {
      next_ += 2;
      return "not in";
    }
    for (const std::string_view text : {"==", "!=", "<", "<=", ">", ">="}) {
      if (take_operator(text)) return std::string(text);
    }
    return {};
  }
  NodePointer parse_compare() {
    return parse_chain(NodeKind::kCompare, &ExpressionParser::parse_sum,
                       [this] { return take_comparison(); });
  }

  std::string take_one_of(Words operators) {
    for (const std::string_view text : operators) {
      if (take_operator(text)) return std::string(text);
    }
    return {};
  }

  template <typename TakeOperator>
  NodePointer parse_chain(NodeKind kind, Level operand, const TakeOperator& take_next) {
    const uint32_t line = peek().line;
    std::vector<NodePointer> children;
    std::vector<std::string> operators;
    children.push_back((this->*operand)());
    for (std::string text = take_next(); !text.empty(); text = take_next()) {
      operators.push_back(text);
      children.push_back((this->*operand)());
    }
    if (children.size() == 1) return std::move(children[0]);
    NodePointer node = make(kind, line, std::move(children));
    node->operators = std::move(operators);
    return node;
  }
  NodePointer parse_sum() {
    return parse_chain(NodeKind::kArithmetic, &ExpressionParser::parse_concat, [this] {
      return take_one_of({"+", "-"});
    });
  }
  NodePointer parse_concat() {
    return parse_chain(NodeKind::kConcat, &ExpressionParser::parse_product,
                       [this] { return take_one_of({"~"}); });
  }
  NodePointer parse_product() {
    return parse_chain(NodeKind::kArithmetic, &ExpressionParser::parse_power, [this] {
      return take_one_of({"*", "/", "//", "%"});
    });
  }
  NodePointer parse_power() {
    return parse_chain(NodeKind::kArithmetic, &ExpressionParser::parse_filtered,
                       [this] { return take_one_of({"**"}); });
  }
  NodePointer parse_filtered() { return parse_unary(true); }

  NodePointer parse_unary(bool with_filters) {
    const Nested nested(*this);
    const uint32_t line = peek().line;
    NodePointer node;
    if (take_operator("-")) {
      node = make(NodeKind::kNegative, line, parse_unary(false));
    } else if (take_operator("+")) {
      node = make(NodeKind::kPositive, line, parse_unary(false));
    } else {
      node = parse_primary();
    }
    node = parse_postfix(std::move(node));
    return with_filters ? parse_filters(std::move(node)) : std::move(node);
  }

  NodePointer parse_primary() {
    const uint32_t line = peek().line;
    switch (peek().kind) {
      case TokenKind::kName:
        return parse_name();
      case TokenKind::kString: {
        std::string text;
        while (at(TokenKind::kString)) text += take().text;
        NodePointer node = make(NodeKind::kConstant, line);
        node->constant_text = Text(text);
        node->constant = Value::of_text(&node->constant_text);
        return node;
      }
      case TokenKind::kInteger:
        return constant(line, Value::of_integer(take().integer));
      case TokenKind::kFloat:
        return constant(line, Value::of_float(take().real));
      default:
        break;
    }
    if (take_operator("(")) {
      NodePointer node = parse_tuple({}, true, true);
      need_operator(")");
      return node;
    }
    if (at_operator("[")) return parse_sequence("]", NodeKind::kList, false);
    if (at_operator("{")) return parse_sequence("}", NodeKind::kDict, true);
    unexpected("an expression");
  }

  NodePointer parse_name() {
    const Token token = take();
    if (token.text == "true" || token.text == "True") return constant(token.line, Value::of_bool(true));
    if (token.text == "false" || token.text == "False") return constant(token.line, Value::of_bool(false));
    if (token.text == "none" || token.text == "None") return constant(token.line, Value());
    NodePointer node = make(NodeKind::kName, token.line);
    node->text = token.text;
    return node;
  }

  NodePointer parse_sequence(std::string_view close, NodeKind kind, bool pairs) {
    const uint32_t line = take().line;
    std::vector<NodePointer> items;
    while (!take_operator(close)) {
      if (!items.empty()) {
        need_operator(",");
        if (take_operator(close)) break;
      }
      items.push_back(parse_expression());
      if (!pairs) continue;
      need_operator(":");
      items.push_back(parse_expression());
    }
    return make(kind, line, std::move(items));
  }

  NodePointer parse_postfix(NodePointer node) {
    while (true) {
      const uint32_t line = peek().line;
      if (take_operator(".")) {
        if (at(TokenKind::kInteger)) {
          NodePointer index = constant(line, Value::of_integer(take().integer));
          node = make(NodeKind::kItem, line, std::move(node), std::move(index));
        } else {
          node = make(NodeKind::kAttribute, line, std::move(node));
          node->text = need_name();
        }
      } else if (take_operator("[")) {
        NodePointer subscript = parse_subscript();
        node = make(NodeKind::kItem, line, std::move(node), std::move(subscript));
      } else if (at_operator("(")) {
        node = make(NodeKind::kCall, line, std::move(node));
        node->call = parse_call(*node);
      } else {
        return node;
      }
    }
  }

  NodePointer parse_subscript() {
    const uint32_t line = peek().line;
    std::vector<NodePointer> items;
    bool is_tuple = false;
    while (!at_operator("]")) {
      if (!items.empty()) {
        need_operator(",");
        is_tuple = true;
      }
      items.push_back(parse_slice());
    }
    need_operator("]");
    if (items.empty()) fail_at(line, "an empty subscript");
    return is_tuple ? make(NodeKind::kTuple, line, std::move(items)) : std::move(items[0]);
  }

  NodePointer parse_slice() {
    const uint32_t line = peek().line;
    const auto part = [&]() -> NodePointer {
      if (at_operator(":") || at_operator("]") || at_operator(",")) return nullptr;
      return parse_expression();
    };
    NodePointer first = part();
    if (first != nullptr && !at_operator(":")) return first;
    need_operator(":");
    NodePointer last = part();
    NodePointer step = take_operator(":") ? part() : nullptr;
    return make(NodeKind::kSlice, line, std::move(first), std::move(last), std::move(step));
  }

  CallSyntax parse_call(Node& owner) {
    CallSyntax call;
    need_operator("(");
    bool first = true;
    const auto argument = [&] {
      NodePointer node = parse_expression();
      owner.depth = std::max(owner.depth, node->depth + 1);
      return node;
    };
    while (!take_operator(")")) {
      if (!std::exchange(first, false)) {
        need_operator(",");
        if (take_operator(")")) break;
      }
      const bool is_named =
          at(TokenKind::kName) && peek(1).kind == TokenKind::kOperator && peek(1).text == "=";
      if (call.dict != nullptr || (call.list != nullptr && !is_named && !at_operator("**"))) {
        unexpected("\")\"");
      }
      if (take_operator("*")) {
        call.list = argument();
      } else if (take_operator("**")) {
        call.dict = argument();
      } else if (is_named) {
        std::string name = take().text;
        ++next_;
        call.named.emplace_back(std::move(name), argument());
      } else {
        if (!call.named.empty()) unexpected("an argument with a name");
        call.positional.push_back(argument());
      }
    }
    if (owner.depth > kDeepest)
      fail_at(owner.line, "nested deeper than {} levels; correct the template", kDeepest);
    return call;
  }

  std::string need_dotted_name() {
    std::string name = need_name();
    while (take_operator(".")) name.append(".").append(need_name());
    return name;
  }

  NodePointer parse_one_filter(NodePointer node) {
    const uint32_t line = peek().line;
    NodePointer filter =
        node != nullptr ? make(NodeKind::kFilter, line, std::move(node)) : make(NodeKind::kFilter, line);
    filter->text = need_dotted_name();
    if (at_operator("(")) filter->call = parse_call(*filter);
    return filter;
  }

  NodePointer parse_filters(NodePointer node) {
    while (true) {
      if (take_operator("|")) {
        node = parse_one_filter(std::move(node));
      } else if (at_name("is") && node != nullptr) {
        node = parse_test(std::move(node));
      } else if (at_operator("(") && node != nullptr) {
        const uint32_t line = peek().line;
        node = make(NodeKind::kCall, line, std::move(node));
        node->call = parse_call(*node);
      } else {
        return node;
      }
    }
  }

  NodePointer parse_test(NodePointer node) {
    const uint32_t line = take().line;
    const bool negated = take_name("not");
    NodePointer test = make(NodeKind::kTest, line, std::move(node));
    test->text = need_dotted_name();
    const bool ends = at_name("else") || at_name("or") || at_name("and");
    if (at_operator("(")) {
      test->call = parse_call(*test);
    } else if (!ends && (at(TokenKind::kName) || at(TokenKind::kString) || at(TokenKind::kInteger) ||
                         at(TokenKind::kFloat) || at_operator("[") || at_operator("{"))) {
      if (at_name("is")) fail_at(line, "tests cannot follow one another; join them by \"and\"");
      // `x is y if z`: the condition's word is no argument of the test.
      if (!at_name("if") && !at_name("in") && !at_name("not") && !at_name("recursive")) {
        test->call.positional.push_back(parse_postfix(parse_primary()));
        test->depth = std::max(test->depth, test->call.positional[0]->depth + 1);
      }
    }
    return negated ? make(NodeKind::kNot, line, std::move(test)) : std::move(test);
  }

  std::vector<Token> tokens_;
  const std::string& name_;
  size_t next_ = 0;
  int depth_ = 0;
};

}  // namespace wattle::jinja
