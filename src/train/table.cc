#include "train/table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "statistics/descriptive.h"

namespace wattle::inline train {
namespace {

/// A column of texts has at most so many categories, or one for two rows where those are more.
constexpr size_t kManyCategories = 50;

bool is_missing(const TableCell& cell) {
  return std::holds_alternative<std::monostate>(cell);
}

/// The number that a cell has or writes.
std::optional<double> number_of(const TableCell& cell) {
  if (const auto* number = std::get_if<double>(&cell)) return *number;
  const auto* text = std::get_if<std::string>(&cell);
  if (text == nullptr || text->empty()) return std::nullopt;
  const char* begin = text->data() + (text->front() == '+' ? 1 : 0);
  const char* const end = text->data() + text->size();
  double value = 0;
  const auto read = std::from_chars(begin, end, value);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return value;
}

std::string category_of(const TableCell& cell) {
  if (const auto* number = std::get_if<double>(&cell)) return fmt::format("{}", *number);
  return std::get<std::string>(cell);
}

void fit_numbers(const std::vector<double>& values, size_t rows, const std::string& origin,
                 TableColumn& column) {
  for (const double value : values) {
    if (!std::isfinite(value))
      fail("{}: column '{}' holds {}, which is no finite number; mend it or leave the cell empty", origin,
           column.name, value);
  }
  column.median = static_cast<float>(median(values));
  const auto count = static_cast<double>(rows), missing = static_cast<double>(rows - values.size());
  double sum = missing * column.median;
  for (const double value : values) sum += value;
  const double mean = sum / count;
  double squares = missing * (column.median - mean) * (column.median - mean);
  for (const double value : values) squares += (value - mean) * (value - mean);
  column.mean = static_cast<float>(mean);
  const auto deviation = static_cast<float>(std::sqrt(squares / count));
  // What never changes says nothing, however it is scaled.
  column.deviation = deviation > 0 ? deviation : 1;
}

void fit_categories(std::span<const TableRow> rows, size_t place, const std::string& origin,
                    TableColumn& column) {
  std::set<std::string> categories;
  for (const TableRow& row : rows) {
    if (!is_missing(row.cells[place])) categories.insert(category_of(row.cells[place]));
  }
  if (categories.size() > std::max(kManyCategories, rows.size() / 2)) {
    fail(
        "{}: column '{}' has {} different texts in {} rows, too many for categories; leave the column out or "
        "train on its texts",
        origin, column.name, categories.size(), rows.size());
  }
  column.categories.assign(categories.begin(), categories.end());
}

}  // namespace

TableFeatures TableFeatures::fit(std::span<const std::string> names, std::span<const TableRow> rows,
                                 const TableFitOptions& options) {
  for (const std::string& name : options.as_categories) {
    if (std::ranges::find(names, name) == names.end())
      fail("{}: has no column '{}'; its columns are {}", options.origin, name, fmt::join(names, ", "));
  }
  std::vector<TableColumn> columns;
  for (size_t i = 0; i < names.size(); ++i) {
    TableColumn column{names[i], {}};
    bool numbers = std::ranges::find(options.as_categories, names[i]) == options.as_categories.end();
    std::vector<double> values;
    size_t given = 0;
    for (const TableRow& row : rows) {
      if (is_missing(row.cells.at(i))) continue;
      ++given;
      const auto number = number_of(row.cells[i]);
      numbers = numbers && number.has_value();
      if (numbers) values.push_back(*number);
    }
    if (given == 0) fail("{}: column '{}' has no value in any row; leave it out", options.origin, names[i]);
    column.misses = given < rows.size();
    if (numbers) {
      fit_numbers(values, rows.size(), options.origin, column);
    } else {
      fit_categories(rows, i, options.origin, column);
    }
    columns.push_back(std::move(column));
  }
  return TableFeatures(std::move(columns), options.standardise, options.origin);
}

TableFeatures::TableFeatures(std::vector<TableColumn> columns, bool standardise, const std::string& origin)
    : columns_(std::move(columns)), standardise_(standardise) {
  std::set<std::string_view> names;
  bool sound = !columns_.empty();
  for (const TableColumn& column : columns_) {
    sound = sound && names.insert(column.name).second && std::isfinite(column.median) &&
            std::isfinite(column.mean) && std::isfinite(column.deviation) && column.deviation > 0 &&
            std::ranges::is_sorted(column.categories) &&
            std::ranges::adjacent_find(column.categories) == column.categories.end();
    size_ += column.features();
  }
  if (!sound) fail("{}: the columns of the table are contradictory; train the head again", origin);
}

std::vector<std::string> TableFeatures::names() const {
  std::vector<std::string> names;
  for (const TableColumn& column : columns_) names.push_back(column.name);
  return names;
}

void TableFeatures::add_number(const TableColumn& column, const TableCell& cell, std::string_view place,
                               int32_t first, SparseVector& out) const {
  const bool missing = is_missing(cell);
  if (missing && !standardise_) return;
  const auto number = missing ? std::optional<double>(column.median) : number_of(cell);
  if (!number || !std::isfinite(*number)) {
    fail("{}: column '{}' holds '{}' where training had numbers; mend the cell or leave it empty", place,
         column.name, category_of(cell));
  }
  const double value = standardise_ ? (*number - column.mean) / column.deviation : *number;
  out.columns.push_back(first);
  out.values.push_back(static_cast<float>(value));
}

void TableFeatures::features(const TableRow& row, std::string_view place, SparseVector& out) const {
  out.clear();
  if (row.cells.size() != columns_.size()) {
    fail("{}: has {} cells where the head was trained on {} columns ({}); give these", place,
         row.cells.size(), columns_.size(), fmt::join(names(), ", "));
  }
  int32_t first = 0;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const TableColumn& column = columns_[i];
    const TableCell& cell = row.cells[i];
    const auto after = first + static_cast<int32_t>(column.features());
    if (column.is_number()) {
      add_number(column, cell, place, first, out);
    } else if (!is_missing(cell)) {
      const std::string category = category_of(cell);
      const auto found = std::ranges::lower_bound(column.categories, category);
      if (found == column.categories.end() || *found != category) {
        fail(
            "{}: column '{}' holds '{}', which no training row had; leave the cell empty or train on rows "
            "that "
            "have it (known: {})",
            place, column.name, category, fmt::join(column.categories, ", "));
      }
      out.columns.push_back(first + static_cast<int32_t>(found - column.categories.begin()));
      out.values.push_back(1);
    }
    if (column.misses && is_missing(cell)) {
      out.columns.push_back(after - 1);
      out.values.push_back(1);
    }
    first = after;
  }
}

}  // namespace wattle::inline train
