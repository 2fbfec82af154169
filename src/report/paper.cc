#include "report/paper.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "metrics/metric.h"
#include "report/format.h"
#include "report/page.h"

namespace wattle::inline report {

std::string_view embedded_power_hungry_csv();

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
/// Data sets that the plans name otherwise than the paper.
constexpr std::pair<std::string_view, std::string_view> kSameData[] = {{"wikitext2", "wikitext"}};

double number_in(std::string_view text) {
  double value = kUnknown;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<std::string_view> parts_of_line(std::string_view line) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find(',', begin), line.size());
    parts.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// All models by task and name; lines of notices and the header say no number of runs.
std::map<std::pair<std::string, std::string>, PaperModel> read_models() {
  std::map<std::pair<std::string, std::string>, PaperModel> models;
  std::string_view text = embedded_power_hungry_csv();
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with('#') || line.starts_with("task,")) continue;
    // task, kind, model, dataset, runs, wh, seconds, grams, metric, quality
    const std::vector<std::string_view> parts = parts_of_line(line);
    if (parts.size() != 10) fail("data/power_hungry.csv has the line \"{}\"; make the file again", line);
    PaperModel& model = models[{std::string(parts[0]), std::string(parts[2])}];
    model.task = parts[0], model.model = parts[2], model.zero_shot = parts[1] == "zero-shot";
    model.wh[std::string(parts[3])] = number_in(parts[5]);
    if (!parts[9].empty()) model.quality[std::string(parts[3])] = number_in(parts[9]);
  }
  return models;
}

double mean_of(const std::map<std::string, double>& values) {
  double sum = 0;
  for (const auto& [name, value] : values) sum += value;
  return values.empty() ? kUnknown : sum / static_cast<double>(values.size());
}

double of_data(const std::map<std::string, double>& values, const std::optional<std::string>& data) {
  const auto found = data ? values.find(*data) : values.end();
  return found == values.end() ? mean_of(values) : found->second;
}

const CellResult* cell_at(const Replayed& model, const std::string& precision) {
  const auto found =
      std::ranges::find_if(model.cells, [&](const CellResult* cell) { return cell->precision == precision; });
  return found == model.cells.end() ? nullptr : *found;
}

/// The precisions that were measured, in the plan's order.
std::vector<std::string> precisions_of(const std::vector<Replayed>& models) {
  std::vector<std::string> precisions;
  for (const Replayed& model : models) {
    for (const CellResult* cell : model.cells) {
      if (std::ranges::find(precisions, cell->precision) == precisions.end())
        precisions.push_back(cell->precision);
    }
  }
  return precisions;
}

std::string agreement_sentence(const std::vector<Replayed>& models,
                               const std::vector<std::string>& precisions) {
  if (precisions.empty()) return "No model of the paper was measured here.";
  const std::optional<double> agreement = order_agreement(models, precisions.front());
  const auto both = std::ranges::count_if(
      models, [&](const Replayed& model) { return cell_at(model, precisions.front()) != nullptr; });
  if (!agreement) return "";
  return fmt::format("Order of the {} models at {}: Spearman's correlation with the paper's is {:.2f}.", both,
                     precisions.front(), *agreement);
}

std::string heading_of(const Plan& plan) {
  const std::optional<std::string> data = paper_data(plan);
  return data ? fmt::format("the paper's Wh per 1,000 queries on {} beside ours", *data)
              : "the paper's Wh per 1,000 queries (mean of its data sets) beside ours";
}

const Plan& with_paper(const Plan& plan) {
  if (plan.paper.empty())
    fail(
        "the plan of this study names no task of the paper; run a plan of examples/plans/power-hungry, or "
        "set `paper` "
        "in yours to one of {}",
        fmt::join(paper_tasks(), ", "));
  return plan;
}

}  // namespace

double PaperModel::mean_wh() const {
  return mean_of(wh);
}

std::vector<PaperModel> paper_models(const std::string& task) {
  if (std::ranges::find(paper_tasks(), task) == paper_tasks().end())
    fail("\"{}\" is no task of the paper; it has {}", task, fmt::join(paper_tasks(), ", "));
  static const auto kModels = read_models();
  std::vector<PaperModel> models;
  for (const auto& [key, model] : kModels) {
    if (key.first == task) models.push_back(model);
  }
  std::ranges::stable_sort(models, {}, &PaperModel::mean_wh);
  return models;
}

std::optional<std::string> paper_data(const Plan& plan) {
  std::string name = plan.data.substr(plan.data.rfind(':') + 1);
  name = name.substr(0, name.find('@'));
  for (const auto& [ours, papers] : kSameData) {
    if (name == ours) name = papers;
  }
  for (const PaperModel& model : paper_models(plan.paper)) {
    if (model.wh.contains(name)) return name;
  }
  return std::nullopt;
}

