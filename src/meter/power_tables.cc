#include "meter/power_tables.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include <wattle/error.h>

#include "meter/model.h"

namespace wattle::inline meter {
namespace {

constexpr int kSinceYear = 2017;

using Row = std::map<std::string, std::string>;

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

std::vector<Row> read_table(const std::string& path, const std::vector<std::string>& needed) {
  std::ifstream file(path);
  if (!file) fail("{}: cannot be opened; give the folder that holds it", path);
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> names = cells_of(line);
  for (const std::string& name : needed) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      fail("{}: has no column {}; check the file", path, name);
  }
  std::vector<Row> table;
  while (std::getline(file, line)) {
    const std::vector<std::string> cells = cells_of(line);
    Row row;
    for (size_t i = 0; i < names.size(); ++i) row[names[i]] = i < cells.size() ? cells[i] : "";
    table.push_back(std::move(row));
  }
  return table;
}

double number(const Row& row, const std::string& name) {
  return std::strtod(row.at(name).c_str(), nullptr);
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
  for (const Row& row : read_table(folder + "/tdp.csv", {"cpu", "tdp_watts"})) {
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

}  // namespace

std::vector<ServerResult> read_server_results(const std::string& folder) {
  const DesignPowers powers = read_design_powers(folder);
  std::vector<std::pair<std::string, std::regex>> families;
  for (const auto& [name, pattern] : family_patterns()) families.emplace_back(name, std::regex(pattern));
  std::vector<ServerResult> results;
  for (const Row& row :
       read_table(folder + "/specpower.csv", {"vendor", "cpu", "chips", "cores", "threads", "memory_gb",
                                              "watts_full", "watts_idle", "published"})) {
    const std::string &published = row.at("published"), &cpu = row.at("cpu");
    const int year = published.size() < 4 ? 0 : std::atoi(published.c_str() + published.size() - 4);
    const auto family = std::find_if(families.begin(), families.end(),
                                     [&](const auto& f) { return std::regex_search(cpu, f.second); });
    if (year < kSinceYear || family == families.end()) continue;
    ServerResult result{family->first, row.at("vendor").substr(0, row.at("vendor").find(' '))};
    result.amd = cpu.find("AMD") != std::string::npos;
    result.intel = cpu.find("Intel") != std::string::npos;
    result.year = year;
    result.chips = number(row, "chips");
    result.cores = number(row, "cores");
    result.threads = number(row, "threads");
    result.memory_gb = number(row, "memory_gb");
    if (result.memory_gb < 8) result.memory_gb *= 1024;  // some results state terabytes
    result.design_watts = design_power(powers, cpu);
    result.full_watts = number(row, "watts_full");
    result.idle_watts = number(row, "watts_idle");
    if (result.chips < 1 || result.threads < 1 || result.memory_gb <= 0 || result.full_watts <= 0 ||
        result.idle_watts <= 0)
      continue;
    results.push_back(result);
  }
  return results;
}

std::vector<LoadResult> read_load_results(const std::string& folder) {
  const DesignPowers powers = read_design_powers(folder);
  std::vector<LoadResult> results;
  std::set<std::string> begun;
  std::map<std::string, double> cores;
  std::map<std::string, std::pair<double, int>> full_load;  // sum of clocks, and how many
  for (const Row& row : read_table(
           folder + "/rapl_load.csv",
           {"folder", "cpu", "mode", "cores_used", "cpu_load_percent", "cpu_freq_mhz", "rapl_watts"})) {
    // The first row of each run was read too early; the folder E5-1240 repeats another (see the README
    // there).
    if (row.at("folder") == "E5-1240" || begun.insert(row.at("folder") + row.at("mode")).second) continue;
    LoadResult result{row.at("folder"), row.at("mode")};
    result.load = number(row, "cpu_load_percent") / 100;
    result.megahertz = number(row, "cpu_freq_mhz");
    result.watts = number(row, "rapl_watts");
    // The E5-2620 v3, of 12 threads, stood in a machine with two of them.
    result.design_watts = (result.processor == "E5-2620" ? 2 : 1) * design_power(powers, row.at("cpu"));
    // All of these have two threads a core, and the table counts threads.
    cores[result.processor] = std::max(cores[result.processor], number(row, "cores_used") / 2);
    if (result.load > 0.99) {
      full_load[result.processor].first += result.megahertz;
      ++full_load[result.processor].second;
    }
    if (result.load > 0 && result.watts > 0 && result.design_watts > 0) results.push_back(result);
  }
  for (LoadResult& result : results) {
    result.cores = cores[result.processor];
    const auto& [sum, n] = full_load[result.processor];
    if (n == 0) fail("{}/rapl_load.csv: {} has no row at full load", folder, result.processor);
    result.full_load_megahertz = sum / n;
  }
  return results;
}

std::vector<double> server_features(double design_watts, double chips, double memory_gb, int year, bool amd) {
  const double since = year - 2020;
  return {1,
          std::log(design_watts * chips),
          std::log(chips),
          std::log(memory_gb),
          since,
          amd ? 1.0 : 0.0,
          amd ? since : 0};
}

const std::vector<LawCandidate>& server_candidates() {
  enum { kOne, kDesign, kChips, kMemory, kYear, kAmd, kAmdYear };
  static const std::vector<LawCandidate> candidates = {
      {"design power, chips", -1, {kOne, kDesign, kChips}},
      {"design power, chips, memory", -1, {kOne, kDesign, kChips, kMemory}},
      {"design power, chips, memory, year", -1, {kOne, kDesign, kChips, kMemory, kYear}},
      {"the same and vendor", -1, {kOne, kDesign, kChips, kMemory, kYear, kAmd}},
      {"the same, year by vendor", -1, {kOne, kDesign, kChips, kMemory, kYear, kAmd, kAmdYear}},
  };
  return candidates;
}

std::vector<double> package_features(double design_watts, double cores, double full_load_megahertz,
                                     double load) {
  const double log_load = std::log(load);
  return {1,
          log_load,
          log_load * log_load,
          std::log(design_watts),
          std::log(cores),
          std::log(cores * full_load_megahertz / 1000)};
}

const std::vector<LawCandidate>& package_candidates() {
  enum { kOne, kLoad, kLoadSquared, kDesign, kCores, kClocks };
  static const std::vector<LawCandidate> candidates = {
      {"design power x load^b", kDesign, {kOne, kLoad}},
      {"cores x load^b", kCores, {kOne, kLoad}},
      {"cores x clock x load^b", kClocks, {kOne, kLoad}},
      {"design power, curved", kDesign, {kOne, kLoad, kLoadSquared}},
      {"cores, curved", kCores, {kOne, kLoad, kLoadSquared}},
      {"cores x clock, curved", kClocks, {kOne, kLoad, kLoadSquared}},
  };
  return candidates;
}

}  // namespace wattle::inline meter
