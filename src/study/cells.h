#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <wattle/study.h>
#include <nlohmann/json.hpp>

#include "quant/precision.h"
#include "study/data.h"

namespace wattle::inline study {

/// What is made once before the rounds: a trained head, a model at another precision, a cascade's thresholds.
struct Preparation {
  std::string what;  ///< for the progress line
  std::string kind;  ///< "train", "convert" or "threshold"
  std::string key;   ///< hash of everything the file depends on
  std::filesystem::path path;
  nlohmann::ordered_json request;  ///< to a worker, which writes `path`
  nlohmann::ordered_json open;     ///< of a threshold: the cascade that is opened first
  std::vector<size_t> rows;        ///< of training and of a threshold: places in the training rows
};

/// One cell as the runner works on it.
struct Cell {
  CellResult result;  ///< key, rung, kind, model, precision; error when it cannot even be prepared
  const Rung* rung = nullptr;
  Precision precision;            ///< as the plan has it
  std::vector<size_t> needs;      ///< places in Study::preparations, in order
  std::filesystem::path weights;  ///< the file that holds the cell's weights: model, base, or trained head;
                                  ///< empty where they are not ours
  nlohmann::ordered_json open;    ///< request to a worker
};

struct CellPlan {
  std::vector<Preparation> preparations;
  std::vector<Cell> cells;
};

/// The empty contender: Results::empty.
Cell empty_cell();

/// Every cell of a plan in its order, with what must be prepared for it below `directory`. A model that
/// cannot be found becomes the error of its cells, not of the study.
CellPlan plan_cells(const Plan& plan, const StudyData& data, const StudyOptions& options);

/// Order in which the cells run in a round: every round has its own, so that drift of the machine falls on
/// all alike.
std::vector<int64_t> order_of_round(int64_t cells, uint64_t seed, int round);

/// Fills in precision, bits per weight and note from the cell's weights.
void describe_weights(Cell& cell);

}  // namespace wattle::inline study
