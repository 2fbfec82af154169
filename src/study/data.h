#pragma once

#include <string>
#include <vector>

#include <wattle/study.h>

#include "data/labelled_rows.h"
#include "data/table_rows.h"
#include "metrics/truth.h"

namespace wattle::inline study {

/// The labelled rows of a study. Both parts share one list of label names.
struct StudyData {
  LabelledRows train, eval;
  std::vector<DataColumn> columns;  ///< of a table; else none
  std::vector<Question> questions;  ///< the evaluation rows, as they are asked
  std::vector<Truth> truths;        ///< one a question
  std::string sha256;               ///< of all texts and labels
  std::vector<std::string>
      remarks;  ///< what a reader of the report should know: repaired rows, labels without training rows

  const std::vector<std::string>& labels() const { return eval.label_names; }
};

/// Reads, splits and checks the data of a plan. A category of a table that no training row has is taken as
/// missing in evaluation rows, with a remark. Error naming the file and the cure when there are no rows,
/// one label, or as many labels as rows (most likely the wrong field).
StudyData read_data(const Plan& plan,
                    const std::function<std::filesystem::path(const std::string&)>& resolve);

/// Which training rows of a study with cascades are held out: thresholds are chosen on them, with stages
/// trained on the others. 20 % of each label's texts as split_rows() draws them, and a greater share where so
/// few would be below 50 although there are 250 rows. None where there are too few different texts to part.
std::vector<bool> held_out_rows(const LabelledRows& train, uint64_t seed);

/// Splits evaluation rows into `rounds` parts, one a round: rows sorted by length are dealt out in turn, so
/// that every part costs nearly the same and all parts together are every row once. Rounds beyond begin again
/// with the first part.
std::vector<std::vector<int64_t>> deal_rows(const std::vector<Question>& rows, int rounds);

}  // namespace wattle::inline study