std::vector<Replayed> replay(const Results& results) {
  std::vector<Replayed> models;
  if (results.plan.paper.empty()) return models;
  const std::optional<std::string> data = paper_data(results.plan);
  for (const PaperModel& paper : paper_models(results.plan.paper)) {
    Replayed model{paper, of_data(paper.wh, data), of_data(paper.quality, data), {}};
    for (const CellResult& cell : results.cells) {
      if (cell.rung == paper.model && cell.wh_per_1000) model.cells.push_back(&cell);
    }
    models.push_back(std::move(model));
  }
  return models;
}

std::optional<double> order_agreement(const std::vector<Replayed>& models, const std::string& precision) {
  std::vector<RowScore> rows;
  for (const Replayed& model : models) {
    const CellResult* cell = cell_at(model, precision);
    if (cell == nullptr) continue;
    rows.push_back({model.paper_wh, cell->wh_per_1000->value});
  }
  if (rows.size() < 4) return std::nullopt;
  std::vector<int64_t> places(rows.size());
  std::iota(places.begin(), places.end(), int64_t{0});
  const double agreement = make_metric("spearman")->value(rows, places);
  return std::isnan(agreement) ? std::nullopt : std::optional(agreement);
}

std::string paper_caveats(const Results& results) {
  std::set<std::string> sources;
  for (const CellResult& cell : results.cells) {
    if (cell.wh_per_1000)
      sources.insert(fmt::format("{} ({}, {})", cell.source, name(cell.grade), cell.scope));
  }
  return fmt::format(
      "The paper charged a whole node: eight A100 boards of which one worked, a constant 431 W for 1.1 TB of "
      "memory and "
      "a constant 42.5 W for the processors. It asked in single precision, one query at a time, and counted "
      "Python's "
      "time, tokenising and the reading of data; its energies follow wall-clock time times about 1 kW (R² = "
      "0.9993). "
      "Ours are of {}. So compare the order of the models and their ratios, not the levels. "
      "Inputs were cut to 50 words in its zero-shot runs and, by the timings, in its text classification and "
      "summarisation; BLOOMz wrote longer summaries than Flan-T5. The row of distilbart-xsum-12-6 was "
      "measured on "
      "distilbart-cnn-6-6.",
      sources.empty() ? "nothing yet" : fmt::format("{}", fmt::join(sources, "; ")));
}

std::string paper_table(const Results& results) {
  with_paper(results.plan);
  const std::vector<Replayed> models = replay(results);
  const std::vector<std::string> precisions = precisions_of(models);
  size_t width = 5;
  for (const Replayed& model : models) width = std::max(width, model.paper.model.size());
  std::string text = fmt::format("{}: {}\n\n{:<{}} {:>8}", results.plan.paper, heading_of(results.plan),
                                 "model", width, "paper");
  for (const std::string& precision : precisions) text += fmt::format(" {:>9}", precision);
  text += "\n";
  for (const Replayed& model : models) {
    text += fmt::format("{:<{}} {:>8}", model.paper.model, width, energy(model.paper_wh, 3));
    for (const std::string& precision : precisions) {
      const CellResult* cell = cell_at(model, precision);
      text += fmt::format(" {:>9}", cell == nullptr ? "-" : energy(cell->wh_per_1000->value, 3));
    }
    text += "\n";
  }
  const std::string agreement = agreement_sentence(models, precisions);
  return text + "\n" + (agreement.empty() ? "" : agreement + "\n") + paper_caveats(results) + "\n";
}

std::string paper_section(const Results& results) {
  if (results.plan.paper.empty()) return "";
  const std::vector<Replayed> models = replay(results);
  const std::vector<std::string> precisions = precisions_of(models);
  std::string text = fmt::format(
      "<h2>Beside \"Power Hungry Processing\"</h2>\n<p class=\"lead\">{}: {}, the cheapest first.</p>\n"
      "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">model</th><th scope=\"col\">paper</th>",
      escaped(results.plan.paper), escaped(heading_of(results.plan)));
  for (const std::string& precision : precisions) text += "<th scope=\"col\">" + escaped(precision) + "</th>";
  text += "</tr></thead>\n<tbody>\n";
  for (const Replayed& model : models) {
    text += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td>",
                        escaped(model.paper.model + (model.paper.zero_shot ? " (zero-shot)" : "")),
                        energy(model.paper_wh, 3));
    for (const std::string& precision : precisions) {
      const CellResult* cell = cell_at(model, precision);
      text += fmt::format("<td>{}</td>", cell == nullptr ? "–" : energy(cell->wh_per_1000->value, 3));
    }
    text += "</tr>\n";
  }
  text += "</tbody></table></div>\n";
  if (const std::string agreement = agreement_sentence(models, precisions); !agreement.empty())
    text += "<p>" + escaped(agreement) + "</p>\n";
  return text + "<p>" + escaped(paper_caveats(results)) +
         " Luccioni, Jernite and Strubell, FAccT 2024; data under the MIT licence, copyright Sasha Luccioni "
         "2023.</p>\n";
}

}  // namespace wattle::inline report
