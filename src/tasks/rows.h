#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/question.h"

namespace wattle::inline tasks {

enum class RowFormat {
  kByName,  ///< by the file's name; standard input is JSON Lines when it begins with '{', else plain lines
  kJsonl,   ///< JSON Lines: one object a line; also an array of objects
  kCsv,     ///< RFC 4180 with a header line; quoted fields may hold commas and line ends. Semicolons, tabs or
            ///< bars that fit the header better than commas delimit instead
  kTsv,     ///< as csv with tabs; a quote that is not closed before the next tab is an ordinary character
  kConll,   ///< words in columns, a line each, the last column a tag; a blank line after a sentence
  kLines,   ///< one text a line
  kWhole,   ///< the whole file is one text
};

struct RowOptions {
  std::string field = "text";
  std::string pair_field = "text_pair";  ///< of a second text, where rows have one
  RowFormat format = RowFormat::kByName;
  std::vector<std::string> columns = {};  ///< none: texts; else rows of a table, whose other fields are left
};

struct Rows {
  std::vector<Question> rows;
  int64_t repaired = 0;                 ///< rows that held invalid UTF-8, which became U+FFFD
  std::string sha256;                   ///< of the input's bytes, unpacked
  std::vector<std::string> notes = {};  ///< what had to be guessed or changed to read the file
};

/// Reads a file of rows; `path` may be "-" for standard input, and any file may be gzipped. A byte order mark
/// and CRLF line ends are accepted, blank lines skipped; other untidy forms are read and noted. Throws Error
/// naming the file and the row (and the fields there are) for a missing field, a text that is not a string, a
/// line that is not JSON, an open quote, a row of the wrong width, a column or field given twice. What a row
/// may hold is said at question_from_json().
Rows read_rows(const std::filesystem::path& path, const RowOptions& options = {});

/// All texts, one after another without a separator, as one row: what perplexity is measured on.
/// Rows that hold something else than a text stay as they are.
std::vector<Question> joined(std::vector<Question> rows);

}  // namespace wattle::inline tasks
