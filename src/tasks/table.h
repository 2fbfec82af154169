#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace wattle {

/// All bytes of a file or of standard input ("-"), unpacked where it is gzipped. Throws Error naming the
/// path.
std::string read_all(const std::filesystem::path& path);

/// A record of a table, with the number of the line it begins at (from 1).
struct Record {
  std::vector<std::string> fields;
  int64_t line = 0;
};

/// Reads delimited text after RFC 4180: fields in quotes may hold delimiters, line ends and doubled quotes;
/// blank lines are skipped. `strict_quotes` false (tab-separated files): a quote that opens a field but is
/// not closed before a delimiter is an ordinary character. `origin` is the path for error sentences.
std::vector<Record> parse_delimited(std::string_view text, char delimiter, bool strict_quotes,
                                    const std::string& origin);

}  // namespace wattle
