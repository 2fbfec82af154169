// Every published figure from the windows and rows of the store once more, by arithmetic of its own: nothing
// of the summary and of the meter's rules is called here, so that a mistake in them does not hide itself.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include <fmt/format.h>
#include <wattle/error.h>

#include "meter/carbon.h"
#include "report/format.h"
#include "report/report.h"
#include "statistics/descriptive.h"
#include "statistics/distributions.h"
#include "statistics/intervals.h"
#include "study/scoring.h"
#include "tasks/json.h"

namespace wattle::inline report {
namespace {

constexpr double kTolerance = 1e-9;  // sums in another order
constexpr double kWattHour = 3600;

/// Joules with the two parts of their error: what the instrument repeats, and what each window has alone.
struct Reading {
  double joules = 0;
  double repeated[2] = {0, 0}, alone[2] = {0, 0};  ///< half-widths downwards and upwards
  double idle = 0, idle_half = 0;
  bool modelled = false;
};

double rest_of(double whole, double part) {
  return std::sqrt(std::max(0.0, whole * whole - part * part));
}

Reading reading_of(const Energy& energy, double factor) {
  Reading reading;
  reading.modelled = energy.grade == Grade::kModelled;
  reading.joules = factor * energy.joules;
  reading.idle = factor * energy.idle_joules, reading.idle_half = factor * energy.idle_half;
  const double halves[2] = {energy.joules - energy.low, energy.high - energy.joules};
  for (int side = 0; side < 2; ++side) {
    const double repeated = reading.modelled ? halves[side] : std::min(energy.systematic, halves[side]);
    reading.repeated[side] = factor * repeated;
    reading.alone[side] = factor * rest_of(halves[side], repeated);
  }
  return reading;
}

/// Of windows of one instrument: what repeats adds up, what each has alone adds in quadrature.
Reading sum_of(const std::vector<Reading>& windows) {
  Reading sum;
  double squares[2] = {0, 0};
  for (const Reading& window : windows) {
    sum.modelled |= window.modelled;
    sum.joules += window.joules, sum.idle += window.idle, sum.idle_half += window.idle_half;
    for (int side = 0; side < 2; ++side) {
      sum.repeated[side] += window.repeated[side];
      squares[side] += window.alone[side] * window.alone[side];
    }
  }
  for (int side = 0; side < 2; ++side) sum.alone[side] = std::sqrt(squares[side]);
  return sum;
}

Reading times(Reading reading, double factor) {
  for (double* value : {&reading.joules, &reading.repeated[0], &reading.repeated[1], &reading.alone[0],
                        &reading.alone[1], &reading.idle, &reading.idle_half})
    *value *= factor;
  return reading;
}

/// A counter's gain is wrong by as much of the difference; of a model, and of two instruments, nothing is
/// shared.
Reading less(const Reading& a, const Reading& b, bool one_instrument) {
  Reading rest = a;
  const bool shared = one_instrument && !a.modelled && !b.modelled;
  rest.joules -= b.joules, rest.idle -= b.idle;
  rest.idle_half = std::hypot(a.idle_half, b.idle_half);
  for (int side = 0; side < 2; ++side) {
    const int other = 1 - side;
    rest.repeated[side] = shared ? std::abs(a.repeated[side] - b.repeated[side])
                                 : std::hypot(a.repeated[side], b.repeated[other]);
    rest.alone[side] = std::hypot(a.alone[side], b.alone[other]);
    if (a.modelled || b.modelled) {
      rest.repeated[side] = std::hypot(rest.repeated[side], rest.alone[side]);
      rest.alone[side] = 0;
    }
  }
  rest.modelled = a.modelled || b.modelled;
  return rest;
}

/// Above idle: the gain is wrong by as much of what is left, and idle has its own doubt.
Reading net_of(const Reading& gross) {
  Reading net = gross;
  net.joules -= gross.idle;
  const double kept = gross.modelled || gross.joules <= 0 ? 1 : std::abs(net.joules) / gross.joules;
  for (int side = 0; side < 2; ++side) {
    net.repeated[side] *= kept;
    net.alone[side] = std::hypot(gross.alone[side], gross.idle_half);
    if (gross.modelled) {
      net.repeated[side] = std::hypot(net.repeated[side], net.alone[side]);
      net.alone[side] = 0;
    }
  }
  return net;
}

/// Watt-hours: the geometric mean of the rounds (the mean, where one is not positive) with Student's t, and
/// what the instrument leaves open beside it.
Interval over_rounds(const std::vector<Reading>& rounds, double* relative) {
  std::vector<double> values;
  bool positive = true;
  for (const Reading& round : rounds) values.push_back(round.joules), positive &= round.joules > 0;
  if (positive) std::ranges::transform(values, values.begin(), [](double value) { return std::log(value); });
  const auto n = static_cast<double>(values.size());
  const double middle = mean(values);
  const auto joules_at = [&](double value) { return positive ? std::exp(value) : value; };
  const double value = joules_at(middle);
  Interval wh{std::max(0.0, value / kWattHour), NAN, NAN};
  *relative = NAN;
  if (values.size() < kLeastRepetitions) return wh;
  const double half = student_t_quantile(0.975, n - 1) * std::sqrt(variance(values) / n);
  const double spread[2] = {value - joules_at(middle - half), joules_at(middle + half) - value};
  *relative = (spread[0] + spread[1]) / 2 / std::max(value, 1e-300);
  Reading whole = times(sum_of(rounds), 1 / n);
  if (whole.joules > 0) whole = times(whole, value / whole.joules);
  double sides[2];
  for (int side = 0; side < 2; ++side)
    sides[side] = std::hypot(whole.repeated[side], std::max(whole.alone[side], spread[side]));
  wh.low = std::max(0.0, (value - sides[0]) / kWattHour);
  wh.high = (std::max(0.0, value) + sides[1]) / kWattHour;
  return wh;
}

bool is_kept(const Window& window) {
  return window.kind == "queries" && window.accepted && window.queries > 0;
}

/// By round, a thousand queries.
std::map<int, Reading> rounds_of(const CellResult& cell) {
  std::map<int, Reading> rounds;
  for (const Window& window : cell.samples) {
    if (is_kept(window))
      rounds[window.round] = reading_of(window.energy, 1000.0 / static_cast<double>(window.queries));
  }
  return rounds;
}

std::string source_of(const CellResult& cell) {
  const auto kept = std::ranges::find_if(cell.samples, is_kept);
  return kept == cell.samples.end() ? "" : kept->energy.source;
}

/// Compares what was published of one cell with what it is told, and keeps a sentence for each difference.
class Check {
 public:
  Check(const CellResult& cell, std::vector<std::string>& sentences) : cell_(cell), sentences_(sentences) {}

