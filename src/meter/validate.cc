#include "meter/validate.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>

#include <fmt/format.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "meter/model.h"
#include "meter/statistics.h"

namespace wattle {
namespace {

constexpr int kSinceYear = 2017;

using Table = std::vector<std::map<std::string, std::string>>;

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      cells.emplace_back();
    } else if (c != '\r') {
      cells.back() += c;
    }
  }
  return cells;
}

Table read_table(const std::string& path, const std::vector<std::string>& needed) {
  std::ifstream file(path);
  if (!file) fail("{}: cannot be opened; give the folder that holds it", path);
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> names = cells_of(line);
  for (const std::string& name : needed) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      fail("{}: has no column {}; check the file", path, name);
  }
  Table table;
  while (std::getline(file, line)) {
    const std::vector<std::string> cells = cells_of(line);
    std::map<std::string, std::string> row;
    for (size_t i = 0; i < names.size() && i < cells.size(); ++i) row[names[i]] = cells[i];
    table.push_back(std::move(row));
  }
  return table;
}

double number(const std::map<std::string, std::string>& row, const std::string& name) {
  const auto cell = row.find(name);
  return cell == row.end() ? 0 : std::strtod(cell->second.c_str(), nullptr);
}

/// One published figure with what is known of its machine.
struct Point {
  std::string group;
  std::vector<double> features;
  double watts;
};

/// Coefficients of log(watts) on the features by least squares, each group with the same weight in all.
std::vector<double> fit(const std::vector<const Point*>& points) {
  const size_t n = points.front()->features.size();
  std::map<std::string, int> counts;
  for (const Point* point : points) ++counts[point->group];
  std::vector<std::vector<double>> a(n, std::vector<double>(n + 1));
  for (const Point* point : points) {
    const double weight = 1.0 / counts[point->group];
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) a[i][j] += weight * point->features[i] * point->features[j];
      a[i][n] += weight * point->features[i] * std::log(point->watts);
    }
  }
  for (size_t i = 0; i < n; ++i) {
    size_t pivot = i;
    for (size_t k = i + 1; k < n; ++k) {
      if (std::abs(a[k][i]) > std::abs(a[pivot][i])) pivot = k;
    }
    std::swap(a[i], a[pivot]);
    for (size_t k = 0; k < n; ++k) {
      if (k == i || a[i][i] == 0) continue;
      const double factor = a[k][i] / a[i][i];
      for (size_t j = i; j <= n; ++j) a[k][j] -= factor * a[i][j];
    }
  }
  std::vector<double> coefficients(n);
  for (size_t i = 0; i < n; ++i) coefficients[i] = a[i][i] == 0 ? 0 : a[i][n] / a[i][i];
  return coefficients;
}

double predict(const std::vector<double>& coefficients, const Point& point) {
  double log_watts = 0;
  for (size_t i = 0; i < coefficients.size(); ++i) log_watts += coefficients[i] * point.features[i];
  return log_watts;
}

std::vector<const Point*> without(const std::vector<const Point*>& points, const std::string& group) {
  std::vector<const Point*> kept;
  for (const Point* point : points) {
    if (point->group != group) kept.push_back(point);
  }
  return kept;
}

/// Spread (standard deviation of the logarithm) with which a fit meets a group that it has not seen.
double spread_on_new_groups(const std::vector<const Point*>& points) {
  std::set<std::string> groups;
  for (const Point* point : points) groups.insert(point->group);
  double sum = 0;
  for (const std::string& group : groups) {
    const std::vector<double> coefficients = fit(without(points, group));
    double squares = 0;
    int n = 0;
    for (const Point* point : points) {
      if (point->group != group) continue;
      squares += std::pow(std::log(point->watts) - predict(coefficients, *point), 2);
      ++n;
    }
    sum += squares / n;
  }
  return std::sqrt(sum / static_cast<double>(groups.size()));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? NAN : values[values.size() / 2];
}

LawCheck check(const std::string& what, const std::string& law, const std::vector<Point>& points,
               std::vector<double>& errors) {
  std::vector<const Point*> all;
  std::set<std::string> groups;
  for (const Point& point : points) all.push_back(&point), groups.insert(point.group);
  std::vector<double> own;
  int inside = 0;
  for (const std::string& group : groups) {
    const std::vector<const Point*> rest = without(all, group);
    const std::vector<double> coefficients = fit(rest);
    // The spread itself is known from as many groups as are left: Student's t, not the normal.
    const double half = student_t(static_cast<double>(groups.size()) - 2) * spread_on_new_groups(rest);
    for (const Point* point : all) {
      if (point->group != group) continue;
      const double log_watts = predict(coefficients, *point);
      own.push_back(std::abs(std::exp(log_watts) / point->watts - 1));
      inside += std::abs(std::log(point->watts) - log_watts) <= half;
    }
  }
  errors.insert(errors.end(), own.begin(), own.end());
  return {what,
          law,
          static_cast<int>(points.size()),
          static_cast<int>(groups.size()),
          median(own),
          static_cast<double>(inside) / static_cast<double>(points.size())};
}

