#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <wattle/study.h>

namespace wattle {

/// What `compare` is told of the data and of who competes.
struct CompareFlags {
  std::string data, train;
  std::string task;                           ///< empty: what the columns say
  std::string text, label;                    ///< columns; empty: those of the usual names
  std::map<std::string, std::string> fields;  ///< other parts of a row: columns by the task's names for them
  std::vector<std::string> models;            ///< in place of those of the catalogue that were pulled
  std::vector<std::string> precisions;        ///< in place of those that suit a model
  std::string from, to;                       ///< translate: languages
  std::vector<std::string> metrics;           ///< none: those of the task
  std::optional<double> quality;
  int64_t rows = 0;  ///< evaluation rows at most; 0: as the task takes time
};

/// A plan with sensible rungs for the task, paced for a race, and what had to be guessed, a sentence each.
struct ComparePlan {
  Plan plan;
  std::vector<std::string> notes;
};

/// Error where the columns do not say the task, and where nothing that was pulled can do it.
ComparePlan make_compare_plan(const CompareFlags& flags);

/// The rungs of a task, from free to costly: what learns from the rows, then the models. `labels` are those
/// of the rows, where they have some. Error where a task has none, naming what it needs.
std::vector<Rung> contenders_for(const CompareFlags& flags, const std::string& task,
                                 const std::vector<std::string>& labels);

}  // namespace wattle
