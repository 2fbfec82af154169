#include <cmath>
#include <exception>
#include <memory>
#include <string>

#include <wattle/error.h>
#include <wattle/meter.h>
#include <wattle/meter_c.h>

#include "meter/energy_json.h"

struct wattle_meter {
  std::shared_ptr<wattle::Meter> meter;
  std::string source, grade, scope, notice;
};
struct wattle_window {
  std::shared_ptr<wattle::Meter> meter;  ///< lives as long as its last window
  std::shared_ptr<const wattle::Meter::Moment> begin;
};
struct wattle_energy {
  wattle::Energy energy;
  std::string grade, json;
};

namespace {

thread_local std::string last_error;

/// No exception crosses the border: what `make` returns, or nullptr and its sentence in last_error.
template <typename Make>
auto guarded(const Make& make) noexcept -> decltype(make()) {
  try {
    return make();
  } catch (const std::exception& error) {
    last_error = error.what();
  } catch (...) {
    last_error = "an unknown error";
  }
  return nullptr;
}

void refuse_null(const void* handle, const char* what) {
  if (handle == nullptr) wattle::fail("a {} is NULL; give one that was opened", what);
}

wattle_energy* hand_over(wattle::Energy energy) {
  auto handle = std::make_unique<wattle_energy>();
  handle->grade = wattle::name(energy.grade);
  handle->json = wattle::energy_json(energy).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  handle->energy = std::move(energy);
  return handle.release();
}

wattle::MeterOptions parse_options(const char* text) {
  wattle::MeterOptions options;
  if (text == nullptr) return options;
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object())
    wattle::fail("the meter's options are no JSON object; give NULL or {{\"source\": ...}}");
  for (const auto& [key, value] : json.items()) {
    const auto text_for = [&, key = key, value = value](std::string& option) {
      if (!value.is_string()) wattle::fail("the meter's option \"{}\" is no text", key);
      option = value;
    };
    const auto flag_for = [&, key = key, value = value](bool& option) {
      if (!value.is_boolean()) wattle::fail("the meter's option \"{}\" is neither true nor false", key);
      option = value;
    };
    if (key == "source")
      text_for(options.source);
    else if (key == "profile")
      text_for(options.profile);
    else if (key == "server")
      text_for(options.server);
    else if (key == "root")
      text_for(options.root);
    else if (key == "require_measured")
      flag_for(options.require_measured);
    else if (key == "gpu")
      flag_for(options.gpu);
    else
      wattle::fail(
          "the meter has no option \"{}\"; there are source, profile, server, root, require_measured, gpu",
          key);
  }
  return options;
}

}  // namespace

const char* wattle_version(void) {
  return WATTLE_VERSION;
}

const char* wattle_last_error(void) {
  return last_error.c_str();
}

wattle_meter* wattle_meter_open(const char* options) {
  return guarded([&] {
    auto handle = std::make_unique<wattle_meter>();
    handle->meter = wattle::Meter::open(parse_options(options));
    handle->source = handle->meter->source();
    handle->grade = wattle::name(handle->meter->grade());
    handle->scope = handle->meter->scope();
    handle->notice = handle->meter->notice();
    return handle.release();
  });
}

void wattle_meter_close(wattle_meter* meter) {
  delete meter;
}

const char* wattle_meter_source(const wattle_meter* meter) {
  return meter == nullptr ? "" : meter->source.c_str();
}

const char* wattle_meter_grade(const wattle_meter* meter) {
  return meter == nullptr ? "" : meter->grade.c_str();
}

const char* wattle_meter_scope(const wattle_meter* meter) {
  return meter == nullptr ? "" : meter->scope.c_str();
}

const char* wattle_meter_notice(const wattle_meter* meter) {
  return meter == nullptr ? "" : meter->notice.c_str();
}

wattle_energy* wattle_meter_idle(wattle_meter* meter, double seconds) {
  return guarded([&] {
    refuse_null(meter, "meter");
    if (!(seconds > 0 && seconds <= 3600))
      wattle::fail("idle is measured for more than 0 and at most 3600 seconds, not {}", seconds);
    return hand_over(meter->meter->measure_idle(seconds));
  });
}

wattle_window* wattle_window_begin(wattle_meter* meter) {
  return guarded([&] {
    refuse_null(meter, "meter");
    auto window = std::make_unique<wattle_window>();
    window->meter = meter->meter;
    window->begin = window->meter->begin();
    return window.release();
  });
}

wattle_energy* wattle_window_end(wattle_window* window, int settle) {
  const std::unique_ptr<wattle_window> owned(window);
  return guarded([&] {
    refuse_null(window, "window");
    return hand_over(settle != 0 ? window->meter->end_settled(window->begin)
                                 : window->meter->end(window->begin));
  });
}

void wattle_window_discard(wattle_window* window) {
  delete window;
}

double wattle_energy_joules(const wattle_energy* energy) {
  return energy == nullptr ? NAN : energy->energy.joules;
}

double wattle_energy_low(const wattle_energy* energy) {
  return energy == nullptr ? NAN : energy->energy.low;
}

double wattle_energy_high(const wattle_energy* energy) {
  return energy == nullptr ? NAN : energy->energy.high;
}

double wattle_energy_idle_joules(const wattle_energy* energy) {
  return energy == nullptr || !energy->energy.idle_known ? NAN : energy->energy.idle_joules;
}

double wattle_energy_seconds(const wattle_energy* energy) {
  return energy == nullptr ? NAN : energy->energy.seconds;
}

const char* wattle_energy_grade(const wattle_energy* energy) {
  return energy == nullptr ? "" : energy->grade.c_str();
}

const char* wattle_energy_source(const wattle_energy* energy) {
  return energy == nullptr ? "" : energy->energy.source.c_str();
}

const char* wattle_energy_scope(const wattle_energy* energy) {
  return energy == nullptr ? "" : energy->energy.scope.c_str();
}

const char* wattle_energy_invalid(const wattle_energy* energy) {
  return energy == nullptr ? "" : energy->energy.invalid.c_str();
}

const char* wattle_energy_json(const wattle_energy* energy) {
  return energy == nullptr ? "" : energy->json.c_str();
}

void wattle_energy_free(wattle_energy* energy) {
  delete energy;
}
