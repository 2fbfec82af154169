#include <fmt/format.h>

#include "report/format.h"
#include "report/report.h"

namespace wattle::inline report {
namespace {

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string text = "\"";
  for (const char c : field) {
    if (c == '"') text += '"';
    text += c;
  }
  return text + '"';
}

std::string csv_number(double value) {
  return fmt::format("{:.9g}", value);
}

void add_interval(std::vector<std::string>& fields, const std::optional<Interval>& interval) {
  for (const double Interval::*part : {&Interval::value, &Interval::low, &Interval::high}) {
    const bool known = interval && (interval->bounded() || part == &Interval::value);
    fields.push_back(known ? csv_number((*interval).*part) : "");
  }
}

std::string line_of(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) line += (line.empty() ? "" : ",") + quoted(field);
  return line + "\r\n";
}

}  // namespace

std::string csv(const Results& results) {
  std::string text = "rung,kind,model,precision,bits_per_weight,n,metric,quality,quality_low,quality_high,";
  const std::vector<std::string> further(results.plan.metrics.begin() + 1, results.plan.metrics.end());
  for (const std::string& metric : further) text += fmt::format("{0},{0}_low,{0}_high,", metric);
  text +=
      "wh_per_1000,wh_per_1000_low,wh_per_1000_high,net_wh_per_1000,net_wh_per_1000_low,net_wh_per_1000_high,"
      "grams_co2e_per_1000,"
      "grams_co2e_per_1000_low,grams_co2e_per_1000_high,grade,source,scope,idle_share,watts,p50_ms,p95_ms,"
      "peak_memory_bytes,load_wh,load_wh_"
      "low,load_wh_high,"
      "preparation_wh,preparation_wh_low,preparation_wh_high,asking_wh_per_1000,asking_wh_per_1000_low,"
      "asking_wh_per_1000_high,windows,rejected,disturbed,outliers,note,"
      "error\r\n";
  for (const CellResult& cell : results.cells) {
    const bool measured = cell.wh_per_1000.has_value();
    const auto if_measured = [&](const std::string& field) { return measured ? field : std::string(); };
    std::vector<std::string> fields{cell.rung,
                                    cell.kind,
                                    cell.model,
                                    cell.precision,
                                    cell.bits_per_weight ? csv_number(*cell.bits_per_weight) : "",
                                    std::to_string(cell.n),
                                    results.plan.metrics.front()};
    add_interval(fields, cell.quality);
    for (const std::string& metric : further) {
      const auto found = cell.metrics.find(metric);
      add_interval(fields, found == cell.metrics.end() ? std::nullopt : std::optional(found->second));
    }
    add_interval(fields, cell.wh_per_1000);
    add_interval(fields, cell.net_wh_per_1000);
    add_interval(fields, cell.grams_per_1000);
    for (const std::string& field :
         {std::string(name(cell.grade)), cell.source, cell.scope, csv_number(cell.idle_share),
          csv_number(cell.watts), csv_number(cell.p50_ms), csv_number(cell.p95_ms),
          std::to_string(cell.peak_memory_bytes)}) {
      fields.push_back(if_measured(field));
    }
    add_interval(fields, cell.load_wh);
    add_interval(fields, cell.preparation_wh);
    add_interval(fields, results.empty ? results.empty->wh_per_1000 : std::nullopt);
    for (const std::string& field :
         {std::to_string(cell.windows), std::to_string(cell.rejected), std::to_string(cell.disturbed),
          std::to_string(cell.outliers), cell.note, cell.error}) {
      fields.push_back(field);
    }
    text += line_of(fields);
  }
  return text;
}

std::string json(const Results& results) {
  nlohmann::ordered_json cells = nlohmann::ordered_json::array();
  for (const CellResult& cell : results.cells) cells.push_back(cell_json(cell, results));
  return cells.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace wattle::inline report
