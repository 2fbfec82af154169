#include "study/window_json.h"

namespace wattle {

nlohmann::ordered_json to_json(const Window& window) {
  const Energy& energy = window.energy;
  return {{"kind", window.kind},
          {"queries", window.queries},
          {"joules", energy.joules},
          {"low", energy.low},
          {"high", energy.high},
          {"idle_joules", energy.idle_joules},
          {"seconds", energy.seconds},
          {"grade", static_cast<int>(energy.grade)},
          {"source", energy.source},
          {"scope", energy.scope},
          {"meter_windows", energy.windows},
          {"invalid", energy.invalid},
          {"latencies_ms", window.latencies_ms},
          {"peak_memory_bytes", window.peak_memory_bytes},
          {"outputs_sha256", window.outputs_sha256},
          {"conditions", window.conditions},
          {"disturbance", window.disturbance}};
}

Window window_from_json(const nlohmann::json& json) {
  Window window;
  window.kind = json.at("kind");
  window.queries = json.at("queries");
  Energy& energy = window.energy;
  energy.joules = json.at("joules");
  energy.low = json.at("low");
  energy.high = json.at("high");
  energy.idle_joules = json.at("idle_joules");
  energy.seconds = json.at("seconds");
  energy.grade = static_cast<Grade>(json.at("grade").get<int>());
  energy.source = json.at("source");
  energy.scope = json.at("scope");
  energy.windows = json.at("meter_windows");
  energy.invalid = json.at("invalid");
  window.latencies_ms = json.at("latencies_ms").get<std::vector<double>>();
  window.peak_memory_bytes = json.at("peak_memory_bytes");
  window.outputs_sha256 = json.at("outputs_sha256");
  window.conditions = json.at("conditions");
  window.disturbance = json.at("disturbance");
  return window;
}

}  // namespace wattle
