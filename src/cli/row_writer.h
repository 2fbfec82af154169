#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <wattle/meter.h>

#include "base/stopwatch.h"
#include "cli/partial_output.h"
#include "meter/row_energy.h"
#include "tasks/task.h"

namespace wattle {

/// What all rows together took.
struct RunTotals {
  int64_t rows = 0, truncated = 0;
  Truncation longest;      ///< of the row that lost most
  std::string longest_id;  ///< its id, as JSON
  Work work;
  Phases phases;
  double seconds = 0;  ///< on the clock, inside the energy windows
  std::optional<Energy> energy;
};

/// "3 rows were longer than the 256 tokens that there is room for and were cut; the longest, id 7, has 812".
std::string truncation_notice(int64_t rows, const Truncation& longest, const std::string& longest_row);

/// {"tokenize", "prefill", "decode", "post"}: joules that add up to the row's exactly.
nlohmann::ordered_json phases_json(const RowEnergy& energy);

/// Answers rows and writes one JSON object a row with its energy, to a file that appears whole at the end, or
/// to standard output. Energy is measured in windows of about a second, so a counter has ticks enough. With a
/// file the rows of every window are kept at its end (PartialOutput), for a run that goes on later.
class RowWriter {
 public:
  /// `output` is a path, or empty for standard output; `identity` as PartialOutput has it.
  RowWriter(Task& task, Meter& meter, const std::string& output, const nlohmann::ordered_json& identity);

  /// Rows that are finished and kept, by an earlier run or this one: the input's first.
  int64_t done() const { return done_; }
  void answer(std::span<const Question> questions);
  /// Ends the last window and keeps its rows. Says what became of all, as the end of a sentence.
  std::string keep();
  /// Ends the last window and, with a path, puts the file in its place.
  RunTotals finish();
  const RunTotals& totals() const { return totals_; }

 private:
  void end_window();
  void forget_window();
  void count_truncation(const Question& question, const Truncation& truncation);
  void write(const Question& question, const Answer& answer, const RowEnergy& energy);

  Task& task_;
  Meter& meter_;
  std::optional<PartialOutput> file_;
  std::shared_ptr<const Meter::Moment> window_;
  Stopwatch window_watch_;
  std::vector<Question> questions_;  ///< of the open window
  std::vector<Answer> answers_;
  std::vector<BatchRecord> batches_;
  RunTotals totals_;
  int64_t done_ = 0;
};

}  // namespace wattle
