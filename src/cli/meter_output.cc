#include "cli/meter_output.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <wattle/error.h>

#include "base/cpu.h"
#include "meter/energy_json.h"
#include "statistics/comparisons.h"

namespace wattle {
namespace {

std::vector<double> joules_of(const Measurement& measurement) {
  std::vector<double> joules;
  for (const CommandRun& run : measurement.runs) joules.push_back(run.energy.joules);
  return joules;
}

int this_hour() {
  const std::time_t now = std::time(nullptr);
  return fmt::localtime(now).tm_hour;
}

Consequences consequences_of(const MeterReport& report, const Energy& energy) {
  return consequences(report.footprint, energy.joules, energy.seconds, this_hour());
}

/// Grams at both ends of the energy's interval, by the stated factor; nothing where none is stated.
std::pair<std::optional<double>, std::optional<double>> grams_interval(const MeterReport& report,
                                                                       const Energy& energy) {
  const auto grams = [&](double joules) {
    return consequences(report.footprint, joules, energy.seconds, this_hour()).grams_co2e;
  };
  return {grams(energy.low), grams(energy.high)};
}

/// 1,234 J, 0.0123 J: three or four figures that carry information.
std::string joules_text(double joules) {
  return fmt::format("{:.4g} J", joules);
}

void print_measurement(const MeterReport& report, const Measurement& measurement) {
  const Energy& energy = measurement.energy;
  fmt::print("{}\n", measurement.command.text());
  if (!energy.invalid.empty())
    fmt::print("  INVALID  {}: what follows is what the counter showed, not what was drawn\n",
               energy.invalid);
  const int repetitions = measurement.runs.front().repetitions;
  fmt::print("  energy   {} (95 % interval {:.4g} to {:.4g}), {} run{}{}\n", joules_text(energy.joules),
             energy.low, energy.high, measurement.runs.size(), measurement.runs.size() == 1 ? "" : "s",
             repetitions > 1 ? fmt::format(" of {} executions each", repetitions) : "");
  if (energy.idle_known) {
    const Energy net = net_of_idle(energy);
    fmt::print("  of it    {} idle, {} net of idle ({:.4g} to {:.4g})\n", joules_text(energy.idle_joules),
               joules_text(net.joules), net.low, net.high);
  } else {
    fmt::print("  of it    idle was not measured\n");
  }
  if (!std::isnan(measurement.spread_half)) {
    fmt::print("  spread   +- {:.2f} % of the mean between runs\n",
               100 * measurement.spread_half / std::max(energy.joules, 1e-30));
  }
  double busy = 0;
  for (const CommandRun& run : measurement.runs) busy += run.busy_seconds;
  fmt::print("  time     {:.4g} s, {:.4g} s of processor; mean power {:.4g} W\n", energy.seconds,
             busy / static_cast<double>(measurement.runs.size()),
             energy.joules / std::max(energy.seconds, 1e-9));
  fmt::print("  grade    {} by {}; scope {}\n", name(energy.grade), energy.source, energy.scope);
  const Consequences result = consequences_of(report, energy);
  if (result.grams_co2e) {
    const auto [low, high] = grams_interval(report, energy);
    fmt::print(
        "  carbon   {:.4g} g CO2e ({:.4g} to {:.4g}) = {:.4g} Wh{} x {}\n", *result.grams_co2e,
        low.value_or(NAN), high.value_or(NAN), 1000 * result.kwh,
        report.footprint.pue != 1 ? fmt::format(" (PUE {})", report.footprint.pue) : "",
        report.footprint.hourly
            ? "the hour's factor"
            : fmt::format("{:.0f} g/kWh ({}, {})", report.footprint.zone->grams_per_kwh,
                          report.footprint.zone->zone,
                          report.footprint.zone->year > 0 ? fmt::format("{}", report.footprint.zone->year)
                                                          : "year not stated"));
  }
  if (result.litres) fmt::print("  water    {:.4g} l\n", *result.litres);
  if (result.money) fmt::print("  price    {:.4g}\n", *result.money);
  if (result.embodied_low_grams && result.embodied_high_grams) {
    fmt::print("  embodied {:.4g} to {:.4g} g CO2e (share of the machine's life)\n",
               *result.embodied_low_grams, *result.embodied_high_grams);
  }
}

}  // namespace

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string inside;
  for (const char c : text) inside += c == '"' ? std::string("\"\"") : std::string(1, c);
  return '"' + inside + '"';
}

nlohmann::ordered_json to_json(const Consequences& result) {
  nlohmann::ordered_json json = {{"kwh", result.kwh}};
  if (result.grams_co2e) json["grams_co2e"] = *result.grams_co2e;
  if (result.litres) json["litres"] = *result.litres;
  if (result.money) json["money"] = *result.money;
  if (result.embodied_low_grams) json["embodied_low_grams"] = *result.embodied_low_grams;
  if (result.embodied_high_grams) json["embodied_high_grams"] = *result.embodied_high_grams;
  return json;
}

