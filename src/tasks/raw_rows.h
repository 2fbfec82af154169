#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tasks/rows.h"

namespace wattle::inline tasks {

/// A row as the file has it, before anybody asks for a field: the values by name, in the file's order.
struct RawRow {
  nlohmann::ordered_json fields;
  std::string place;  ///< "reviews.csv: row 12 (line 14)"
};

/// What becomes of a row that cannot be read.
enum class BadRows {
  kFail,      ///< Error
  kLeaveOut,  ///< the others are read all the same, and who asked is told
};

/// Rows that could not be read.
struct LeftOut {
  int64_t count = 0;
  std::vector<std::string> sentences;  ///< of the first few: place, reason, cure

  void add(std::string sentence);
  /// A remark for a reader of what was made of the file; empty where no row was left out.
  std::string remark(int64_t rows_read) const;
  /// Error when more rows were left out than read: then the file is another than its reader takes it for.
  void check(const std::string& origin, int64_t rows_read) const;
};

struct RawRows {
  std::vector<RawRow> rows;
  int64_t repaired = 0;
  std::string sha256;
  std::vector<std::string> notes;  ///< what had to be guessed or changed to read the file
  LeftOut left_out;
};

/// Reads a file of rows as read_rows() says; lines and whole texts become the field `field`.
RawRows read_raw_rows(const std::filesystem::path& path, RowFormat format, const std::string& field,
                      BadRows bad_rows = BadRows::kFail);

/// A row of a table that has its cells in a list `x` gets a field for each in the list's place, named after
/// `columns` of meta.json beside the file, or without such a file after `known`. Error for lists of other
/// lengths, and where there are no names.
void name_cells(const std::filesystem::path& path, std::span<const std::string> known, RawRows& raw);

/// `labels` of meta.json beside the file; none where there is no such file or it names none.
std::vector<std::string> names_of_meta(const std::filesystem::path& path);

/// Sorted as numbers when all are whole numbers, so that "10" follows "9".
std::vector<std::string> distinct_sorted(const std::vector<std::string>& values);

}  // namespace wattle::inline tasks