  void number(const char* what, double published, double computed) {
    const double room = kTolerance * std::max(std::abs(published), std::abs(computed)) + 1e-300;
    const bool same = std::isnan(published) ? std::isnan(computed) : std::abs(published - computed) <= room;
    if (!same) say(what, fmt::format("{}", published), fmt::format("{}", computed));
  }
  void interval(const std::string& what, const std::optional<Interval>& published,
                const std::optional<Interval>& computed) {
    if (published.has_value() != computed.has_value()) {
      say(what.c_str(), published ? "a value" : "nothing", computed ? "a value" : "nothing");
      return;
    }
    if (!published) return;
    number(what.c_str(), published->value, computed->value);
    number((what + ".low").c_str(), published->low, computed->low);
    number((what + ".high").c_str(), published->high, computed->high);
  }
  void say(const char* what, const std::string& published, const std::string& computed) {
    sentences_.push_back(fmt::format("{}: {} was published as {}, but its samples give {}", cell_name(cell_),
                                     what, published, computed));
  }

 private:
  const CellResult& cell_;
  std::vector<std::string>& sentences_;
};

void check_energy(const Results& results, const CellResult& cell, Check& check) {
  std::vector<Reading> gross, above_idle, asking;
  if (results.empty && &*results.empty != &cell) {
    for (const auto& [round, reading] : rounds_of(*results.empty)) asking.push_back(reading);
  }
  const bool one = results.empty && source_of(*results.empty) == source_of(cell);
  bool idle_known = true;
  for (const Window& window : cell.samples) idle_known &= !is_kept(window) || window.energy.idle_known;
  for (const Window& window :
       results.empty && !asking.empty() ? results.empty->samples : std::vector<Window>())
    idle_known &= !is_kept(window) || window.energy.idle_known;
  for (const auto& [round, reading] : rounds_of(cell)) {
    gross.push_back(
        asking.empty() ? reading
                       : less(reading, times(sum_of(asking), 1.0 / static_cast<double>(asking.size())), one));
    above_idle.push_back(net_of(gross.back()));
  }
  double relative = 0, unused = 0;
  std::optional<Interval> wh, net;
  if (!gross.empty()) wh = over_rounds(gross, &relative);
  if (!gross.empty() && idle_known) net = over_rounds(above_idle, &unused);
  check.interval("wh_per_1000", cell.wh_per_1000, wh);
  check.interval("net_wh_per_1000", cell.net_wh_per_1000, net);
  if (!wh) return;
  check.number("wh_statistical", cell.wh_statistical, relative);
  std::vector<double> joules;
  for (const Reading& round : gross) joules.push_back(round.joules);
  const std::vector<bool> flags = outliers(joules);
  check.number("outliers", cell.outliers, static_cast<double>(std::ranges::count(flags, true)));
  if (results.plan.zone.empty()) return;
  const double grams = carbon_zone(results.plan.zone).grams_per_kwh / 1000;
  check.interval("grams_per_1000", cell.grams_per_1000,
                 Interval{wh->value * grams, wh->low * grams, wh->high * grams});
}

void check_once(const CellResult& cell, Check& check) {
  std::vector<Reading> loads, once;
  for (const Window& window : cell.samples) {
    if (window.kind == "load") loads.push_back(reading_of(window.energy, 1));
    if (window.kind == "train" || window.kind == "convert" || window.kind == "threshold")
      once.push_back(reading_of(window.energy, 1));
  }
  double unused = 0;
  std::optional<Interval> load, preparation;
  if (!loads.empty()) load = over_rounds(loads, &unused);
  if (!once.empty()) {
    const Reading sum = sum_of(once);
    preparation = Interval{sum.joules / kWattHour,
                           std::max(0.0, sum.joules - std::hypot(sum.repeated[0], sum.alone[0])) / kWattHour,
                           (sum.joules + std::hypot(sum.repeated[1], sum.alone[1])) / kWattHour};
  }
  check.interval("load_wh", cell.load_wh, load);
  check.interval("preparation_wh", cell.preparation_wh, preparation);
}

void check_windows(const CellResult& cell, Check& check) {
  double joules = 0, idle = 0, seconds = 0, kept = 0, rejected = 0, disturbed = 0, memory = 0;
  std::vector<double> latencies;
  for (const Window& window : cell.samples) {
    if (window.kind != "queries") continue;
    rejected += window.accepted ? 0 : 1;
    if (!is_kept(window)) continue;
    ++kept;
    disturbed += window.remark.empty() ? 0 : 1;
    joules += window.energy.joules, idle += window.energy.idle_joules, seconds += window.energy.seconds;
    memory = std::max(memory, static_cast<double>(window.peak_memory_bytes));
    latencies.insert(latencies.end(), window.latencies_ms.begin(), window.latencies_ms.end());
  }
  check.number("windows", cell.windows, kept);
  check.number("rejected", cell.rejected, rejected);
  check.number("disturbed", cell.disturbed, disturbed);
  check.number("peak_memory_bytes", static_cast<double>(cell.peak_memory_bytes), memory);
  check.number("watts", cell.watts, seconds > 0 ? joules / seconds : 0);
  check.number("idle_share", cell.idle_share, joules > 0 ? idle / joules : 0);
  check.number("p50_ms", cell.p50_ms, latencies.empty() ? 0 : quantile(latencies, 0.5));
  check.number("p95_ms", cell.p95_ms, latencies.empty() ? 0 : quantile(latencies, 0.95));
}

/// A metric over the rows: by counting where it is a share, else by its own sum over drawn rows.
std::optional<Interval> value_of(const Metric& metric, const std::vector<RowScore>& scores, uint64_t seed) {
  if (scores.empty()) return std::nullopt;
  const auto n = static_cast<int64_t>(scores.size());
  if (metric.is_proportion()) {
    int64_t right = 0;
    for (const RowScore& score : scores) right += score.front() != 0 ? 1 : 0;
    return wilson(right, n);
  }
  const Interval interval =
      bootstrap(n, seed, [&](std::span<const int64_t> places) { return metric.value(scores, places); });
  return std::isnan(interval.value) ? std::nullopt : std::optional(interval);
}

/// The rows' scores follow from the answers that were kept whole.
void check_scores(const Results& results, const CellResult& cell, const Scorer& scorer, Check& check) {
  for (const Output& output : cell.outputs) {
    const auto answer = nlohmann::ordered_json::parse(output.answer, nullptr, false);
    if (answer.is_object() && answer.contains("omitted")) continue;
    try {
      if (scorer.score(output.row, answer).scores == output.scores) continue;
    } catch (const Error&) {
    }
    check.say(fmt::format("the score of row {}", output.row).c_str(), nlohmann::json(output.scores).dump(),
              "another from its answer");
    return;  // one tells enough
  }
}

void check_quality(const Results& results, const CellResult& cell, Check& check) {
  check.number("n", static_cast<double>(cell.n), static_cast<double>(cell.outputs.size()));
  for (size_t place = 0; place < results.plan.metrics.size(); ++place) {
    std::vector<RowScore> scores;
    for (const Output& output : cell.outputs) {
      if (place < output.scores.size() && !output.scores[place].empty())
        scores.push_back(output.scores[place]);
    }
    if (scores.size() < cell.outputs.size()) scores.clear();
    const auto metric = make_metric(results.plan.metrics[place], results.labels);
    const auto computed = value_of(*metric, scores, results.plan.seed);
    const auto found = cell.metrics.find(results.plan.metrics[place]);
    check.interval(results.plan.metrics[place],
                   found == cell.metrics.end() ? std::nullopt : std::optional(found->second), computed);
    if (place == 0) check.interval("quality", cell.quality, computed);
  }
}

}  // namespace

std::vector<std::string> verify_figures(const Results& results) {
  std::vector<std::string> sentences;
  std::vector<Truth> truths;
  for (const std::string& truth : results.truths)
    truths.push_back(truth_from_json(nlohmann::ordered_json::parse(truth)));
  const Scorer scorer(plan_task(results.plan), results.plan.metrics, results.labels, std::move(truths));
  const auto check_cell = [&](const CellResult& cell) {
    Check check(cell, sentences);
    check_energy(results, cell, check);
    check_windows(cell, check);
  };
  if (results.empty) check_cell(*results.empty);
  for (const CellResult& cell : results.cells) {
    check_cell(cell);
    Check check(cell, sentences);
    check_once(cell, check);
    check_scores(results, cell, scorer, check);
    check_quality(results, cell, check);
  }
  return sentences;
}

}  // namespace wattle::inline report
