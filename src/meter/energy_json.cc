#include "meter/energy_json.h"

namespace wattle {

nlohmann::ordered_json energy_record(const Energy& energy) {
  return {{"joules", energy.joules},
          {"low", energy.low},
          {"high", energy.high},
          {"idle_joules", energy.idle_joules},
          {"idle_known", energy.idle_known},
          {"seconds", energy.seconds},
          {"grade", static_cast<int>(energy.grade)},
          {"source", energy.source},
          {"scope", energy.scope},
          {"meter_windows", energy.windows},
          {"systematic", energy.systematic},
          {"resolution", energy.resolution},
          {"invalid", energy.invalid}};
}

Energy energy_from_record(const nlohmann::json& record) {
  Energy energy;
  energy.joules = record.at("joules");
  energy.low = record.at("low");
  energy.high = record.at("high");
  energy.idle_joules = record.at("idle_joules");
  energy.idle_known = record.value("idle_known", false);
  energy.seconds = record.at("seconds");
  energy.grade = static_cast<Grade>(record.at("grade").get<int>());
  energy.source = record.at("source");
  energy.scope = record.at("scope");
  energy.windows = record.at("meter_windows");
  energy.systematic = record.value("systematic", 0.0);
  energy.resolution = record.value("resolution", 0.0);
  energy.invalid = record.at("invalid");
  return energy;
}

}  // namespace wattle
