#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::inline pull {

/// Which rows of a public data set are asked, and how an input is made of each (data/recipes/NAME.yaml).
/// Holds no texts: rows are told by their hashes.
struct RowRecipe {
  std::string name, about, source, split, licence;
  std::string folder;               ///< below a root of data, with eval.jsonl or eval.jsonl.gz
  std::string lines;                ///< a field each of whose lines that are not blank is a row; empty: rows
  std::vector<std::string> labels;  ///< in the order of their indices
  std::vector<std::string> hashed;  ///< fields that a row's hash covers
  std::vector<std::string> hashes;  ///< 16 hexadecimal digits a row, in the order of the rows
  /// By the input's name, of each field of a row that is asked what it is made of: "{text}" is the row's
  /// field,
  /// "{text:50}" its first 50 words with one space between, "{text#20}" its 20th word, "{label:name}" the
  /// name of a label; the rest stands as it is.
  std::map<std::string, std::map<std::string, std::string>> inputs;
};

/// Reads a recipe. Error naming `origin` for an unknown key, and for hashes that are not as many as the rows.
RowRecipe parse_row_recipe(std::string_view yaml, const std::string& name, const std::string& origin);

/// Names of the recipes that the program has.
std::vector<std::string> row_recipe_names();
/// Error listing the names when there is none of that name.
RowRecipe row_recipe(const std::string& name);

/// Whether a data set is named by a recipe: "recipe:NAME" or "recipe:NAME@INPUT" ("whole" where none is
/// named).
bool names_recipe(std::string_view data);

/// Makes the rows of "recipe:NAME@INPUT" from the first of `roots` that has the data set's folder, each row
/// checked by its hash, in the recipe's order, as eval.jsonl with meta.json in a folder below `cache` that is
/// named by the recipe and its input; returns the folder. Returns at once when it is there. Error with the
/// cure when no root has the data set, or naming the first row that is missing or differs.
std::filesystem::path resolve_recipe(const std::string& data, const std::vector<std::filesystem::path>& roots,
                                     const std::filesystem::path& cache);
std::filesystem::path resolve_recipe(const RowRecipe& recipe, const std::string& input,
                                     const std::vector<std::filesystem::path>& roots,
                                     const std::filesystem::path& cache);

}  // namespace wattle::inline pull
