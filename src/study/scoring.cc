#include "study/scoring.h"

#include <algorithm>

#include <wattle/error.h>

#include "tasks/json.h"

namespace wattle::inline study {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLongestAnswer = 4000;  // bytes of JSON that the store keeps of one

Json span_json(const Span& span) {
  return {{"begin", span.begin},
          {"end", span.end},
          {"begin_code_point", span.begin_code_point},
          {"end_code_point", span.end_code_point},
          {"label", span.label},
          {"text", span.text}};
}

Span span_from_json(const Json& json) {
  Span span;
  span.begin = json.at("begin"), span.end = json.at("end");
  span.begin_code_point = json.at("begin_code_point"), span.end_code_point = json.at("end_code_point");
  span.label = json.at("label"), span.text = json.at("text");
  return span;
}

struct TruthWriter {
  Json operator()(std::monostate) const { return Json::object(); }
  Json operator()(const LabelTruth& truth) const { return {{"label", truth.label}}; }
  Json operator()(const TextsTruth& truth) const { return {{"texts", truth.texts}}; }
  Json operator()(const SpansTruth& truth) const {
    Json spans = Json::array();
    for (const Span& span : truth.spans) spans.push_back(span_json(span));
    return {{"spans", std::move(spans)}};
  }
  Json operator()(const ScoreTruth& truth) const { return {{"score", truth.score}}; }
  Json operator()(const RelevanceTruth& truth) const { return {{"relevance", truth.relevance}}; }
};

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The answer as it is kept: where it is long, without the parts that take the room and that people do not
/// read. What is left out is told by the key "omitted".
std::string kept(const Json& answer) {
  std::string text = dump(answer);
  if (text.size() <= kLongestAnswer || !answer.is_object()) return text;
  Json rest = Json::object(), omitted = Json::array();
  size_t room = kLongestAnswer;
  for (const auto& [key, value] : answer.items()) {
    const size_t size = dump(value).size() + key.size();
    if (size > room) {
      omitted.push_back(key);
    } else {
      room -= size, rest[key] = value;
    }
  }
  rest["omitted"] = std::move(omitted);
  return dump(rest);
}

}  // namespace

Json truth_json(const Truth& truth) {
  return std::visit(TruthWriter(), truth);
}

Truth truth_from_json(const Json& json) {
  if (json.is_object() && json.empty()) return {};
  if (json.contains("label")) return LabelTruth{json.at("label")};
  if (json.contains("texts")) return TextsTruth{json.at("texts").get<std::vector<std::string>>()};
  if (json.contains("score")) return ScoreTruth{json.at("score")};
  if (json.contains("relevance")) return RelevanceTruth{json.at("relevance").get<std::vector<double>>()};
  if (!json.contains("spans"))
    fail("a row's truth is {}, which no metric knows; run the study again", dump(json));
  SpansTruth truth;
  for (const Json& span : json.at("spans")) truth.spans.push_back(span_from_json(span));
  return truth;
}

std::string_view range_of(const Metric& metric) {
  const std::string_view description = metric.description();
  const size_t comma = description.rfind(", ");
  return comma == std::string_view::npos ? description : description.substr(comma + 2);
}

bool is_share(const Metric& metric) {
  return range_of(metric) == "0 to 1";
}

std::unique_ptr<const Metric> metric_for(const PlanTask& task, const std::string& name) {
  const std::vector<std::string> labels{"a", "b"};
  std::unique_ptr<const Metric> metric = make_metric(name, labels);
  if (!task.labelled && !task.table) return metric;
  Answer answer;
  Truth truth = ScoreTruth{1};
  answer.value = ScoreAnswer{1};
  if (task.labelled) {
    answer.value = LabelAnswer{0, {0.5, 0.5}, std::make_shared<const std::vector<std::string>>(labels), {}};
    truth = LabelTruth{"a"};
  }
  try {
    metric->row(answer, truth);
  } catch (const Error&) {
    fail("the metric {} does not score {}, which the task {} gives{}; take {}", name,
         task.labelled ? "labels" : "numbers", task.name,
         task.table && !task.labelled ? " for a `score`" : "",
         task.labelled ? "accuracy or macro_f1" : "rmse, mae or r2");
  }
  return metric;
}

Scorer::Scorer(const PlanTask& task, const std::vector<std::string>& metrics,
               const std::vector<std::string>& labels, std::vector<Truth> truths)
    : task_(task.answers), truths_(std::move(truths)) {
  for (const std::string& metric : metrics) metrics_.push_back(make_metric(metric, labels, truths_));
}

Output Scorer::score(int64_t row, const Json& json, const Question* question) const {
  Output output;
  output.row = row;
  output.answer = kept(json);
  const Answer answer = answer_from_json(json, task_, question);
  const Truth& truth = truths_.at(static_cast<size_t>(row));
  for (const auto& metric : metrics_) {
    RowScore& score = output.scores.emplace_back();
    try {
      score = metric->row(answer, truth);
    } catch (const Error&) {
      if (metric == metrics_.front()) throw;
    }
  }
  return output;
}

std::vector<RowScore> row_scores(const CellResult& cell, size_t place) {
  std::vector<RowScore> scores;
  for (const Output& output : cell.outputs) {
    if (place >= output.scores.size() || output.scores[place].empty()) return {};
    scores.push_back(output.scores[place]);
  }
  return scores;
}

std::unique_ptr<const Metric> metric_of(const Results& results, size_t place) {
  return make_metric(results.plan.metrics.at(place), results.labels);
}

void use_metric(Results& results, const std::string& metric) {
  auto& metrics = results.plan.metrics;
  const auto found = std::ranges::find(metrics, metric);
  if (found != metrics.end()) {
    const auto place = found - metrics.begin();
    std::rotate(metrics.begin(), found, found + 1);
    for (CellResult& cell : results.cells) {
      for (Output& output : cell.outputs) {
        if (place < static_cast<std::ptrdiff_t>(output.scores.size()))
          std::rotate(output.scores.begin(), output.scores.begin() + place,
                      output.scores.begin() + place + 1);
      }
    }
  } else {
    std::vector<Truth> truths;
    for (const std::string& truth : results.truths) truths.push_back(truth_from_json(Json::parse(truth)));
    const Scorer scorer(plan_task(results.plan), {metric}, results.labels, std::move(truths));
    metrics.insert(metrics.begin(), metric);
    for (CellResult& cell : results.cells) {
      for (Output& output : cell.outputs) {
        const Json answer = Json::parse(output.answer);
        if (answer.contains("omitted"))
          fail(
              "{}: an answer was too long to be kept, so {} cannot be computed; name it in the plan's "
              "`metric`",
              cell.rung, metric);
        output.scores.insert(output.scores.begin(), scorer.score(output.row, answer).scores.front());
      }
    }
  }
  summarise(results);
}

}  // namespace wattle::inline study
