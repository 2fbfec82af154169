#include <algorithm>
#include <array>
#include <utility>

#include "jinja/expression_parser.h"

namespace wattle::jinja {
namespace {

/// The statements of Jinja2's grammar.
class Parser : private ExpressionParser {
 public:
  Parser(std::string_view source, const std::string& name) : ExpressionParser(source, name) {}

  Body parse_template() { return parse_body({}); }

 private:
  /// Up to a tag of one of these names, whose name is the next token then.
  Body parse_body(Words ends) {
    const Nested nested(*this);
    const uint32_t begin = peek().line;
    Body body;
    while (true) {
      const Token token = take();
      switch (token.kind) {
        case TokenKind::kEnd:
          if (ends.size() > 0) fail_at(begin, "a block that begins here has no {}", *(ends.end() - 1));
          return body;
        case TokenKind::kData:
          body.push_back({StatementKind::kData, token.line, token.text});
          break;
        case TokenKind::kPrintBegin:
          body.push_back({StatementKind::kPrint, token.line});
          body.back().expressions.push_back(parse_tuple());
          if (!at(TokenKind::kPrintEnd)) unexpected("\"}}\"");
          ++next_;
          break;
        default:
          if (!at(TokenKind::kName)) unexpected("the name of a tag");
          if (std::find(ends.begin(), ends.end(), peek().text) != ends.end()) return body;
          parse_statement(token.line, body);
      }
    }
  }

  /// A body up to its only end, which is read too.
  Body parse_whole_body(std::string_view end) {
    need_tag_end();
    Body body = parse_body({end});
    ++next_;
    need_tag_end();
    return body;
  }

  void parse_statement(uint32_t line, Body& body) {
    struct Tag {
      std::string_view name;
      Statement (Parser::*parse)(uint32_t line);
    };
    static constexpr std::array<Tag, 11> kTags{{{"if", &Parser::parse_if},
                                                {"for", &Parser::parse_for},
                                                {"set", &Parser::parse_set},
                                                {"macro", &Parser::parse_macro},
                                                {"call", &Parser::parse_call_block},
                                                {"filter", &Parser::parse_filter_block},
                                                {"with", &Parser::parse_with},
                                                {"generation", &Parser::parse_generation},
                                                {"break", &Parser::parse_break},
                                                {"continue", &Parser::parse_continue},
                                                {"print", &Parser::parse_print}}};
    const std::string name = take().text;
    for (const Tag& tag : kTags) {
      if (tag.name == name) return body.push_back((this->*tag.parse)(line));
    }
    fail_at(line, "the tag {{% {} %}} is not known here", name);
  }

  Statement parse_if(uint32_t line) {
    Statement statement{StatementKind::kIf, line};
    statement.expressions.push_back(parse_tuple({}, false));
    need_tag_end();
    while (true) {
      statement.bodies.push_back(parse_body({"elif", "else", "endif"}));
      const std::string end = take().text;
      if (end == "elif") {
        statement.expressions.push_back(parse_tuple({}, false));
        need_tag_end();
        continue;
      }
      if (end == "else") {
        statement.bodies.push_back(parse_whole_body("endif"));
      } else {
        need_tag_end();
      }
      return statement;
    }
  }

  Statement parse_for(uint32_t line) {
    Statement statement{StatementKind::kFor, line};
    statement.expressions.push_back(parse_target(false, {"in"}));
    if (!take_name("in")) unexpected("\"in\"");
    statement.expressions.push_back(parse_tuple({"recursive"}, false));
    statement.expressions.push_back(take_name("if") ? parse_expression() : nullptr);
    statement.recursive = take_name("recursive");
    need_tag_end();
    ++loops_;
    statement.bodies.push_back(parse_body({"else", "endfor"}));
    --loops_;
    if (take().text == "else") {
      statement.bodies.push_back(parse_whole_body("endfor"));
    } else {
      statement.bodies.emplace_back();
      need_tag_end();
    }
    return statement;
  }

