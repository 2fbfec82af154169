#pragma once

#include <span>

#include "jinja/interpreter.h"

namespace wattle::jinja {

// The tables of functions, one a file.
std::span<const Function> text_methods();
std::span<const Function> list_methods();
std::span<const Function> dict_methods();
std::span<const Function> text_filters();
std::span<const Function> list_filters();

const Function* find_in(std::span<const Function> functions, std::string_view name);

/// Python's str(value) for filters that take every value; a text stays the same object.
Value as_text(Interpreter& interpreter, const Value& value);

// What both methods and filters do with texts.
Text upper(const Text& text);
Text lower(const Text& text);
/// The first character as a title has it, the others small.
Text capitalized(const Text& text);
/// At most `count` times; below zero, every time.
Text replaced(Interpreter& interpreter, const Text& text, const Text& from, const Text& to, int64_t count);
/// `separator` null: at runs of white space.
std::vector<Value> split(Interpreter& interpreter, const Text& text, const Text* separator, int64_t most,
                         bool from_right);
/// Lines with their ends or without.
std::vector<Value> split_lines(Interpreter& interpreter, const Text& text, bool keep_ends);
Text centered(Interpreter& interpreter, const Text& text, int64_t width, std::string_view fill);
Text joined_by(Interpreter& interpreter, const Text& separator, const std::vector<Value>& items);
bool is_upper(std::string_view text);
bool is_lower(std::string_view text);

}  // namespace wattle::jinja
