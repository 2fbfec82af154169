#include "meter/validate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "meter/load_pairs.h"
#include "meter/server_power.h"
#include "statistics/descriptive.h"

namespace wattle::inline meter {
namespace {

/// Collects |predicted / published - 1| and whether the interval held the published figure.
class Score {
 public:
  void add(double log_error, double log_half_width) {
    errors_.push_back(std::abs(std::exp(log_error) - 1));
    inside_ += std::abs(log_error) <= log_half_width;
  }
  void add(const Score& other) {
    errors_.insert(errors_.end(), other.errors_.begin(), other.errors_.end());
    inside_ += other.inside_;
  }
  LawCheck result(const std::string& what, const std::string& law, size_t groups) const {
    return {what,
            law,
            static_cast<int>(errors_.size()),
            static_cast<int>(groups),
            median(errors_),
            inside_ / static_cast<double>(errors_.size())};
  }

 private:
  std::vector<double> errors_;
  double inside_ = 0;
};

struct Checked {
  Score score;
  LawCheck result;
};

/// Leaves one group after the other out of everything: the choice of the law, its coefficients and the width
/// of its interval.
Checked check(const std::string& what, const std::vector<LawPoint>& points,
              const std::vector<LawCandidate>& candidates) {
  std::set<std::string> groups;
  for (const LawPoint& point : points) groups.insert(point.group);
  Checked checked;
  std::map<std::string, int> chosen;
  for (const std::string& group : groups) {
    std::vector<LawPoint> rest;
    for (const LawPoint& point : points) {
      if (point.group != group) rest.push_back(point);
    }
    const PowerLaw law = choose_law(rest, candidates);
    ++chosen[law.name];
    for (const LawPoint& point : points) {
      if (point.group == group)
        checked.score.add(law.log_watts(point.features) - point.log_watts, law.log_half_width);
    }
  }
  const auto usual = std::max_element(chosen.begin(), chosen.end(),
                                      [](const auto& a, const auto& b) { return a.second < b.second; });
  checked.result = checked.score.result(what, usual->first, groups.size());
  return checked;
}

/// The rows of data/server_power.yaml: the median of a family without the maker at hand, the width from the
/// other families.
LawCheck check_rows(const std::string& what, const std::vector<ServerResult>& results,
                    double ServerResult::*watts) {
  const std::vector<RowError> errors = row_errors(results, watts);
  std::set<std::string> families;
  for (const RowError& error : errors) families.insert(error.family);
  Score score;
  for (const std::string& family : families) {
    std::vector<RowError> others;
    std::copy_if(errors.begin(), errors.end(), std::back_inserter(others),
                 [&](const RowError& error) { return error.family != family; });
    const double half = row_half_width(others);
    for (const RowError& error : errors) {
      if (error.family == family) score.add(-error.log_error, half);
    }
  }
  return score.result(what, "median a thread of the family", families.size());
}

/// Package watts where the full load is known, as it is after `calibrate`.
std::vector<LawPoint> calibrated_points(const std::vector<LoadResult>& results) {
  std::map<std::string, double> full;
  for (const LoadResult& result : results) {
    if (result.load > 0.99) full[result.processor + result.mode] = result.watts;
  }
  std::vector<LawPoint> points;
  for (const LoadResult& result : results) {
    if (result.load > 0.99) continue;
    const double log_load = std::log(result.load);
    points.push_back({result.processor,
                      {log_load, log_load * log_load},
                      std::log(result.watts / full[result.processor + result.mode])});
  }
  return points;
}

/// The ratio of two loads on a curve that had no part in the law, its width or the scale.
LawCheck check_ratios(const std::vector<LoadResult>& results) {
  const CurveScaleCheck check = check_curve_scale(results);
  return {"ratio of two loads", "points of one curve", check.pairs,
          check.processors,     check.median_error,    check.left_out};
}

LawCheck fixed_law(const std::string& law, const std::vector<LoadResult>& results,
                   const std::function<double(double)>& share) {
  Score score;
  for (const LoadResult& result : results)
    score.add(std::log(result.design_watts * share(result.load) / result.watts), 0);
  LawCheck checked = score.result("package under load", law, 0);
  checked.coverage = NAN;
  return checked;
}

}  // namespace

std::vector<LawCheck> validate_power_laws(const std::string& folder) {
  const std::vector<ServerResult> servers = read_server_results(folder);
  const std::vector<LoadResult> loads = read_load_results(folder);
  const Checked full =
      check("servers, full load", server_points(servers, &ServerResult::full_watts), server_candidates());
  const Checked idle =
      check("servers, idle", server_points(servers, &ServerResult::idle_watts), server_candidates());
  const Checked package = check("package under load", package_points(loads), package_candidates());
  Score all;
  for (const Checked* part : {&full, &idle, &package}) all.add(part->score);
  const std::vector<LawCandidate> any_family = {thread_candidates().front()};
  const std::vector<ServerResult> two_vendors = of_two_vendors(servers);
  const auto unlisted = [&](const std::string& what, double ServerResult::*watts) {
    return check(what, thread_points(two_vendors, watts), thread_candidates()).result;
  };
  return {
      full.result,
      idle.result,
      package.result,
      all.result("all of these", "", 0),
      check_rows("servers, full load", servers, &ServerResult::full_watts),
      check_rows("servers, idle", servers, &ServerResult::idle_watts),
      unlisted("servers, full load", &ServerResult::full_watts),
      unlisted("servers, idle", &ServerResult::idle_watts),
      check("servers, full load", thread_points(servers, &ServerResult::full_watts), any_family).result,
      check("servers, idle", thread_points(servers, &ServerResult::idle_watts), any_family).result,
      check("package under load", calibrated_points(loads),
            {{"full load known: load^b", -1, {0}}, {"full load known, curved", -1, {0, 1}}})
          .result,
      check_ratios(loads),
      fixed_law("CodeCarbon: TDP (0.1 + 0.9 load^3)", loads, [](double u) { return 0.1 + 0.9 * u * u * u; }),
      fixed_law("TDP x load", loads, [](double u) { return u; }),
  };
}

std::string validation_text(const std::vector<LawCheck>& checks, bool json) {
  if (json) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const LawCheck& one : checks) {
      rows.push_back({{"what", one.what},
                      {"law", one.law},
                      {"points", one.points},
                      {"groups_left_out", one.groups},
                      {"median_error", one.median_error},
                      {"coverage", one.coverage}});
      if (std::isnan(one.coverage)) rows.back()["coverage"] = nullptr;
    }
    return rows.dump(2) + "\n";
  }
  std::string text = fmt::format("{:<20} {:<36} {:>6} {:>7} {:>13} {:>9}\n", "what", "law", "points",
                                 "groups", "median error", "coverage");
  for (const LawCheck& one : checks) {
    text += fmt::format("{:<20} {:<36} {:>6} {:>7} {:>11.1f} % {:>9}\n", one.what, one.law, one.points,
                        one.groups > 0 ? fmt::format("{}", one.groups) : "", 100 * one.median_error,
                        std::isnan(one.coverage) ? "" : fmt::format("{:.1f} %", 100 * one.coverage));
  }
  return text;
}

}  // namespace wattle::inline meter