std::vector<std::string> verdicts_of(const MeterReport& report) {
  std::vector<std::string> verdicts;
  for (const Comparison& comparison : report.comparisons) {
    const std::string a = report.measurements[comparison.command].command.text();
    const std::string b = report.measurements[comparison.least].command.text();
    const Ratio& ratio = comparison.ratio;
    if (!comparison.invalid.empty()) {
      verdicts.push_back(
          fmt::format("{} and {}: no verdict, because a window is invalid: {}", a, b, comparison.invalid));
    } else if (!ratio.bounded()) {
      verdicts.push_back(
          fmt::format("{} and {}: fewer than three runs each tell no difference; give --runs 5", a, b));
    } else if (!ratio.distinguishable()) {
      verdicts.push_back(
          fmt::format("{} and {}: not distinguishable (ratio {:.3f}, 95 % interval {:.3f}-{:.3f})", a, b,
                      ratio.value, ratio.low, ratio.high));
    } else {
      verdicts.push_back(fmt::format("{} uses {:.3f}x {} (95 % interval {:.3f}-{:.3f})", a, ratio.value, b,
                                     ratio.low, ratio.high));
    }
  }
  return verdicts;
}

void print_report(const MeterReport& report) {
  for (const Measurement& measurement : report.measurements) print_measurement(report, measurement);
  for (const std::string& verdict : verdicts_of(report)) fmt::print("{}\n", verdict);
  fmt::print("the meter itself took {:.3f} % of one core ({:.3g} J, modelled)\n",
             report.own.percent_of_core(), report.own.joules);
}

nlohmann::ordered_json report_json(const MeterReport& report) {
  nlohmann::ordered_json json;
  json["notice"] = report.notice;
  json["commands"] = nlohmann::ordered_json::array();
  for (const Measurement& measurement : report.measurements) {
    nlohmann::ordered_json entry;
    entry["command"] = measurement.command.text();
    entry["n"] = measurement.runs.size();
    entry["energy"] = energy_json(measurement.energy);
    entry["spread_half_joules"] = std::isnan(measurement.spread_half)
                                      ? nlohmann::ordered_json(nullptr)
                                      : nlohmann::ordered_json(measurement.spread_half);
    entry["consequences"] = to_json(consequences_of(report, measurement.energy));
    if (const auto [low, high] = grams_interval(report, measurement.energy); low && high) {
      entry["consequences"]["grams_co2e_low"] = *low;
      entry["consequences"]["grams_co2e_high"] = *high;
    }
    if (measurement.energy.idle_known) {
      const Energy net = net_of_idle(measurement.energy);
      entry["net"] = {{"joules", net.joules}, {"low", net.low}, {"high", net.high}};
    }
    entry["runs"] = nlohmann::ordered_json::array();
    for (const CommandRun& run : measurement.runs) {
      nlohmann::ordered_json one = energy_json(run.energy);
      one["busy_seconds"] = run.busy_seconds;
      one["begin"] = run.begin;
      one["end"] = run.end;
      one["repetitions"] = run.repetitions;
      one["round"] = run.round;
      one["exit_status"] = run.status;
      entry["runs"].push_back(one);
    }
    entry["warnings"] = measurement.warnings;
    json["commands"].push_back(entry);
  }
  json["verdicts"] = verdicts_of(report);
  json["comparisons"] = nlohmann::ordered_json::array();
  for (const Comparison& comparison : report.comparisons) {
    const auto number = [](double value) {
      return std::isnan(value) ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(value);
    };
    const Ratio& ratio = comparison.ratio;
    json["comparisons"].push_back({{"command", report.measurements[comparison.command].command.text()},
                                   {"least", report.measurements[comparison.least].command.text()},
                                   {"ratio", number(ratio.value)},
                                   {"low", number(ratio.low)},
                                   {"high", number(ratio.high)},
                                   {"p", number(ratio.p)},
                                   {"invalid", comparison.invalid}});
  }
  json["warnings"] = report.warnings;
  if (report.idle_before.seconds > 0) json["idle_before"] = energy_json(report.idle_before);
  if (report.idle_after.seconds > 0) json["idle_after"] = energy_json(report.idle_after);
  json["own_cost"] = {{"cpu_seconds", report.own.cpu_seconds},
                      {"percent_of_core", report.own.percent_of_core()},
                      {"joules", report.own.joules}};
  return json;
}

