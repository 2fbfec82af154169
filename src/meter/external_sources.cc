// Meters outside the machine: a file or a command that tells a number with its unit, and smart plugs over
// HTTP.
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <httplib.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "meter/helper_process.h"
#include "meter/source.h"

namespace wattle::inline meter {
namespace {

constexpr double kExternalAccuracy = 0.02;  // class 2 of IEC 62053-21; plugs state 1-2 %
constexpr double kTimeoutSeconds = 2;
constexpr size_t kLongestPage = 65536;
constexpr double kMostJoules = 1e13;  // fits the 64 bits of a microjoule counter

struct Unit {
  bool energy;
  double factor;  ///< to watts or joules
};
const std::map<std::string, Unit> kUnits = {
    {"W", {false, 1}},    {"mW", {false, 1e-3}},  {"uW", {false, 1e-6}}, {"kW", {false, 1e3}},
    {"J", {true, 1}},     {"mJ", {true, 1e-3}},   {"uJ", {true, 1e-6}},  {"kJ", {true, 1e3}},
    {"Wh", {true, 3600}}, {"kWh", {true, 3.6e6}},
};

std::string unit_names() {
  std::string names;
  for (const auto& [name, unit] : kUnits) names += (names.empty() ? "" : ", ") + name;
  return names;
}

/// "12.5 W", "12.5" with the unit given in the source's name.
struct Figure {
  double number = NAN;
  std::string unit;
};
Figure parse_figure(const std::string& text) {
  const char* start = text.c_str();
  char* end = nullptr;
  Figure figure;
  figure.number = std::strtod(start, &end);
  if (end == start) figure.number = NAN;
  while (*end == ' ' || *end == '\t') ++end;
  while (std::isalpha(static_cast<unsigned char>(*end))) figure.unit += *end++;
  return figure;
}

/// What a meter outside said, or why it said nothing: "gives no answer".
struct Said {
  std::optional<std::string> text;
  std::string problem;
};

/// "<html>\n<bo..." on one line, short.
std::string excerpt(const std::string& text) {
  std::string line;
  for (const char c : text.substr(0, 40)) line += std::isprint(static_cast<unsigned char>(c)) ? c : ' ';
  return line;
}

/// A source of one channel whose figure comes as text from somewhere.
class TextSource : public Source {
 public:
  TextSource(std::string name, std::string unit) : name_(std::move(name)), unit_name_(std::move(unit)) {}
  void set_averaged(bool averaged) { averaged_ = averaged; }
  std::string name() const override { return name_; }
  std::vector<Reading> read() override {
    Said said = fetch();
    if (!said.text) return {{false, 0, 0, 0, std::move(said.problem)}};
    const auto refused = [&](const char* why) {
      return std::vector<Reading>{{false, 0, 0, 0, fmt::format("says \"{}\", {}", excerpt(*said.text), why)}};
    };
    const Figure figure = parse_figure(*said.text);
    if (!std::isfinite(figure.number)) return refused("which is no number");
    if (figure.number < 0) return refused("which is below zero");
    const auto stated = unit_name_.empty() ? kUnits.find(figure.unit) : kUnits.find(unit_name_);
    if (stated == kUnits.end() || stated->second.energy != unit_.energy)
      return refused("which is in another unit");
    const double number = figure.number * stated->second.factor;
    if (!unit_.energy) return {{true, 0, number}};
    if (number > kMostJoules) return refused("which is more than any counter holds");
    return {{true, static_cast<uint64_t>(number * 1e6), 0}};
  }
  /// Learns the unit from a first answer; Error when there is none.
  void settle() {
    const Said said = fetch();
    if (!said.text) fail("--source {}: {}; check it by hand", name_, said.problem);
    const Figure figure = parse_figure(*said.text);
    if (!std::isfinite(figure.number))
      fail("--source {}: says \"{}\", which is no number", name_, excerpt(*said.text));
    const std::string unit = unit_name_.empty() ? figure.unit : unit_name_;
    const auto known = kUnits.find(unit);
    if (known == kUnits.end()) {
      fail("--source {}: the unit \"{}\" is not known; append one of {} after a comma: {},W", name_, unit,
           unit_names(), name_);
    }
    unit_ = known->second;
    Channel channel;
    channel.name = name_;
    channel.scope = "wall";
    channel.kind = unit_.energy ? Channel::Kind::kEnergy : Channel::Kind::kPower;
    channel.unit = unit_.energy ? 1e-6 : 1e-3;
    channel.accuracy = kExternalAccuracy;
    channel.averaged = averaged_;
    channel.max_watts = 1e5;
    channels_ = {channel};
  }

