#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace wattle::inline tasks {

/// A value of a JSON file, unread, and the number of the line that it begins at (from 1).
struct JsonPiece {
  std::string_view text;
  int64_t line = 0;
};

struct JsonPieces {
  std::vector<JsonPiece> pieces;
  std::string note;  ///< how a file was read that is no JSON Lines; empty where it is
};

/// What a file of JSON says of each row: its lines; or, where one value goes over several lines or is all
/// there is, the elements of an array, those of the one list of rows in an object ("data", "rows", ...), or
/// values one after another. Throws Error for a value that is not closed, and for an object of columns.
JsonPieces split_json(std::string_view text, const std::string& origin);

/// A row that was read, perhaps after a change.
struct JsonRow {
  nlohmann::ordered_json fields;
  bool mended = false;  ///< half a surrogate pair became U+FFFD; NaN and Infinity became null
};

/// Reads an object. `place` begins every Error: what is no JSON, no object, nested deeper than 100 levels, or
/// has one key twice.
JsonRow parse_json_row(std::string_view text, const std::string& place);

}  // namespace wattle::inline tasks
