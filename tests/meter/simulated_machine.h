#pragma once

#include <cerrno>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "meter/machine.h"

namespace wattle {

/// Power of one physical domain over time, constant between steps; its energy is known exactly.
class TruePower {
 public:
  void step(double time, double watts) {
    const double joules = times_.empty() ? 0 : energy(time);
    times_.push_back(time), watts_.push_back(watts), joules_.push_back(joules);
  }
  double energy(double time) const {
    const size_t i = at(time);
    return joules_[i] + watts_[i] * (time - times_[i]);
  }
  double watts(double time) const { return watts_[at(time)]; }
  /// The steps that were planned for later do not come.
  void forget_after(double time) {
    while (!times_.empty() && times_.back() > time) times_.pop_back(), watts_.pop_back(), joules_.pop_back();
  }

 private:
  size_t at(double time) const {
    const auto after = std::upper_bound(times_.begin(), times_.end(), time);
    return after == times_.begin() ? 0 : static_cast<size_t>(after - times_.begin()) - 1;
  }
  std::vector<double> times_, watts_, joules_;
};

/// A machine whose files are functions of its own clock. Reading takes a little time; sleeping takes none.
class SimulatedMachine : public Machine {
 public:
  using File = std::function<std::string()>;
  std::map<std::string, File> files;
  std::set<std::string> forbidden;
  std::map<std::pair<std::string, uint64_t>, std::function<uint64_t()>> words;
  std::map<std::pair<uint64_t, int>, std::function<uint64_t()>> events;  ///< by event code and processor
  bool events_forbidden = false;
  std::map<long, std::function<uint64_t()>> thread_events;
  int thread_refusal = 0;  ///< errno of every further opening of a thread's event
  std::map<std::string, std::string> libraries;
  double time = 100;
  double suspended = 0;

  void put(const std::string& path, const std::string& text) {
    files[path] = [text] { return text; };
  }
  void remove(const std::string& prefix) {
    std::erase_if(files, [&](const auto& file) { return file.first.rfind(prefix, 0) == 0; });
  }

  std::optional<std::string> read(const std::string& path) override {
    time += 1e-5;
    const auto file = files.find(path);
    if (file == files.end() || forbidden.count(path) > 0) return std::nullopt;
    return file->second();
  }
  std::vector<std::string> list(const std::string& path) override {
    std::set<std::string> names;
    const std::string prefix = path + "/";
    for (auto file = files.lower_bound(prefix); file != files.end() && file->first.rfind(prefix, 0) == 0;
         ++file) {
      const size_t slash = file->first.find('/', prefix.size());
      names.insert(
          file->first.substr(prefix.size(), slash == std::string::npos ? slash : slash - prefix.size()));
    }
    return {names.begin(), names.end()};
  }
  Access access(const std::string& path) override {
    if (forbidden.count(path) > 0) return Access::kForbidden;
    return files.count(path) > 0 ? Access::kFine : Access::kMissing;
  }
  std::optional<uint64_t> read_word(const std::string& path, uint64_t offset) override {
    time += 1e-5;
    const auto word = words.find({path, offset});
    if (word == words.end() || forbidden.count(path) > 0) return std::nullopt;
    return word->second();
  }
  int open_event(uint32_t, uint64_t config, int cpu) override {
    if (events_forbidden) return -EACCES;
    const auto event = events.find({config, cpu});
    return event == events.end() ? -ENOENT : opened(event->second);
  }
  int open_thread_event(uint32_t, uint64_t, long thread) override {
    if (thread_refusal != 0) return -thread_refusal;
    const auto event = thread_events.find(thread);
    return event == thread_events.end() ? -ENOENT : opened(event->second);
  }
  std::optional<uint64_t> read_event(int handle) override {
    time += 1e-5;
    return handles_[static_cast<size_t>(handle) - 1]();
  }
  void close_event(int) override { --open_events_; }
  int open_events() const { return open_events_; }
  std::vector<std::string> library_paths(const std::string& name) override {
    const auto library = libraries.find(name);
    return library == libraries.end() ? std::vector<std::string>{}
                                      : std::vector<std::string>{library->second};
  }
  double now() override { return time; }
  double suspended_seconds() override { return suspended; }
  void sleep(double seconds) override { time += seconds; }
  bool simulated() const override { return true; }

 private:
  int opened(std::function<uint64_t()> event) {
    ++open_events_;
    handles_.push_back(std::move(event));
    return static_cast<int>(handles_.size());
  }
  std::vector<std::function<uint64_t()>> handles_;
  int open_events_ = 0;
};

/// What an instrument makes of a truth: its gain, its refresh with a phase, its steps, its noise.
struct Instrument {
  double gain = 1;
  double refresh = 0.001;
  double phase = 0;
  double unit = 1e-6;
  double wrap_counts = 0;
  double offset_counts = 0;
  double noise = 0;  ///< relative, of a power reading

  double refreshed(double time) const { return std::floor((time - phase) / refresh) * refresh + phase; }
  uint64_t counts(const TruePower& power, double time) const {
    const double counts = std::floor(gain * power.energy(refreshed(time)) / unit) + offset_counts;
    return static_cast<uint64_t>(wrap_counts > 0 ? std::fmod(counts, wrap_counts) : counts);
  }
  /// Mean power over the refresh period before (`averaged`), or at the refresh.
  double watts(const TruePower& power, double time, bool averaged) const {
    const double at = refreshed(time);
    double watts = averaged ? (power.energy(at) - power.energy(at - refresh)) / refresh : power.watts(at);
    std::mt19937_64 random(static_cast<uint64_t>(std::llround(at / refresh * 16)));
    watts *= gain * (1 + noise * std::normal_distribution<double>()(random));
    return std::round(watts / unit) * unit;
  }
};

}  // namespace wattle
