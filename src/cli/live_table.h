#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <wattle/study.h>

namespace wattle {

/// The table of a study that runs, drawn over itself on standard error (report/live.h has its lines). It
/// follows the terminal's size, has colours unless NO_COLOR is set or TERM is "dumb", and leaves the last
/// table standing when the object goes.
class LiveTable {
 public:
  /// `seconds`: the time limit, for the line below the table.
  explicit LiveTable(double seconds);
  LiveTable(const LiveTable&) = delete;
  LiveTable& operator=(const LiveTable&) = delete;
  ~LiveTable();

  /// Whether standard error is a terminal that a table can be drawn on.
  static bool fits();

  void measured(const Results& results);
  void doing(const StudyProgress& progress);
  /// A line above the table, that stays.
  void notice(const std::string& line);

 private:
  void draw();
  void erase();
  std::string sentence() const;

  const double limit_;
  const bool colour_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::optional<Results> results_;
  std::string what_;
  std::vector<size_t> drawn_;  ///< columns of the lines that stand there now
};

}  // namespace wattle
