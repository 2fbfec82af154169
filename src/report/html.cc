#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report/advice.h"
#include "report/findings.h"
#include "report/format.h"
#include "report/page.h"
#include "report/paper.h"
#include "report/race.h"
#include "report/report.h"
#include "study/scoring.h"

namespace wattle::inline report {

std::string_view embedded_report_html();
std::string_view embedded_report_js();

namespace {

using Json = nlohmann::ordered_json;

std::string interval_text(const Interval& interval, const std::function<std::string(double)>& format) {
  if (!interval.bounded()) return format(interval.value) + "<small>no interval</small>";
  return fmt::format("{}<small>{} – {}</small>", format(interval.value), format(interval.low),
                     format(interval.high));
}

/// Energies span six orders of magnitude: 2.76 x 10^-6 reads better than its zeros.
std::string energy_html(double watt_hours) {
  const std::string text = energy(watt_hours, 3);
  const size_t exponent = text.find('e');
  if (exponent == std::string::npos) return text;
  return fmt::format("{}×10<sup>−{}</sup>", text.substr(0, exponent),
                     std::abs(std::stoi(text.substr(exponent + 1))));
}

std::string table_row(const CellResult& cell, const Metric& metric, bool on_front) {
  constexpr int kFigures = 9;  // columns after rung and precision
  std::string row = fmt::format(
      "<tr{}><th scope=\"row\" title=\"{}\">{}</th><td>{}{}</td>", on_front ? " class=\"front\"" : "",
      escaped(cell.model), escaped(cell.rung), cell.precision.empty() ? "–" : escaped(cell.precision),
      cell.note.empty() ? "" : "<small class=\"note\">" + escaped(cell.note) + "</small>");
  if (!cell.error.empty()) {
    return row + fmt::format("<td class=\"failed\" colspan=\"{}\">failed: {}</td></tr>\n", kFigures,
                             escaped(cell.error));
  }
  if (!cell.wh_per_1000)
    return row + fmt::format("<td colspan=\"{}\">not measured yet</td></tr>\n", kFigures);
  const auto three = [](double value) { return significant(value, 3); };
  const auto score = [&](double value) {
    return is_share(metric) ? fmt::format("{:.1f}", 100 * value) : significant(value, 3);
  };
  row += fmt::format("<td>{}</td><td>{}</td>", cell.quality ? interval_text(*cell.quality, score) : "–",
                     interval_text(*cell.wh_per_1000, energy_html));
  row += fmt::format("<td>{}</td><td>{}</td><td>{}</td>", three(cell.p50_ms), three(cell.p95_ms),
                     bytes(cell.peak_memory_bytes));
  row +=
      fmt::format("<td>{}</td><td>{}</td><td>{}</td>", cell.load_wh ? three(cell.load_wh->value * 1000) : "–",
                  cell.preparation_wh ? three(cell.preparation_wh->value * 1000) : "–",
                  cell.bits_per_weight ? three(*cell.bits_per_weight) : "–");
  return row + fmt::format("<td>{}<small>{}</small></td></tr>\n", name(cell.grade), escaped(cell.source));
}

std::string metric_heading(const Metric& metric) {
  return escaped(title(metric.name())) + (is_share(metric) ? ", %" : "") +
         (metric.greater_is_better() ? "" : "<br>(smaller is better)");
}

/// Every metric of the plan, where there is more than the one that decides.
std::string metrics_of(const Results& results) {
  const auto& names = results.plan.metrics;
  std::string text;
  if (names.size() < 2) return text;
  text =
      "<details><summary>All metrics</summary>\n<div class=\"scroll\">\n<table><thead><tr>"
      "<th scope=\"col\">rung</th><th scope=\"col\">precision</th>";
  std::vector<std::unique_ptr<const Metric>> metrics;
  for (size_t i = 0; i < names.size(); ++i) {
    metrics.push_back(metric_of(results, i));
    text += fmt::format("<th scope=\"col\" title=\"{}\">{}</th>", escaped(metrics.back()->description()),
                        metric_heading(*metrics.back()));
  }
  text += "</tr></thead>\n<tbody>\n";
  for (const CellResult& cell : results.cells) {
    if (!cell.quality) continue;
    text += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td>", escaped(cell.rung),
                        cell.precision.empty() ? "–" : escaped(cell.precision));
    for (const auto& metric : metrics) {
      const auto found = cell.metrics.find(std::string(metric->name()));
      const auto figure = [&](double value) {
        return is_share(*metric) ? fmt::format("{:.1f}", 100 * value) : significant(value, 3);
      };
      text += "<td>" + (found == cell.metrics.end() ? "–" : interval_text(found->second, figure)) + "</td>";
    }
    text += "</tr>\n";
  }
  return text + "</tbody></table>\n</div></details>\n";
}

std::string table_of(const Results& results, const std::vector<size_t>& front) {
  const auto metric = metric_of(results);
  std::string text = "<table><thead><tr>";
  for (const std::string& heading :
       {std::string("rung"), std::string("precision"), metric_heading(*metric),
        std::string("Wh per<br>1,000"), std::string("p50,<br>ms"), std::string("p95,<br>ms"),
        std::string("memory"), std::string("load,<br>mWh"), std::string("prepare,<br>mWh"),
        std::string("bits per<br>weight"), std::string("grade")}) {
    text += "<th scope=\"col\">" + heading + "</th>";
  }
  text += "</tr></thead>\n<tbody>\n";
  for (size_t place = 0; place < results.cells.size(); ++place) {
    text += table_row(results.cells[place], *metric, std::count(front.begin(), front.end(), place) > 0);
  }
  return text + "</tbody></table>";
}

std::string list_of(const std::vector<std::string>& sentences) {
  std::string text = "<ul>\n";
  for (const std::string& sentence : sentences) text += "<li>" + escaped(sentence) + "</li>\n";
  return text + "</ul>\n";
}

std::string advice_card(const Results& results) {
  if (!results.plan.quality) return "";
  Requirements wanted;
  wanted.quality = results.plan.quality;
  const Advice advice = advise(results, wanted);
  std::string text =
      fmt::format("<section class=\"advice{}\">\n", advice.choice && !advice.sure_choice ? "" : " open");
  for (const std::string& sentence : summary(results, wanted, advice))
    text += "<p>" + escaped(sentence) + "</p>\n";
  text += "</section>\n";
  const std::vector<std::string> more = details(results, advice);
  return more.empty() ? text : text + "<h2>Preparation</h2>\n" + list_of(more);
}

std::string race_section(const Results& results) {
  const std::vector<std::string> lines = race_in_words(results);
  return lines.empty() ? "" : "<h2>The race</h2>\n" + list_of(lines);
}

std::string findings_section(const Results& results) {
  const std::vector<std::string> found = findings(results);
  const std::string heading = "<h2>Where quantising costs energy, and where quality breaks</h2>\n";
  if (found.empty())
    return heading +
           "<p>Nowhere in this study: no precision costs more energy or answers worse than the first of its "
           "rung, beyond chance.</p>";
  return heading + list_of(found);
}

std::string method(const Results& results) {
  const Plan& plan = results.plan;
  int rejected = 0, disturbed = 0, flagged = 0, windows = 0;
  std::vector<std::string> lines;
  for (const CellResult& cell : results.cells) {
    rejected += cell.rejected, disturbed += cell.disturbed, flagged += cell.outliers, windows += cell.windows;
    if (!cell.answers_repeat) lines.push_back(cell_name(cell) + ": repeated windows gave different answers.");
  }
  lines.insert(
      lines.begin(),
      {fmt::format("{} evaluation rows, {} training rows{}; queries one at a time.",
                   count(static_cast<int64_t>(results.truths.size())), count(results.train_rows),
                   results.labels.empty() ? "" : fmt::format(", labels {}", fmt::join(results.labels, ", "))),
       fmt::format(
           "{} of all cells{}, in an order drawn anew each round (seed {}), each cell in a process of "
           "its "
           "own. The rows, sorted by length, are dealt to the rounds, so that all rounds together ask every "
           "row once and every round costs nearly the same.",
           rounds_in_words(results), results.race ? " that were still in the race" : "", plan.seed),
       fmt::format("Warm-up until the speed varies by less than 3 %, at most {} s; windows of at least {} s.",
                   plan.warm_up_seconds, plan.window_seconds),
       fmt::format(
           "{} windows kept, of which {} are outliers by their median absolute deviation (flagged, not "
           "removed) and "
           "{} were kept although others took more than {} of the processors; {} were rejected and repeated.",
           windows, flagged, disturbed, percent(plan.disturbance), rejected)});
  if (const std::string asking = asking_in_words(results); !asking.empty()) {
    lines.push_back(asking +
                    " A contender that answers at once with nothing was measured in the same rounds; the "
                    "energies of all cells are net of it, with the doubt of both.");
  }
  const Json machine = Json::parse(results.machine, nullptr, false);
  if (machine.is_object()) {
    std::string text = "Machine:";
    for (const auto& [key, value] : machine.items()) {
      std::string words = key;
      std::replace(words.begin(), words.end(), '_', ' ');
      text += fmt::format(" {} {};", words, value.is_string() ? value.get<std::string>() : value.dump());
    }
    text.back() = '.';
    lines.push_back(text);
  }
  return list_of(lines);
}

Json chart_data(const Results& results, const std::vector<size_t>& front) {
  const auto metric = metric_of(results);
  Json data{{"metric", title(metric->name())},
            {"share", is_share(*metric)},
            {"greater_is_better", metric->greater_is_better()},
            {"bar", results.plan.quality ? Json(*results.plan.quality) : Json(nullptr)},
            {"cells", Json::array()}};
  for (size_t place = 0; place < results.cells.size(); ++place) {
    const CellResult& cell = results.cells[place];
    Json json = cell_json(cell, results);
    json["name"] = cell_name(cell);
    json["short"] = cell_name(cell) == cell.rung ? cell.rung : cell.precision;
    json["front"] = std::count(front.begin(), front.end(), place) > 0;
    json["wh"] = json["wh_per_1000"];
    json["p50"] = cell.p50_ms, json["p95"] = cell.p95_ms, json["memory"] = cell.peak_memory_bytes;
    data["cells"].push_back(std::move(json));
  }
  return data;
}

}  // namespace

std::string html(const Results& results) {
  const std::vector<size_t> front = pareto_front(results);
  const Json machine = Json::parse(results.machine, nullptr, false);
  const std::string processor = machine.is_object() ? machine.value("processor", "") : "";
  return page_of(embedded_report_html(),
                 {{"TITLE", escaped(results.plan.name)},
                  {"SUBTITLE", escaped(fmt::format("{} evaluation rows · {} configurations · {} · {} · {}{}",
                                                   count(static_cast<int64_t>(results.truths.size())),
                                                   results.cells.size(), rounds_in_words(results), processor,
                                                   results.began.substr(0, 10),
                                                   results.complete ? "" : " · unfinished"))},
                  {"ADVICE", advice_card(results)},
                  {"TABLE", table_of(results, front)},
                  {"METRICS", metrics_of(results)},
                  {"FINDINGS", race_section(results) + findings_section(results) + paper_section(results)},
                  {"METHOD", method(results)},
                  {"PLAN", escaped(to_yaml(results.plan))},
                  {"DATA", script_safe(chart_data(results, front))},
                  {"SCRIPT", std::string(embedded_report_js())}});
}

}  // namespace wattle::inline report
