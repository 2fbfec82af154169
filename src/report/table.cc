#include <algorithm>

#include <fmt/format.h>

#include "report/advice.h"
#include "report/format.h"
#include "report/race.h"
#include "report/report.h"
#include "study/scoring.h"

namespace wattle::inline report {
namespace {

constexpr size_t kRungWidth = 25;

/// Cuts UTF-8 text to a number of code points, never inside one.
std::string cut(const std::string& text, size_t width) {
  size_t points = 0, end = 0;
  for (; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) continue;
    if (points++ == width) break;
  }
  return text.substr(0, end);
}

/// Control characters of a hostile name must not reach the terminal.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return text;
}

std::string interval_of(const Metric& metric, const Interval& interval) {
  if (is_share(metric)) return fmt::format("{:.1f} ±{:.1f}", 100 * interval.value, 100 * interval.half());
  return fmt::format("{} ±{}", significant(interval.value, 3), significant(interval.half(), 1));
}

/// At most nine columns.
std::string heading_of(const Metric& metric) {
  if (metric.name() == "accuracy") return "acc. %";
  if (metric.name() == "macro_f1") return "mF1 %";
  return cut(title(metric.name()), is_share(metric) ? 7 : 9) + (is_share(metric) ? " %" : "");
}

std::string energy_of(const CellResult& cell) {
  const Interval& wh = *cell.wh_per_1000;
  if (!wh.bounded()) return energy(wh.value, 3) + " ± ?";
  const double half = wh.value > 0 ? 50 * (wh.high - wh.low) / wh.value : 0;
  return fmt::format("{} ±{:.0f}%", energy(wh.value, 3), half);
}

std::string row(const CellResult& cell, const Metric& metric, bool on_front, bool colour) {
  const std::string rung = cut(printable(cell.rung), kRungWidth),
                    precision = cell.precision.empty() ? "-" : cut(printable(cell.precision), 9);
  const std::string quality = cell.quality ? interval_of(metric, *cell.quality) : "-";
  const std::string energy = cell.wh_per_1000 ? energy_of(cell) : "-";
  const std::string p95 = cell.wh_per_1000 ? significant(cell.p95_ms, 3) : "-";
  const std::string memory = cell.wh_per_1000 ? bytes(cell.peak_memory_bytes) : "-";
  const std::string line = fmt::format("{} {:<{}} {:<9} {:>9} {:>14} {:>8} {:>8}", on_front ? '*' : ' ', rung,
                                       kRungWidth, precision, quality, energy, p95, memory);
  return on_front && colour ? "\033[1;32m" + line + "\033[0m" : line;
}

std::string source_line(const Results& results) {
  for (const CellResult& cell : results.cells) {
    if (!cell.wh_per_1000) continue;
    return fmt::format("Energy: {} by {}, scope {}.", name(cell.grade), cell.source, cell.scope);
  }
  return "Energy: not measured.";
}

/// A line a cell, or one for all where there are many.
std::string disturbed_lines(const Results& results) {
  constexpr int kMostLines = 3;
  std::string lines;
  int cells = 0, disturbed = 0, windows = 0;
  for (const CellResult& cell : results.cells) {
    windows += cell.windows;
    if (cell.disturbed == 0) continue;
    ++cells, disturbed += cell.disturbed;
    lines += fmt::format("{}: {} of {} windows kept although others used the machine\n",
                         printable(cell_name(cell)), cell.disturbed, cell.windows);
  }
  if (cells <= kMostLines) return lines;
  return fmt::format("{} of {} windows of all rungs kept although others used the machine\n", disturbed,
                     windows);
}

std::string asking_line(const Results& results) {
  const std::string sentence = asking_in_words(results);
  return sentence.empty() ? "" : sentence + "\n";
}

}  // namespace

std::string table(const Results& results, bool colour) {
  const std::vector<size_t> front = pareto_front(results);
  const auto metric = metric_of(results);
  std::string text =
      fmt::format("{}: {} evaluation rows, {}\n\n", printable(results.plan.name),
                  count(static_cast<int64_t>(results.truths.size())), rounds_in_words(results));
  text += fmt::format("  {:<{}} {:<9} {:>9} {:>14} {:>8} {:>8}\n", "rung", kRungWidth, "precision",
                      heading_of(*metric), "Wh/1,000", "p95 ms", "memory");
  std::string failures;
  for (size_t place = 0; place < results.cells.size(); ++place) {
    const CellResult& cell = results.cells[place];
    const bool on_front = std::find(front.begin(), front.end(), place) != front.end();
    text += row(cell, *metric, on_front, colour) + "\n";
    if (!cell.error.empty())
      failures += fmt::format("{} failed: {}\n", printable(cell_name(cell)), printable(cell.error));
    if (!cell.answers_repeat)
      failures += fmt::format("{}: repeated windows gave different answers\n", printable(cell_name(cell)));
  }
  failures += disturbed_lines(results);
  text +=
      "\n* no other is both better and cheaper; ± is half of the 95 % interval\n"
      "? fewer than three windows tell no interval\n" +
      (metric->greater_is_better() ? "" : fmt::format("{}: smaller is better\n", title(metric->name()))) +
      source_line(results) + "\n" + asking_line(results);
  if (const std::vector<std::string> race = race_in_words(results); !race.empty()) {
    text += "\n";
    for (const std::string& line : race) text += printable(line) + "\n";
  }
  return failures.empty() ? text : text + "\n" + failures;
}

}  // namespace wattle::inline report
