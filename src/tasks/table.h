#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::inline tasks {

/// All bytes of a file or of standard input ("-"), unpacked where it is gzipped. Throws Error naming the
/// path.
std::string read_all(const std::filesystem::path& path);

/// A record of a table, with the number of the line it begins at (from 1).
struct Record {
  std::vector<std::string> fields;
  int64_t line = 0;
};

/// How text is delimited after RFC 4180: fields in quotes may hold delimiters, line ends and doubled quotes.
struct Delimited {
  char delimiter = ',';
  /// False: a quote that opens a field but is not closed before a delimiter is an ordinary character.
  bool strict_quotes = true;
  int64_t first_line = 1;  ///< number of the text's first line
  size_t most = SIZE_MAX;  ///< records to be read
  /// Takes the sentence of a line with a quote that is not closed, which is then skipped; empty: it is
  /// thrown.
  std::function<void(std::string)> refuse = {};
};

/// Reads delimited text; blank lines are skipped. `origin` is the path for error sentences.
std::vector<Record> parse_delimited(std::string_view text, const Delimited& how, const std::string& origin);

/// What delimits the fields of a text with a header: `usual` unless another of comma, semicolon, tab and bar
/// gives more than one column and the first records fit their header better.
char delimiter_of(std::string_view text, char usual);

}  // namespace wattle::inline tasks
