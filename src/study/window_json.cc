#include "study/window_json.h"

#include "meter/energy_json.h"

namespace wattle::inline study {

nlohmann::ordered_json to_json(const Window& window) {
  nlohmann::ordered_json json = energy_json(window.energy);
  json.update({{"kind", window.kind},
               {"readings", window.readings},
               {"readings_sha256", window.readings_sha256},
               {"queries", window.queries},
               {"latencies_ms", window.latencies_ms},
               {"queries_a_latency", window.queries_a_latency},
               {"peak_memory_bytes", window.peak_memory_bytes},
               {"outputs_sha256", window.outputs_sha256},
               {"conditions", window.conditions},
               {"disturbance", window.disturbance}});
  return json;
}

Window window_from_json(const nlohmann::json& json) {
  Window window;
  window.energy = energy_from_json(json);
  window.kind = json.at("kind");
  window.readings = json.at("readings");
  window.readings_sha256 = json.at("readings_sha256");
  window.queries = json.at("queries");
  window.latencies_ms = json.at("latencies_ms").get<std::vector<double>>();
  window.queries_a_latency = json.value("queries_a_latency", int64_t{1});
  window.peak_memory_bytes = json.at("peak_memory_bytes");
  window.outputs_sha256 = json.at("outputs_sha256");
  window.conditions = json.at("conditions");
  window.disturbance = json.at("disturbance");
  return window;
}

}  // namespace wattle::inline study
