#include "report/live.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>
#include <utf8proc.h>

#include "report/advice.h"
#include "report/format.h"
#include "study/scoring.h"

namespace wattle::inline report {
namespace {

constexpr size_t kFewestColumns = 20, kLongestName = 36;
constexpr double kMillijoules = 3600;  // a query's, of the watt-hours of a thousand

enum class LiveState { kWaiting, kRacing, kStopped, kFailed };

struct LiveRow {
  std::string name, quality, energy, state;
  LiveState is = LiveState::kWaiting;
  bool on_front = false;
};

/// Calls `take` with each character, its bytes and the columns it takes; bytes that are no UTF-8 one by one.
void for_each_character(const std::string& text, const std::function<bool(std::string, size_t)>& take) {
  for (size_t place = 0; place < text.size();) {
    utf8proc_int32_t point = 0;
    const utf8proc_ssize_t size =
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + place,
                         static_cast<utf8proc_ssize_t>(text.size() - place), &point);
    const auto category = size > 0 ? utf8proc_category(point) : UTF8PROC_CATEGORY_CC;
    // Characters that turn the direction of writing would move what stands beside them.
    const bool obeyed = category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
                        category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
    const auto bytes = static_cast<size_t>(std::max<utf8proc_ssize_t>(size, 1));
    const bool more = obeyed
                          ? take("?", 1)
                          : take(text.substr(place, bytes), static_cast<size_t>(utf8proc_charwidth(point)));
    if (!more) return;
    place += bytes;
  }
}

std::string padded(const std::string& text, size_t columns) {
  const std::string cut = cut_to_columns(text, columns);
  return cut + std::string(columns - columns_of(cut), ' ');
}

std::string quality_of(const Metric& metric, const CellResult& cell) {
  if (!cell.quality) return "";
  const Interval& quality = *cell.quality;
  if (is_share(metric)) return fmt::format("{:.1f} ±{:.1f} %", 100 * quality.value, 100 * quality.half());
  return fmt::format("{} ±{}", significant(quality.value, 3), significant(quality.half(), 1));
}

std::string millijoules_of(const CellResult& cell) {
  if (!cell.wh_per_1000) return "";
  const Interval& wh = *cell.wh_per_1000;
  const std::string value = energy(kMillijoules * wh.value, 3);
  if (!wh.bounded()) return value + " ± ?";
  return fmt::format("{} ({}-{})", value, energy(kMillijoules * wh.low, 2),
                     energy(kMillijoules * wh.high, 2));
}

LiveRow row_of(const Results& results, const CellResult& cell, const Metric& metric) {
  LiveRow row{cell_name(cell), quality_of(metric, cell), millijoules_of(cell), "waits"};
  if (!cell.error.empty()) {
    row.is = LiveState::kFailed;
    row.state = "failed: " + cell.error;
  } else if (results.race && results.race->stopped.contains(cell.key)) {
    row.is = LiveState::kStopped;
    row.state = "stopped " + results.race->stopped.at(cell.key);
  } else if (cell.windows > 0) {
    row.is = LiveState::kRacing;
    const bool over = results.race && !results.race->ended.empty();
    row.state = over ? "measured" : "racing";
    row.state += fmt::format(", {} round{}", cell.windows, cell.windows == 1 ? "" : "s");
  }
  return row;
}

std::string coloured(const std::string& line, const LiveRow& row) {
  const char* colour = row.is == LiveState::kFailed    ? "\033[31m"
                       : row.is == LiveState::kStopped ? "\033[2m"
                       : row.on_front                  ? "\033[1;32m"
                                                       : "";
  return *colour == '\0' ? line : colour + line + "\033[0m";
}

/// Widths of the first three columns.
struct Widths {
  size_t name = 4, quality = 7, energy = 8;
};

std::string line_of(const LiveRow& row, const Widths& widths, size_t columns) {
  const std::string line =
      fmt::format("{} {} {} {} {}", row.on_front ? '*' : ' ', padded(row.name, widths.name),
                  padded(row.quality, widths.quality), padded(row.energy, widths.energy), row.state);
  return cut_to_columns(line, columns);
}

}  // namespace

size_t columns_of(const std::string& text) {
  size_t columns = 0;
  for_each_character(text, [&](const std::string&, size_t width) {
    columns += width;
    return true;
  });
  return columns;
}

std::string cut_to_columns(const std::string& text, size_t columns) {
  std::string cut;
  size_t taken = 0;
  for_each_character(text, [&](const std::string& bytes, size_t width) {
    taken += width;
    if (taken > columns) return false;
    cut += bytes;
    return true;
  });
  return cut;
}

std::vector<std::string> live_lines(const Results& results, const std::string& doing, size_t columns,
                                    size_t rows, bool colour) {
  columns = std::max(columns, kFewestColumns);
  const auto metric = metric_of(results);
  const std::vector<size_t> front = pareto_front(results);
  const LiveRow heading{"rung", title(metric->name()), "mJ/query", ""};
  std::vector<LiveRow> cells;
  Widths widths;
  widths.quality = std::max(widths.quality, columns_of(heading.quality));
  for (size_t place = 0; place < results.cells.size(); ++place) {
    LiveRow& row = cells.emplace_back(row_of(results, results.cells[place], *metric));
    row.on_front = std::ranges::find(front, place) != front.end();
    widths.name = std::max(widths.name, std::min(columns_of(row.name), kLongestName));
    widths.quality = std::max(widths.quality, columns_of(row.quality));
    widths.energy = std::max(widths.energy, columns_of(row.energy));
  }
  // On a narrow terminal names give way before figures.
  const size_t figures = widths.quality + widths.energy + 4;
  widths.name = std::min(widths.name, std::max<size_t>(8, columns > figures ? columns - figures : 0));
  std::vector<std::string> lines{line_of(heading, widths, columns)};
  const size_t room = rows > 3 ? rows - 2 : 1;
  const size_t shown = cells.size() <= room ? cells.size() : room - 1;
  for (size_t i = 0; i < shown; ++i) {
    const std::string line = line_of(cells[i], widths, columns);
    lines.push_back(colour ? coloured(line, cells[i]) : line);
  }
  if (shown < cells.size())
    lines.push_back(cut_to_columns(fmt::format("  and {} more", cells.size() - shown), columns));
  if (!doing.empty()) lines.push_back(cut_to_columns(doing, columns));
  return lines;
}

}  // namespace wattle::inline report
