#include "meter/energy_json.h"

#include <algorithm>

#include <wattle/error.h>

namespace wattle {

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
  } catch (const nlohmann::json::exception& error) {
    fail("an energy figure is damaged ({}); measure it again", error.what());
  }
  const double least = std::min({energy.seconds, energy.systematic, energy.resolution, energy.idle_half});
  if (!(energy.low <= energy.joules && energy.joules <= energy.high && least >= 0 && energy.windows >= 1))
    fail("an energy figure of {} J has an interval or a half-width that cannot be; measure it again",
         energy.joules);
  return energy;
}

}  // namespace wattle
