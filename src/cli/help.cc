#include "cli/help.h"

#include <charconv>
#include <cmath>
#include <sstream>

#include <fmt/format.h>

namespace wattle {
namespace {

constexpr size_t kWidth = 80, kNames = 28;

/// Words of `text` in lines of at most kWidth columns; the first line begins at column `first`, the others
/// after `indent` spaces; `broken` stands at the end of a line that goes on.
std::string folded(const std::string& text, size_t first, size_t indent, const std::string& broken) {
  std::istringstream words(text);
  std::string out, word;
  size_t column = first;
  bool fresh = true;
  while (words >> word) {
    if (!fresh && column + 1 + word.size() + broken.size() > kWidth) {
      out += broken + "\n" + std::string(indent, ' ');
      column = indent;
      fresh = true;
    }
    if (!fresh) out += ' ', ++column;
    out += word;
    column += word.size();
    fresh = false;
  }
  return out;
}

std::string line_of(const std::string& names, const std::string& description) {
  std::string line = "  " + names;
  if (line.size() + 2 > kNames) {
    line += "\n" + std::string(kNames, ' ');
  } else {
    line += std::string(kNames - line.size(), ' ');
  }
  return line + folded(description, kNames, kNames, "") + "\n";
}

}  // namespace

NarrowHelp::NarrowHelp() {
  column_width(kNames);
}

std::string NarrowHelp::make_option(const CLI::Option* option, bool is_positional) const {
  return line_of(make_option_name(option, is_positional) + make_option_opts(option),
                 make_option_desc(option));
}

/// Name of the value, default, whether it is needed: the ranges that CLI11 adds say less than descriptions.
std::string NarrowHelp::make_option_opts(const CLI::Option* option) const {
  std::string text;
  if (option->get_type_size() != 0) {
    const std::string type = option->get_type_name();
    if (!type.empty()) text += " " + type.substr(0, type.find_first_of(": "));
    if (!option->get_default_str().empty()) text += "=" + option->get_default_str();
  }
  if (option->get_required()) text += " REQUIRED";
  return text;
}

std::string NarrowHelp::make_subcommand(const CLI::App* verb) const {
  constexpr size_t kVerbs = 14;
  return fmt::format("  {:<{}}{}\n", verb->get_name(), kVerbs - 2,
                     folded(verb->get_description(), kVerbs, kVerbs, ""));
}

std::string NarrowHelp::make_footer(const CLI::App* app) const {
  std::istringstream lines(app->get_footer());
  std::string out = app->get_footer().empty() ? "" : "\n", line;
  while (std::getline(lines, line)) {
    const bool command = line.starts_with("  ");
    if (line.size() <= kWidth) {
      out += line + "\n";
    } else {
      out +=
          (command ? "  " : "") + folded(line, command ? 2 : 0, command ? 6 : 0, command ? " \\" : "") + "\n";
    }
  }
  return out;
}

namespace {

CLI::Validator number_check(double low, bool low_itself) {
  return CLI::Validator(
      [low, low_itself](const std::string& text) {
        double value = 0;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool good = code == std::errc() && end == text.data() + text.size() && std::isfinite(value) &&
                          (low_itself ? value >= low : value > low);
        return good ? std::string()
                    : fmt::format("must be a number {} {}, not \"{}\"", low_itself ? "of at least" : "above",
                                  low, text);
      },
      "");
}

}  // namespace

CLI::Validator number_of_at_least(double low) {
  return number_check(low, true);
}

CLI::Validator number_above(double low) {
  return number_check(low, false);
}

void add_meter_flags(CLI::App& verb, MeterOptions& options) {
  verb.add_option("--meter", options.source,
                  "force a source of energy: rapl, model, file:PATH, exec:COMMAND");
  verb.add_flag("--require-measured", options.require_measured, "exit with 3 rather than model the energy");
}

CLI::Validator at_least_one() {
  return CLI::Validator(
      [](const std::string& text) {
        int64_t value = 0;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool good = code == std::errc() && end == text.data() + text.size() && value >= 1;
        return good ? std::string() : fmt::format("must be a whole number of at least 1, not \"{}\"", text);
      },
      "");
}

}  // namespace wattle
