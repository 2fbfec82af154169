#include "meter/energy_json.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <wattle/error.h>

namespace wattle::inline meter {
namespace {

constexpr ModelTerm::Parameter kParameters[] = {ModelTerm::kIdle, ModelTerm::kFull, ModelTerm::kInt8,
                                                ModelTerm::kBf16, ModelTerm::kFp32, ModelTerm::kBytes};

nlohmann::ordered_json model_json(const ModelRecord& model) {
  nlohmann::ordered_json terms = nlohmann::ordered_json::array();
  for (const ModelTerm& term : model.terms) {
    terms.push_back({{"parameter", name(term.parameter)},
                     {"amount", term.amount},
                     {"low", term.low},
                     {"value", term.value},
                     {"high", term.high}});
  }
  nlohmann::ordered_json json = {{"terms", terms}, {"idle_full_correlation", model.idle_full_correlation}};
  if (model.curve_scale > 0) json["curve_scale"] = model.curve_scale;
  return json;
}

ModelRecord model_from_json(const nlohmann::json& record) {
  ModelRecord model;
  model.idle_full_correlation = record.at("idle_full_correlation");
  for (const auto& entry : record.at("terms")) {
    const std::string parameter = entry.at("parameter");
    const auto known = std::find_if(std::begin(kParameters), std::end(kParameters),
                                    [&](ModelTerm::Parameter one) { return parameter == name(one); });
    const ModelTerm term{ModelTerm::kIdle, entry.at("amount"), entry.at("low"), entry.at("value"),
                         entry.at("high")};
    if (known == std::end(kParameters) ||
        !(term.low >= 0 && term.low <= term.value && term.value <= term.high))
      fail("an energy figure has a term of its model that cannot be (\"{}\"); measure it again", parameter);
    model.terms.push_back(term);
    model.terms.back().parameter = *known;
  }
  model.curve_scale = record.value("curve_scale", 0.0);
  if (!(model.curve_scale >= 0))
    fail("an energy figure has a curve of the scale {}; measure it again", model.curve_scale);
  if (!(std::abs(model.idle_full_correlation) <= 1))
    fail("an energy figure has a correlation of {}; measure it again", model.idle_full_correlation);
  return model;
}

}  // namespace

nlohmann::ordered_json energy_json(const Energy& energy) {
  nlohmann::ordered_json json = {{"joules", energy.joules}, {"low", energy.low}, {"high", energy.high}};
  json["idle_joules"] = energy.idle_known ? nlohmann::ordered_json(energy.idle_joules) : nullptr;
  json["net_joules"] =
      energy.idle_known ? nlohmann::ordered_json(energy.joules - energy.idle_joules) : nullptr;
  json["seconds"] = energy.seconds;
  json["grade"] = name(energy.grade);
  json["source"] = energy.source;
  json["scope"] = energy.scope;
  json["windows"] = energy.windows;
  json["systematic"] = energy.systematic;
  json["resolution"] = energy.resolution;
  json["idle_half"] = energy.idle_half;
  if (!energy.model.terms.empty() || energy.model.curve_scale > 0) json["model"] = model_json(energy.model);
  if (!energy.invalid.empty()) json["invalid"] = energy.invalid;
  return json;
}

Grade grade_from_name(std::string_view text) {
  for (const Grade grade : {Grade::kMeasured, Grade::kAttributed, Grade::kModelled}) {
    if (text == name(grade)) return grade;
  }
  fail("an energy figure has the grade \"{}\"; known are measured, attributed, modelled", text);
}

Energy energy_from_json(const nlohmann::json& record) {
  Energy energy;
  try {
    energy.joules = record.at("joules");
    energy.low = record.at("low");
    energy.high = record.at("high");
    energy.idle_known = !record.at("idle_joules").is_null();
    if (energy.idle_known) energy.idle_joules = record.at("idle_joules");
    energy.seconds = record.at("seconds");
    energy.grade = grade_from_name(record.at("grade").get<std::string>());
    energy.source = record.at("source");
    energy.scope = record.at("scope");
    energy.windows = record.at("windows");
    energy.systematic = record.at("systematic");
    energy.resolution = record.at("resolution");
    energy.idle_half = record.at("idle_half");
    energy.invalid = record.value("invalid", "");
    if (record.contains("model")) energy.model = model_from_json(record.at("model"));
  } catch (const nlohmann::json::exception& error) {
    fail("an energy figure is damaged ({}); measure it again", error.what());
  }
  const double least = std::min({energy.seconds, energy.systematic, energy.resolution, energy.idle_half});
  if (!(energy.low <= energy.joules && energy.joules <= energy.high && least >= 0 && energy.windows >= 1))
    fail("an energy figure of {} J has an interval or a half-width that cannot be; measure it again",
         energy.joules);
  return energy;
}

}  // namespace wattle::inline meter
