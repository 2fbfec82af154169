#include "meter/server_power.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <wattle/error.h>
#include <yaml-cpp/yaml.h>

#include "meter/load_pairs.h"
#include "statistics/descriptive.h"

namespace wattle::inline meter {
namespace {

constexpr double kCoverage = 0.95;
// A thread that has its core to itself draws more than its part of a full server: up to 0.6 of what the other
// thread would have drawn (a second thread on a core adds a quarter to a half of its work).
constexpr double kAloneOnCore = 0.6;

Range around(double log_watts, double half) {
  return {std::exp(log_watts - half), std::exp(log_watts), std::exp(log_watts + half)};
}

void widen_for_single_threads(FamilyRow& row, const std::vector<ServerResult>& results) {
  std::vector<double> threads_a_core;
  for (const ServerResult& result : results) threads_a_core.push_back(result.threads / result.cores);
  if (median(threads_a_core) < 1.5) return;
  Range& full = row.full_watts_per_thread;
  full.high = full.value + std::hypot(full.high - full.value,
                                      kAloneOnCore * (full.value - row.idle_watts_per_thread.value));
}

Range family_range(const std::vector<ServerResult>& results, double ServerResult::*watts, double half) {
  std::vector<double> logs;
  for (const ServerResult& result : results) logs.push_back(std::log(result.*watts / result.threads));
  return around(median(logs), half);
}

FamilyRow row_of(const std::vector<ServerResult>& results) {
  FamilyRow row;
  row.results = static_cast<int>(results.size());
  row.first_year = row.last_year = results.front().year;
  for (const ServerResult& result : results) {
    row.first_year = std::min(row.first_year, result.year);
    row.last_year = std::max(row.last_year, result.year);
  }
  return row;
}

std::string text_of(const Range& range) {
  return fmt::format("{{low: {:.4g}, value: {:.4g}, high: {:.4g}}}", range.low, range.value, range.high);
}

std::string text_of(const PowerLaw& law) {
  return fmt::format("{{name: '{}', scale: {}, uses: [{}], coefficients: [{:.6g}], log_half_width: {:.6g}}}",
                     law.name, law.scale, fmt::join(law.uses, ", "), fmt::join(law.coefficients, ", "),
                     law.log_half_width);
}

Range range_of(const YAML::Node& node) {
  return {node["low"].as<double>(), node["value"].as<double>(), node["high"].as<double>()};
}

PowerLaw law_of(const YAML::Node& node) {
  return {node["name"].as<std::string>(), node["scale"].as<int>(), node["uses"].as<std::vector<int>>(),
          node["coefficients"].as<std::vector<double>>(), node["log_half_width"].as<double>()};
}

}  // namespace

std::vector<LawPoint> server_points(const std::vector<ServerResult>& results, double ServerResult::*watts) {
  std::vector<LawPoint> points;
  for (const ServerResult& result : results) {
    if (result.design_watts <= 0 || !(result.amd || result.intel)) continue;
    points.push_back(
        {result.family,
         server_features(result.design_watts, result.chips, result.memory_gb, result.year, result.amd),
         std::log(result.*watts)});
  }
  return points;
}

std::vector<LawPoint> package_points(const std::vector<LoadResult>& results) {
  std::vector<LawPoint> points;
  for (const LoadResult& result : results) {
    points.push_back(
        {result.processor,
         package_features(result.design_watts, result.cores, result.full_load_megahertz, result.load),
         std::log(result.watts)});
  }
  return points;
}

std::vector<LawPoint> thread_points(const std::vector<ServerResult>& results, double ServerResult::*watts) {
  std::vector<LawPoint> points;
  for (const ServerResult& result : results)
    points.push_back({result.family, {1, result.amd ? 1.0 : 0.0}, std::log(result.*watts / result.threads)});
  return points;
}

const std::vector<LawCandidate>& thread_candidates() {
  static const std::vector<LawCandidate> candidates = {
      {"watts a thread of any family", -1, {0}}, {"watts a thread of the vendor's families", -1, {0, 1}}};
  return candidates;
}

std::vector<ServerResult> of_two_vendors(const std::vector<ServerResult>& results) {
  std::vector<ServerResult> known;
  std::copy_if(results.begin(), results.end(), std::back_inserter(known),
               [](const ServerResult& result) { return result.amd || result.intel; });
  return known;
}

std::vector<RowError> row_errors(const std::vector<ServerResult>& results, double ServerResult::*watts) {
  std::vector<RowError> errors;
  for (const ServerResult& result : results) {
    std::vector<double> others;
    for (const ServerResult& other : results) {
      if (other.family == result.family && other.maker != result.maker)
        others.push_back(std::log(other.*watts / other.threads));
    }
    if (!others.empty())
      errors.push_back({result.family, std::log(result.*watts / result.threads) - median(others)});
  }
  return errors;
}

double row_half_width(const std::vector<RowError>& errors) {
  std::vector<double> sizes;
  for (const RowError& error : errors) sizes.push_back(std::abs(error.log_error));
  return conformal_quantile(std::move(sizes), kCoverage);
}

double idle_full_correlation(const std::vector<RowError>& idle, const std::vector<RowError>& full) {
  std::vector<RowError> ratio = idle;
  for (size_t i = 0; i < ratio.size(); ++i) ratio[i].log_error -= full.at(i).log_error;
  const double a = row_half_width(idle), b = row_half_width(full), apart = row_half_width(ratio);
  return std::clamp((a * a + b * b - apart * apart) / (2 * a * b), -1.0, 1.0);
}

namespace {

FamilyRow unknown_row(const std::vector<ServerResult>& own, const std::vector<ServerResult>& all,
                      const std::vector<LawCandidate>& candidates, bool amd) {
  FamilyRow row = row_of(own);
  const auto range = [&](double ServerResult::*watts) {
    const PowerLaw law = choose_law(thread_points(all, watts), candidates);
    return around(law.log_watts({1, amd ? 1.0 : 0.0}), law.log_half_width);
  };
  row.idle_watts_per_thread = range(&ServerResult::idle_watts);
  row.full_watts_per_thread = range(&ServerResult::full_watts);
  widen_for_single_threads(row, own);
  return row;
}

void add_unknown_families(const std::vector<ServerResult>& results, ServerPower& power) {
  const std::vector<ServerResult> known = of_two_vendors(results);
  for (const bool amd : {true, false}) {
    std::vector<ServerResult> own;
    std::copy_if(known.begin(), known.end(), std::back_inserter(own),
                 [&](const ServerResult& result) { return result.amd == amd; });
    power.families[amd ? "unknown-amd" : "unknown-intel"] = unknown_row(own, known, thread_candidates(), amd);
  }
  power.families["unknown"] = unknown_row(results, results, {thread_candidates().front()}, false);
}

}  // namespace

ServerPower fit_server_power(const std::string& folder) {
  const std::vector<ServerResult> results = read_server_results(folder);
  ServerPower power;
  power.full = choose_law(server_points(results, &ServerResult::full_watts), server_candidates());
  power.idle = choose_law(server_points(results, &ServerResult::idle_watts), server_candidates());
  const std::vector<LoadResult> loads = read_load_results(folder);
  power.package = choose_law(package_points(loads), package_candidates());
  power.package_curve_scale = fit_curve_scale(loads);
  std::map<std::string, std::vector<ServerResult>> families;
  for (const ServerResult& result : results) families[result.family].push_back(result);
  const std::vector<RowError> full_errors = row_errors(results, &ServerResult::full_watts);
  const std::vector<RowError> idle_errors = row_errors(results, &ServerResult::idle_watts);
  const double full_half = row_half_width(full_errors), idle_half = row_half_width(idle_errors);
  power.idle_full_correlation = idle_full_correlation(idle_errors, full_errors);
  for (const auto& [name, own] : families) {
    FamilyRow row = row_of(own);
    row.idle_watts_per_thread = family_range(own, &ServerResult::idle_watts, idle_half);
    row.full_watts_per_thread = family_range(own, &ServerResult::full_watts, full_half);
    widen_for_single_threads(row, own);
    power.families[name] = row;
  }
  add_unknown_families(results, power);
  return power;
}

std::string to_yaml(const ServerPower& power) {
  std::string text =
      "# Watts of servers, written by `wattle meter fit DIR` from SPECpower_ssj2008 results since 2017 and "
      "RAPL "
      "load curves;\n# docs/meter.md explains both. Watts a hardware thread are those of a whole server at "
      "the "
      "wall, with memory, fans and\n# supplies (figures published by SPEC, collected by "
      "cloud-carbon-footprint/ccf-coefficients, Apache-2.0; load curves of\n# mlco2/codecarbon, MIT).\n";
  text += fmt::format("idle_full_correlation: {:.4g}\n", power.idle_full_correlation);
  text += fmt::format("package_curve_scale: {:.4g}\n", power.package_curve_scale);
  text += fmt::format("laws:\n  server_full: {}\n  server_idle: {}\n  package: {}\nfamilies:\n",
                      text_of(power.full), text_of(power.idle), text_of(power.package));
  for (const auto& [name, row] : power.families) {
    text += fmt::format(
        "  {}:\n    idle_watts_per_thread: {}\n    full_watts_per_thread: {}\n    results: {}\n    years: "
        "[{}, "
        "{}]\n",
        name, text_of(row.idle_watts_per_thread), text_of(row.full_watts_per_thread), row.results,
        row.first_year, row.last_year);
  }
  return text;
}

ServerPower parse_server_power(const std::string& text, const std::string& file) {
  ServerPower power;
  try {
    const YAML::Node node = YAML::Load(text);
    power.idle_full_correlation = node["idle_full_correlation"].as<double>();
    power.package_curve_scale = node["package_curve_scale"].as<double>();
    power.full = law_of(node["laws"]["server_full"]);
    power.idle = law_of(node["laws"]["server_idle"]);
    power.package = law_of(node["laws"]["package"]);
    for (const auto& entry : node["families"]) {
      FamilyRow row;
      row.idle_watts_per_thread = range_of(entry.second["idle_watts_per_thread"]);
      row.full_watts_per_thread = range_of(entry.second["full_watts_per_thread"]);
      row.results = entry.second["results"].as<int>();
      row.first_year = entry.second["years"][0].as<int>();
      row.last_year = entry.second["years"][1].as<int>();
      power.families[entry.first.as<std::string>()] = row;
    }
  } catch (const YAML::Exception& error) {
    fail("{}: is not what `wattle meter fit` writes ({}); write it anew", file, error.what());
  }
  return power;
}

}  // namespace wattle::inline meter