 protected:
  virtual Said fetch() = 0;

 private:
  std::string name_, unit_name_;
  Unit unit_{};
  bool averaged_ = false;
};

class FileSource : public TextSource {
 public:
  FileSource(Machine& machine, const std::string& path, const std::string& unit)
      : TextSource("file:" + path, unit), machine_(machine), path_(path) {}

 protected:
  Said fetch() override { return {machine_.read(path_), "could not be read"}; }

 private:
  Machine& machine_;
  std::string path_;
};

class ExecSource : public TextSource {
 public:
  ExecSource(const std::string& command, const std::string& unit)
      : TextSource("exec:" + command, unit), command_(command) {}
  double shortest_period() const override { return 0.5; }

 protected:
  Said fetch() override {
    HelperOutput output = run_helper(command_, kTimeoutSeconds);
    return {std::move(output.text), std::move(output.problem)};
  }

 private:
  std::string command_;
};

/// Power of a plug, in watts, from its answer. Shelly: Gen2 device API, Switch.GetStatus, and Gen1 API,
/// /meter/0. Tasmota: command Status 8.
class PlugSource : public TextSource {
 public:
  PlugSource(const std::string& kind, const std::string& url)
      : TextSource(kind + ":" + url, "W"),
        kind_(kind),
        client_(url.find("://") == std::string::npos ? "http://" + url : url) {
    client_.set_connection_timeout(static_cast<time_t>(kTimeoutSeconds));
    client_.set_read_timeout(static_cast<time_t>(kTimeoutSeconds));
  }
  double shortest_period() const override { return 0.5; }

 protected:
  Said fetch() override {
    if (kind_ == "tasmota")
      return power(get("/cm?cmnd=Status%208"), {"/StatusSNS/ENERGY/Power", "/StatusSNS/ENERGY/Power/0"});
    const Said answer = get("/rpc/Switch.GetStatus?id=0");
    return power(answer.problem == "answered HTTP 404" ? get("/meter/0") : answer, {"/apower", "/power"});
  }

 private:
  /// The page, read for at most two seconds in all.
  Said get(const std::string& path) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(kTimeoutSeconds);
    std::string page;
    bool late = false, large = false;
    const auto result = client_.Get(path, [&](const char* data, size_t size) {
      page.append(data, size);
      late = std::chrono::steady_clock::now() > until;
      large = page.size() > kLongestPage;
      return !late && !large;
    });
    if (large) return {{}, fmt::format("answered more than {} bytes", kLongestPage)};
    if (late) return {{}, fmt::format("took longer than {:.3g} s to answer", kTimeoutSeconds)};
    if (!result) return {{}, fmt::format("gave no whole answer ({})", httplib::to_string(result.error()))};
    if (result->status != 200) return {{}, fmt::format("answered HTTP {}", result->status)};
    return {page, ""};
  }
  static Said power(const Said& page, const std::vector<std::string>& places) {
    if (!page.text) return page;
    const nlohmann::json answer = nlohmann::json::parse(*page.text, nullptr, false);
    for (const std::string& place : places) {
      const nlohmann::json::json_pointer pointer(place);
      if (answer.is_object() && answer.contains(pointer) && answer[pointer].is_number())
        return {fmt::format("{}", answer[pointer].get<double>()), ""};
    }
    return {{}, fmt::format("says \"{}\", which holds no power", excerpt(*page.text))};
  }

  std::string kind_;
  httplib::Client client_;
};

}  // namespace

std::unique_ptr<Source> open_external(Machine& machine, const std::string& name) {
  const size_t colon = name.find(':');
  if (colon == std::string::npos) return nullptr;
  const std::string kind = name.substr(0, colon);
  std::string where = name.substr(colon + 1), unit;
  constexpr std::string_view kAverage = ",average";
  const bool averaged = where.ends_with(kAverage);
  if (averaged) where.resize(where.size() - kAverage.size());
  const size_t comma = where.rfind(',');
  if (comma != std::string::npos && kUnits.count(where.substr(comma + 1)) > 0) {
    unit = where.substr(comma + 1);
    where.resize(comma);
  }
  std::unique_ptr<TextSource> source;
  if (kind == "file") source = std::make_unique<FileSource>(machine, where, unit);
  if (kind == "exec") source = std::make_unique<ExecSource>(where, unit);
  if (kind == "shelly" || kind == "tasmota") source = std::make_unique<PlugSource>(kind, where);
  if (source) {
    source->set_averaged(averaged);
    source->settle();
  }
  return source;
}

}  // namespace wattle::inline meter