/// "Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz" and "Intel Xeon E5-2620 v3" are one.
std::string plain_name(std::string name) {
  static const std::regex kNoise(R"(\(R\)|®|,|@.*|\bCPU\b|\bProcessor\b|\d+-[cC]ore)");
  name = std::regex_replace(name, kNoise, " ");
  std::string plain;
  for (const char c : name) {
    if (c == ' ' && (plain.empty() || plain.back() == ' ')) continue;
    plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  while (!plain.empty() && plain.back() == ' ') plain.pop_back();
  return plain;
}

using DesignPowers = std::map<std::string, double>;

DesignPowers read_design_powers(const std::string& folder) {
  DesignPowers powers;
  for (const auto& row : read_table(folder + "/tdp.csv", {"cpu", "tdp_watts"})) {
    const double watts = number(row, "tdp_watts");
    if (watts > 0) powers[plain_name(row.at("cpu"))] = watts;
  }
  return powers;
}

double design_power(const DesignPowers& powers, const std::string& cpu) {
  const std::string name = plain_name(cpu);
  std::vector<std::string> spellings = {name};
  if (name.rfind("intel xeon ", 0) == 0) {
    for (const char* line : {"gold ", "platinum "})
      spellings.push_back("intel xeon " + (line + name.substr(11)));
  }
  for (const std::string& spelling : spellings) {
    const auto found = powers.find(spelling);
    if (found != powers.end()) return found->second;
  }
  return 0;
}

/// log(watts) = a + b log(design power of all chips) + c log(chips) + d log(memory), for whole servers.
std::vector<Point> server_points(const std::string& folder, const DesignPowers& powers,
                                 const std::string& column) {
  std::vector<std::pair<std::string, std::regex>> families;
  for (const auto& [name, pattern] : family_patterns()) families.emplace_back(name, std::regex(pattern));
  std::vector<Point> points;
  for (const auto& row : read_table(folder + "/specpower.csv",
                                    {"cpu", "chips", "memory_gb", "watts_full", "watts_idle", "published"})) {
    const std::string& published = row.at("published");
    if (published.size() < 4 || std::atoi(published.c_str() + published.size() - 4) < kSinceYear) continue;
    const double power = design_power(powers, row.at("cpu"));
    const double chips = number(row, "chips"), watts = number(row, column);
    double memory = number(row, "memory_gb");
    if (memory < 8) memory *= 1024;  // some results state terabytes
    if (power <= 0 || chips < 1 || memory <= 0 || watts <= 0) continue;
    const auto family = std::find_if(families.begin(), families.end(), [&](const auto& f) {
      return std::regex_search(row.at("cpu"), f.second);
    });
    if (family == families.end()) continue;
    points.push_back({family->first, {1, std::log(power * chips), std::log(chips), std::log(memory)}, watts});
  }
  return points;
}

struct LoadPoint {
  std::string folder, mode;
  double load, clock, watts, design;
};

/// Package watts by load; the first row of each run and the mislabelled repeat are left out (see the README
/// there).
std::vector<LoadPoint> load_points(const std::string& folder, const DesignPowers& powers) {
  std::vector<LoadPoint> points;
  std::set<std::string> begun;
  std::map<std::string, double> fastest;
  for (const auto& row :
       read_table(folder + "/rapl_load.csv", {"folder", "cpu", "mode", "cpu_load_percent", "rapl_watts"})) {
    if (row.at("folder") == "E5-1240" || begun.insert(row.at("folder") + row.at("mode")).second) continue;
    // The E5-2620 v3 stood in a machine with two of them: 24 threads.
    const double chips = row.at("folder") == "E5-2620" ? 2 : 1;
    points.push_back({row.at("folder"), row.at("mode"), number(row, "cpu_load_percent") / 100,
                      number(row, "cpu_freq_mhz"), number(row, "rapl_watts"),
                      chips * design_power(powers, row.at("cpu"))});
    double& most = fastest[row.at("folder")];
    most = std::max(most, points.back().clock);
  }
  for (LoadPoint& point : points) point.clock /= fastest[point.folder];
  std::erase_if(points, [](const LoadPoint& point) { return point.design <= 0; });
  return points;
}

std::vector<Point> load_law(const std::vector<LoadPoint>& points, bool full_load_known) {
  std::map<std::string, double> full;
  for (const LoadPoint& point : points) {
    if (point.load > 0.99) full[point.folder + point.mode] = point.watts;
  }
  std::vector<Point> law;
  for (const LoadPoint& point : points) {
    const double scale = full_load_known ? full[point.folder + point.mode] : point.design;
    if (full_load_known && point.load > 0.99) continue;
    law.push_back({point.folder, {1, std::log(point.load), std::log(point.clock)}, point.watts / scale});
  }
  return law;
}

LawCheck fixed_law(const std::string& law, const std::vector<LoadPoint>& points,
                   const std::function<double(double)>& share) {
  std::vector<double> errors;
  for (const LoadPoint& point : points)
    errors.push_back(std::abs(point.design * share(point.load) / point.watts - 1));
  return {"package under load", law, static_cast<int>(points.size()), 0, median(errors), NAN};
}

}  // namespace

std::vector<LawCheck> validate_power_laws(const std::string& folder) {
  const DesignPowers powers = read_design_powers(folder);
  std::vector<LawCheck> checks;
  std::vector<double> errors;
  checks.push_back(check("servers, full load", "design power, chips, memory",
                         server_points(folder, powers, "watts_full"), errors));
  checks.push_back(check("servers, idle", "design power, chips, memory",
                         server_points(folder, powers, "watts_idle"), errors));
  const std::vector<LoadPoint> loads = load_points(folder, powers);
  checks.push_back(check("package under load", "design power, load, clock", load_law(loads, false), errors));
  double inside = 0, points = 0;
  for (const LawCheck& one : checks) inside += one.coverage * one.points, points += one.points;
  checks.push_back({"all of these", "", static_cast<int>(points), 0, median(errors), inside / points});
  std::vector<double> apart;
  checks.push_back(check("package under load", "full load known (calibrate)", load_law(loads, true), apart));
  checks.push_back(
      fixed_law("CodeCarbon: TDP (0.1 + 0.9 load^3)", loads, [](double u) { return 0.1 + 0.9 * u * u * u; }));
  checks.push_back(fixed_law("TDP x load", loads, [](double u) { return u; }));
  return checks;
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

}  // namespace wattle
