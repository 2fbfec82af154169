#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <wattle/meter.h>

#include "base/output_file.h"
#include "base/stopwatch.h"
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
/// to standard output. Energy is measured in windows of about a second, so a counter has ticks enough.
class RowWriter {
 public:
  /// `output` is a path, or empty for standard output.
  RowWriter(Task& task, Meter& meter, const std::string& output);

  void answer(std::span<const Question> questions);
  /// Ends the last window and, with a path, puts the file in its place.
  RunTotals finish();
  const RunTotals& totals() const { return totals_; }

 private:
  void end_window();
  void count_truncation(const Question& question, const Truncation& truncation);
  void write(const Question& question, const Answer& answer, const RowEnergy& energy);

  Task& task_;
  Meter& meter_;
  std::optional<OutputFile> file_;
  std::shared_ptr<const Meter::Moment> window_;
  Stopwatch window_watch_;
  std::vector<Question> questions_;  ///< of the open window
  std::vector<Answer> answers_;
  std::vector<BatchRecord> batches_;
  RunTotals totals_;
};

}  // namespace wattle
