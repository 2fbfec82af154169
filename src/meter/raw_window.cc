#include "meter/raw_window.h"

#include <algorithm>
#include <numeric>

#include <wattle/error.h>
#include <nlohmann/json.hpp>

namespace wattle::inline meter {
namespace {

using Json = nlohmann::ordered_json;

/// `times` are those of all channels; `at` says which of them are the channel's, where not all are.
Json json_of(const RawChannel& channel, const std::vector<double>& times) {
  Json json{{"name", channel.name},         {"scope", channel.scope},         {"unit", channel.unit},
            {"accuracy", channel.accuracy}, {"max_watts", channel.max_watts}, {"refresh", channel.refresh},
            {"learnt", channel.learnt}};
  if (channel.averaged) json["averaged"] = true;
  if (channel.wrap_counts > 0) json["wrap"] = channel.wrap_counts;
  if (channel.resolution > 0) json["resolution"] = channel.resolution;
  std::vector<size_t> at;
  Json values = Json::array();
  bool are_all = channel.readings.size() == times.size();
  for (const RawReading& reading : channel.readings) {
    at.push_back(static_cast<size_t>(std::ranges::lower_bound(times, reading.time) - times.begin()));
    are_all &= at.back() + 1 == at.size();
    values.push_back(!reading.ok        ? Json(nullptr)
                     : channel.is_power ? Json(reading.watts)
                                        : Json(reading.counts));
  }
  if (!are_all) json["at"] = at;
  json[channel.is_power ? "watts" : "counts"] = std::move(values);
  return json;
}

RawChannel channel_from(const Json& json, const std::vector<double>& times) {
  RawChannel channel;
  channel.name = json.at("name"), channel.scope = json.at("scope");
  channel.is_power = json.contains("watts");
  channel.averaged = json.value("averaged", false);
  channel.unit = json.at("unit"), channel.accuracy = json.at("accuracy");
  channel.max_watts = json.at("max_watts");
  channel.wrap_counts = json.value("wrap", 0.0), channel.resolution = json.value("resolution", 0.0);
  channel.refresh = json.at("refresh"), channel.learnt = json.at("learnt");
  if (channel.is_power && !(channel.refresh > 0))
    fail("the raw samples of {} have a refresh of {} s", channel.name, channel.refresh);
  const Json& values = json.at(channel.is_power ? "watts" : "counts");
  std::vector<size_t> at(times.size());
  std::iota(at.begin(), at.end(), size_t{0});
  if (json.contains("at")) at = json.at("at").get<std::vector<size_t>>();
  if (at.size() != values.size() || at.empty())
    fail("the raw samples of {} have {} times and {} values", channel.name, at.size(), values.size());
  for (size_t i = 0; i < at.size(); ++i) {
    if (at[i] >= times.size() || (i > 0 && at[i] < at[i - 1]))
      fail("the raw samples of {} have no order in time at place {}", channel.name, i);
    RawReading& reading = channel.readings.emplace_back();
    reading.time = times[at[i]];
    reading.ok = !values[i].is_null();
    if (reading.ok && channel.is_power) reading.watts = values[i];
    if (reading.ok && !channel.is_power) reading.counts = values[i];
  }
  return channel;
}

Json json_of(const RawStretch& stretch) {
  std::vector<double> times;
  for (const RawChannel& channel : stretch.channels) {
    for (const RawReading& reading : channel.readings) times.push_back(reading.time);
  }
  std::ranges::sort(times);
  times.erase(std::unique(times.begin(), times.end()), times.end());
  Json json{{"begin", stretch.begin}, {"end", stretch.end}, {"times", times}, {"channels", Json::array()}};
  for (const RawChannel& channel : stretch.channels) json["channels"].push_back(json_of(channel, times));
  return json;
}

RawStretch stretch_from(const Json& json) {
  RawStretch stretch{json.at("begin"), json.at("end"), {}};
  const auto times = json.at("times").get<std::vector<double>>();
  if (!std::ranges::is_sorted(times)) fail("the raw samples of a window go back in time");
  for (const Json& channel : json.at("channels")) stretch.channels.push_back(channel_from(channel, times));
  return stretch;
}

Json json_of(const RawModel& model) {
  Json json{{"source", model.source},
            {"threads", model.threads},
            {"seconds", model.seconds},
            {"busy_seconds", model.busy_seconds}};
  const std::pair<const char*, double> work[] = {{"macs_int8", model.macs_int8},
                                                 {"macs_bf16", model.macs_bf16},
                                                 {"macs_fp32", model.macs_fp32},
                                                 {"bytes", model.bytes}};
  for (const auto& [key, amount] : work) {
    if (amount > 0) json[key] = amount;
  }
  for (size_t i = 0; i < model.parameters.size(); ++i) {
    const RawModel::Range& range = model.parameters[i];
    json["parameters"][name(static_cast<ModelTerm::Parameter>(i))] = {range.low, range.value, range.high};
  }
  if (!model.log_watts.empty())
    json["log_watts"] = model.log_watts, json["log_half_width"] = model.log_half_width;
  return json;
}

RawModel model_from(const Json& json) {
  RawModel model;
  model.source = json.at("source");
  model.threads = json.at("threads"), model.seconds = json.at("seconds");
  model.busy_seconds = json.at("busy_seconds");
  model.macs_int8 = json.value("macs_int8", 0.0), model.macs_bf16 = json.value("macs_bf16", 0.0);
  model.macs_fp32 = json.value("macs_fp32", 0.0), model.bytes = json.value("bytes", 0.0);
  if (json.contains("parameters")) {
    for (int i = ModelTerm::kIdle; i <= ModelTerm::kBytes; ++i) {
      const Json& range = json.at("parameters").at(std::string(name(static_cast<ModelTerm::Parameter>(i))));
      model.parameters.push_back({range.at(0), range.at(1), range.at(2)});
    }
  }
  if (json.contains("log_watts")) {
    model.log_watts = json.at("log_watts").get<std::vector<std::pair<double, double>>>();
    model.log_half_width = json.at("log_half_width");
  }
  return model;
}

}  // namespace

std::string to_json_text(const RawWindow& window) {
  Json json = Json::object();
  for (const RawSource& source : window.sources) {
    Json& entry =
        json["sources"].emplace_back(Json{{"name", source.name}, {"window", json_of(source.window)}});
    if (source.idle) entry["idle"] = json_of(*source.idle);
  }
  if (window.model) json["model"] = json_of(*window.model);
  return json.dump();
}

RawWindow raw_window_from_json(std::string_view text) {
  RawWindow window;
  try {
    const Json json = Json::parse(text);
    for (const Json& entry : json.value("sources", Json::array())) {
      RawSource& source = window.sources.emplace_back();
      source.name = entry.at("name"), source.window = stretch_from(entry.at("window"));
      if (entry.contains("idle")) source.idle = stretch_from(entry.at("idle"));
    }
    if (json.contains("model")) window.model = model_from(json.at("model"));
  } catch (const nlohmann::json::exception& error) {
    fail("the raw samples of a window are damaged ({})", error.what());
  }
  return window;
}

}  // namespace wattle::inline meter
