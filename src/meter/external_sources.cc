// Meters outside the machine: a file or a command that tells a number with its unit, and smart plugs over
// HTTP.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <httplib.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "meter/source.h"

namespace wattle {
namespace {

constexpr double kExternalAccuracy = 0.02;  // class 2 of IEC 62053-21; plugs state 1-2 %
constexpr int kTimeoutMilliseconds = 2000;
constexpr size_t kLongestAnswer = 4096;

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

/// A source of one channel whose figure comes as text from somewhere.
class TextSource : public Source {
 public:
  TextSource(std::string name, std::string unit) : name_(std::move(name)), unit_name_(std::move(unit)) {}
  std::string name() const override { return name_; }
  const std::vector<Channel>& channels() const override { return channels_; }
  std::vector<Reading> read() override {
    const std::optional<std::string> text = fetch();
    if (!text) return {Reading{}};
    const Figure figure = parse_figure(*text);
    if (!std::isfinite(figure.number) || figure.number < 0) return {Reading{}};
    if (!unit_.energy) return {Reading{true, 0, figure.number * unit_.factor}};
    return {Reading{true, static_cast<uint64_t>(figure.number * unit_.factor * 1e6), 0}};
  }
  /// Learns the unit from a first answer; Error when there is none.
  void settle() {
    const std::optional<std::string> text = fetch();
    if (!text) fail("--source {}: gives no answer; check that it can be read or run", name_);
    const Figure figure = parse_figure(*text);
    if (!std::isfinite(figure.number))
      fail("--source {}: says \"{}\", which is no number", name_, text->substr(0, 40));
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
    channel.max_watts = 1e5;
    channels_ = {channel};
  }

 protected:
  virtual std::optional<std::string> fetch() = 0;

 private:
  std::string name_, unit_name_;
  Unit unit_{};
  std::vector<Channel> channels_;
};

class FileSource : public TextSource {
 public:
  FileSource(Machine& machine, const std::string& path, const std::string& unit)
      : TextSource("file:" + path, unit), machine_(machine), path_(path) {}

 protected:
  std::optional<std::string> fetch() override { return machine_.read(path_); }

 private:
  Machine& machine_;
  std::string path_;
};

/// Output of a shell command; nullopt when it fails, hangs over two seconds or cannot be started.
std::optional<std::string> output_of(const std::string& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const pid_t child = ::fork();
  if (child == 0) {
    ::setpgid(0, 0);
    ::dup2(ends[1], STDOUT_FILENO);
    ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string text;
  bool whole = false;
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kTimeoutMilliseconds);
  while (child > 0 && text.size() < kLongestAnswer) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd waiting{ends[0], POLLIN, 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) break;
    char block[512];
    const ssize_t size = ::read(ends[0], block, sizeof block);
    if (size <= 0) {
      whole = size == 0;
      break;
    }
    text.append(block, static_cast<size_t>(size));
  }
  ::close(ends[0]);
  if (child <= 0) return std::nullopt;
  if (!whole) ::kill(-child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!whole || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return text;
}

class ExecSource : public TextSource {
 public:
  ExecSource(const std::string& command, const std::string& unit)
      : TextSource("exec:" + command, unit), command_(command) {}
  double shortest_period() const override { return 0.5; }

 protected:
  std::optional<std::string> fetch() override { return output_of(command_); }

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
    client_.set_connection_timeout(2);
    client_.set_read_timeout(2);
  }
  double shortest_period() const override { return 0.5; }

 protected:
  std::optional<std::string> fetch() override {
    if (kind_ == "tasmota") {
      return power(get("/cm?cmnd=Status%208"), {"/StatusSNS/ENERGY/Power", "/StatusSNS/ENERGY/Power/0"});
    }
    const nlohmann::json answer = get("/rpc/Switch.GetStatus?id=0");
    return power(answer.is_null() ? get("/meter/0") : answer, {"/apower", "/power"});
  }

 private:
  nlohmann::json get(const std::string& path) {
    const auto answer = client_.Get(path);
    if (!answer || answer->status != 200) return nullptr;
    return nlohmann::json::parse(answer->body, nullptr, false);
  }
  static std::optional<std::string> power(const nlohmann::json& answer,
                                          const std::vector<std::string>& places) {
    if (!answer.is_object()) return std::nullopt;
    for (const std::string& place : places) {
      const nlohmann::json::json_pointer pointer(place);
      if (answer.contains(pointer) && answer[pointer].is_number())
        return fmt::format("{}", answer[pointer].get<double>());
    }
    return std::nullopt;
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
  const size_t comma = where.rfind(',');
  if (comma != std::string::npos && kUnits.count(where.substr(comma + 1)) > 0) {
    unit = where.substr(comma + 1);
    where.resize(comma);
  }
  std::unique_ptr<TextSource> source;
  if (kind == "file") source = std::make_unique<FileSource>(machine, where, unit);
  if (kind == "exec") source = std::make_unique<ExecSource>(where, unit);
  if (kind == "shelly" || kind == "tasmota") source = std::make_unique<PlugSource>(kind, where);
  if (source) source->settle();
  return source;
}

}  // namespace wattle