std::string report_csv(const MeterReport& report) {
  std::string csv =
      "command,run,joules,low,high,idle_joules,seconds,busy_seconds,grade,source,scope,invalid\n";
  for (const Measurement& measurement : report.measurements) {
    for (size_t i = 0; i < measurement.runs.size(); ++i) {
      const CommandRun& run = measurement.runs[i];
      const Energy& e = run.energy;
      csv += fmt::format(
          "{},{},{:.9g},{:.9g},{:.9g},{},{:.9g},{:.9g},{},{},{},{}\n", quoted(measurement.command.text()), i,
          e.joules, e.low, e.high, e.idle_known ? fmt::format("{:.9g}", e.idle_joules) : "", e.seconds,
          run.busy_seconds, name(e.grade), quoted(e.source), quoted(e.scope), quoted(e.invalid));
    }
  }
  return csv;
}

namespace {

// The fields of EmissionsData of CodeCarbon 3.3.2, in its order.
constexpr const char* kColumns[] = {"timestamp",
                                    "project_name",
                                    "run_id",
                                    "experiment_id",
                                    "duration",
                                    "emissions",
                                    "emissions_rate",
                                    "cpu_power",
                                    "gpu_power",
                                    "ram_power",
                                    "cpu_energy",
                                    "gpu_energy",
                                    "ram_energy",
                                    "energy_consumed",
                                    "water_consumed",
                                    "country_name",
                                    "country_iso_code",
                                    "region",
                                    "cloud_provider",
                                    "cloud_region",
                                    "os",
                                    "python_version",
                                    "codecarbon_version",
                                    "cpu_count",
                                    "cpu_model",
                                    "gpu_count",
                                    "gpu_model",
                                    "longitude",
                                    "latitude",
                                    "ram_total_size",
                                    "tracking_mode",
                                    "cpu_utilization_percent",
                                    "gpu_utilization_percent",
                                    "ram_utilization_percent",
                                    "ram_used_gb",
                                    "on_cloud",
                                    "pue",
                                    "wue"};

std::string emissions_header() {
  std::string header;
  for (const char* column : kColumns) header += (header.empty() ? "" : ",") + std::string(column);
  return header + '\n';
}

}  // namespace

std::string emissions_csv(const MeterReport& report) {
  return emissions_header() + emissions_rows(report);
}

std::string emissions_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return emissions_header();
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (text.empty()) return emissions_header();
  std::string first = text.substr(0, text.find('\n'));
  if (!first.empty() && first.back() == '\r') first.pop_back();
  if (first + '\n' != emissions_header())
    fail(
        "--emissions {}: has other columns than CodeCarbon's emissions.csv; give another name, or move it "
        "away",
        path);
  if (text.back() != '\n') text += '\n';
  return text;
}

std::string emissions_rows(const MeterReport& report) {
  std::string csv;
  const std::time_t now = std::time(nullptr);
  const std::optional<CarbonRow>& zone = report.footprint.zone;
  for (const Measurement& measurement : report.measurements) {
    for (size_t i = 0; i < measurement.runs.size(); ++i) {
      const Energy& e = measurement.runs[i].energy;
      const Consequences result = consequences_of(report, e);
      if (!e.invalid.empty()) continue;  // the format has no place for doubt
      std::map<std::string, std::string> fields = {
          {"timestamp", fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::localtime(now))},
          {"project_name", quoted(measurement.command.text())},
          {"run_id", fmt::format("{}-{}", now, i)},
          {"duration", fmt::format("{:.9g}", e.seconds)},
          {"cpu_power", fmt::format("{:.6g}", e.joules / std::max(e.seconds, 1e-9))},
          {"cpu_energy", fmt::format("{:.9g}", e.joules / 3.6e6)},
          {"energy_consumed", fmt::format("{:.9g}", result.kwh)},
          {"os", "linux"},
          {"cpu_count", fmt::format("{}", ::sysconf(_SC_NPROCESSORS_ONLN))},
          {"cpu_model", quoted(cpu_name())},
          {"tracking_mode", "machine"},
          {"pue", fmt::format("{}", report.footprint.pue)}};
      if (result.grams_co2e) {  // kilograms; empty without a stated factor
        fields["emissions"] = fmt::format("{:.9g}", *result.grams_co2e / 1000);
        fields["emissions_rate"] = fmt::format("{:.9g}", *result.grams_co2e / 1000 / e.seconds);
      }
      if (result.litres) fields["water_consumed"] = fmt::format("{:.9g}", *result.litres);
      if (report.footprint.wue) fields["wue"] = fmt::format("{}", *report.footprint.wue);
      if (zone) fields["country_name"] = quoted(zone->name), fields["country_iso_code"] = quoted(zone->zone);
      std::string row;
      for (const char* column : kColumns) row += (row.empty() ? "" : ",") + fields[column];
      csv += row + '\n';
    }
  }
  return csv;
}

}  // namespace wattle
