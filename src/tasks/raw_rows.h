#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tasks/rows.h"

namespace wattle {

/// A row as the file has it, before anybody asks for a field: the values by name, in the file's order.
struct RawRow {
  nlohmann::ordered_json fields;
  std::string place;  ///< "reviews.csv: row 12 (line 14)"
};

struct RawRows {
  std::vector<RawRow> rows;
  int64_t repaired = 0;
  std::string sha256;
};

/// Reads a file of rows as read_rows() says; lines and whole texts become the field `field`.
RawRows read_raw_rows(const std::filesystem::path& path, RowFormat format, const std::string& field);

/// A row of a table that has its cells in a list `x` gets a field for each in the list's place, named after
/// `columns` of meta.json beside the file, or without such a file after `known`. Error for lists of other
/// lengths, and where there are no names.
void name_cells(const std::filesystem::path& path, std::span<const std::string> known, RawRows& raw);

/// `labels` of meta.json beside the file; none where there is no such file or it names none.
std::vector<std::string> names_of_meta(const std::filesystem::path& path);

/// Sorted as numbers when all are whole numbers, so that "10" follows "9".
std::vector<std::string> distinct_sorted(const std::vector<std::string>& values);

}  // namespace wattle