  Statement parse_set(uint32_t line) {
    Statement statement{StatementKind::kSet, line};
    statement.expressions.push_back(parse_target(true, {}));
    if (take_operator("=")) {
      statement.expressions.push_back(parse_tuple());
      need_tag_end();
      return statement;
    }
    statement.kind = StatementKind::kSetBlock;
    statement.expressions.push_back(at_operator("|") ? parse_filters(nullptr) : nullptr);
    statement.bodies.push_back(parse_whole_body("endset"));
    return statement;
  }

  std::vector<Parameter> parse_parameters() {
    std::vector<Parameter> parameters;
    need_operator("(");
    while (!take_operator(")")) {
      if (!parameters.empty()) need_operator(",");
      const uint32_t line = peek().line;
      Parameter parameter{need_name(), nullptr};
      if (take_operator("=")) {
        parameter.otherwise = parse_expression();
      } else if (!parameters.empty() && parameters.back().otherwise != nullptr) {
        fail_at(line, "a parameter without a default after one with a default");
      }
      parameters.push_back(std::move(parameter));
    }
    return parameters;
  }

  /// The body of a macro or a call block, in which break and continue have no loop.
  void parse_callable_body(Statement& statement, std::string_view end) {
    const size_t begin = next_;
    const int loops = std::exchange(loops_, 0);
    statement.bodies.push_back(parse_whole_body(end));
    loops_ = loops;
    for (size_t i = begin; i < next_; ++i) {
      if (tokens_[i].kind != TokenKind::kName) continue;
      statement.uses_caller |= tokens_[i].text == "caller";
      statement.uses_varargs |= tokens_[i].text == "varargs";
      statement.uses_kwargs |= tokens_[i].text == "kwargs";
    }
  }

  Statement parse_macro(uint32_t line) {
    Statement statement{StatementKind::kMacro, line, need_name()};
    statement.parameters = parse_parameters();
    parse_callable_body(statement, "endmacro");
    return statement;
  }

  Statement parse_call_block(uint32_t line) {
    Statement statement{StatementKind::kCall, line, "caller"};
    if (at_operator("(")) statement.parameters = parse_parameters();
    statement.expressions.push_back(parse_expression());
    if (statement.expressions[0]->kind != NodeKind::kCall) fail_at(line, "a call block calls nothing");
    parse_callable_body(statement, "endcall");
    statement.uses_caller = false;
    return statement;
  }

  Statement parse_filter_block(uint32_t line) {
    Statement statement{StatementKind::kFilter, line};
    statement.expressions.push_back(parse_one_filter(nullptr));
    if (at_operator("|")) statement.expressions[0] = parse_filters(std::move(statement.expressions[0]));
    statement.bodies.push_back(parse_whole_body("endfilter"));
    return statement;
  }

  Statement parse_with(uint32_t line) {
    Statement statement{StatementKind::kWith, line};
    while (!at(TokenKind::kTagEnd)) {
      if (!statement.expressions.empty()) need_operator(",");
      statement.expressions.push_back(parse_target(false, {}, false));
      need_operator("=");
      statement.expressions.push_back(parse_expression());
    }
    statement.bodies.push_back(parse_whole_body("endwith"));
    return statement;
  }

  Statement parse_generation(uint32_t line) {
    Statement statement{StatementKind::kScope, line};
    statement.bodies.push_back(parse_whole_body("endgeneration"));
    return statement;
  }

  Statement parse_leaving(uint32_t line, StatementKind kind, std::string_view name) {
    if (loops_ == 0) fail_at(line, "{{% {} %}} outside of a loop", name);
    need_tag_end();
    return {kind, line};
  }
  Statement parse_break(uint32_t line) { return parse_leaving(line, StatementKind::kBreak, "break"); }
  Statement parse_continue(uint32_t line) {
    return parse_leaving(line, StatementKind::kContinue, "continue");
  }

  Statement parse_print(uint32_t line) {
    Statement statement{StatementKind::kPrint, line};
    statement.expressions.push_back(parse_tuple());
    need_tag_end();
    return statement;
  }

  int loops_ = 0;  ///< around the statement that is read
};

}  // namespace

Body parse(std::string_view source, const std::string& name) {
  return Parser(source, name).parse_template();
}

}  // namespace wattle::jinja
