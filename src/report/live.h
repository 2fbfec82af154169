#pragma once

#include <string>
#include <vector>

#include <wattle/study.h>

namespace wattle::inline report {

/// A study while it runs: a heading, a line a cell (name, quality, millijoules a query, what became of it),
/// and `doing`, a sentence on what is done now. At most `rows` lines of at most `columns` columns (taken as
/// 20 where there are fewer); cells that have no room are counted. `colour`: ANSI colours, which take no
/// columns; beside them no line holds a control character.
std::vector<std::string> live_lines(const Results& results, const std::string& doing, size_t columns,
                                    size_t rows, bool colour);

/// UTF-8 text cut to so many columns of a terminal, never inside a character: wide characters take two,
/// combining ones none. What a terminal would obey is shown as a question mark.
std::string cut_to_columns(const std::string& text, size_t columns);
/// The columns that it takes.
size_t columns_of(const std::string& text);

}  // namespace wattle::inline report
