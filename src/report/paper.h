#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <wattle/study.h>

namespace wattle::inline report {

/// One model of a task of "Power Hungry Processing" (Luccioni et al. 2024), as data/power_hungry.csv has it:
/// of each data set the mean of its runs.
struct PaperModel {
  std::string task, model;  ///< "text-classification", "bigscience/bloomz-560m"
  bool zero_shot = false;
  std::map<std::string, double> wh;       ///< by data set, Wh per 1,000 queries
  std::map<std::string, double> quality;  ///< by data set, 0 to 1; none where the authors state none
  double mean_wh() const;                 ///< over the data sets, each counted alike
};

/// The models of a task of paper_tasks(), the cheapest first. Error naming the tasks for another one.
std::vector<PaperModel> paper_models(const std::string& task);

/// A model of the paper beside the cells of ours that are its shape or its weights: rungs that have its name.
struct Replayed {
  PaperModel paper;
  double paper_wh = 0;                   ///< of the plan's data set where the paper has it, else the mean
  double paper_quality = 0;              ///< likewise; not a number where there is none
  std::vector<const CellResult*> cells;  ///< with an energy, in the plan's order; may be empty
};

/// Nothing where the plan names no `paper`. The cells are those of `results`, which must outlive it.
std::vector<Replayed> replay(const Results& results);

/// The data set of the paper that the plan asks ("sst2"), or nothing: then the paper's means stand beside
/// ours.
std::optional<std::string> paper_data(const Plan& plan);

/// What must be known before the two are compared: one paragraph.
std::string paper_caveats(const Results& results);

/// Spearman's correlation of the paper's energies with ours at one precision, over the models that both have;
/// nothing below four.
std::optional<double> order_agreement(const std::vector<Replayed>& models, const std::string& precision);

/// For a terminal. Error where the plan names no `paper`.
std::string paper_table(const Results& results);
/// A section of the report's page; empty where the plan names no `paper`.
std::string paper_section(const Results& results);

}  // namespace wattle::inline report
