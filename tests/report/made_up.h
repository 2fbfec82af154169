#pragma once

#include <string>

#include <wattle/study.h>

#include "statistics/random.h"

namespace wattle {

/// The answer to a row, scored by accuracy alone.
inline Output made_up_output(const Results& study, int64_t row, bool is_right) {
  const bool is_yes = study.truths[static_cast<size_t>(row)].find("yes") != std::string::npos;
  return {row, is_yes == is_right ? R"({"label":"yes"})" : R"({"label":"no"})", {{is_right ? 1.0 : 0.0}}};
}

/// One cell of a made-up study: `right` of the rows answered rightly (the first ones, so that cells nest),
/// `joules` a query with `noise` relative deviation between five rounds.
inline CellResult made_up_cell(const Results& study, const std::string& rung, const std::string& precision,
                               int right, double joules, double noise = 0.01, double watts = 20) {
  CellResult cell;
  cell.key = rung + precision;
  cell.rung = rung;
  cell.kind = "head";
  cell.model = rung;
  cell.precision = precision;
  cell.bits_per_weight = 8.5;
  for (int row = 0; row < static_cast<int>(study.truths.size()); ++row)
    cell.outputs.push_back(made_up_output(study, row, row < right));
  Random random(std::hash<std::string>()(rung) % 1000 + 1);
  Window load;
  load.kind = "load";
  load.energy = {1, 0.8, 1.2, 0.5, 1, Grade::kModelled, "model:test", "vcpu", 1};
  cell.samples.push_back(load);
  for (int round = 0; round < 5; ++round) {
    Window window;
    window.kind = "queries";
    window.round = round;
    window.queries = 100;
    const double energy = 100 * joules * (1 + noise * random.normal());
    window.energy = {energy,       0.7 * energy,   1.3 * energy,
                     0.3 * energy, energy / watts, Grade::kModelled,
                     "model:test", "vcpu",         1};
    window.latencies_ms = {joules * 50, joules * 60};
    window.peak_memory_bytes = 50'000'000;
    window.outputs_sha256 = "same";
    cell.samples.push_back(window);
  }
  return cell;
}

inline Results made_up_study(int rows = 1000) {
  Results study;
  study.plan =
      parse_plan("name: made up\ndata: d\nmetric: accuracy\nquality: 0.9\nrungs: [{kind: majority}]\n", "p");
  study.machine = R"({"processor":"test <cpu>"})";
  study.began = "2026-01-01T00:00:00Z";
  study.labels = {"no", "yes"};
  for (int row = 0; row < rows; ++row)
    study.truths.push_back(row % 3 == 0 ? R"({"label":"yes"})" : R"({"label":"no"})");
  study.complete = true;
  return study;
}

}  // namespace wattle
