#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "train/features.h"

namespace wattle::inline train {

/// Nothing, where the value is missing; a number; or a text, which is a category, or a number in a column of
/// numbers.
using TableCell = std::variant<std::monostate, double, std::string>;

/// The cells of one row, in the order of the columns of whoever reads it.
struct TableRow {
  std::vector<TableCell> cells;
};

/// What training found of a column: numbers, or the categories that there are.
struct TableColumn {
  std::string name;
  std::vector<std::string> categories = {};  ///< sorted; none: a column of numbers
  bool misses = false;                       ///< some rows lack a value: then that is a feature
  // Of numbers, in the training rows: the median stands for a missing one; mean and deviation (population's)
  // after that.
  float median = 0, mean = 0, deviation = 1;

  bool is_number() const { return categories.empty(); }
  /// A number or one for each category; and one for a missing value.
  int64_t features() const {
    return (is_number() ? 1 : static_cast<int64_t>(categories.size())) + (misses ? 1 : 0);
  }
};

struct TableFitOptions {
  bool standardise = true;  ///< numbers: (value - mean) / deviation, the median for a missing one
  std::vector<std::string> as_categories = {};  ///< columns of categories that look like numbers
  std::string origin = "training";              ///< for error sentences
};

/// The features of a table's rows, column after column: a number, or 1 for the row's category, and 1 for a
/// missing value where training rows lacked some. Standardised, they are those of scikit-learn's
/// SimpleImputer (median) with StandardScaler, OneHotEncoder and MissingIndicator; else numbers are as they
/// are and a missing one is absent.
class TableFeatures {
 public:
  /// A column is one of numbers when every text in it is one. Error for a column without any value, one of as
  /// good as all different texts, a number that is not finite, and an unknown name in `as_categories`.
  static TableFeatures fit(std::span<const std::string> names, std::span<const TableRow> rows,
                           const TableFitOptions& options);
  /// As saved. Error (`origin` names the file) for columns that cannot be.
  TableFeatures(std::vector<TableColumn> columns, bool standardise, const std::string& origin);

  const std::vector<TableColumn>& columns() const { return columns_; }
  std::vector<std::string> names() const;
  int64_t size() const { return size_; }
  /// Error, beginning with `place`, for a wrong number of cells, an unknown category, a text in a column of
  /// numbers.
  void features(const TableRow& row, std::string_view place, SparseVector& out) const;

 private:
  void add_number(const TableColumn& column, const TableCell& cell, std::string_view place, int32_t first,
                  SparseVector& out) const;

  std::vector<TableColumn> columns_;
  bool standardise_;
  int64_t size_ = 0;
};

}  // namespace wattle::inline train
