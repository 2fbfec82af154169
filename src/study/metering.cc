#include "study/metering.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <thread>
#include <utility>

#include <unistd.h>
#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/sha256.h"
#include "meter/raw_window.h"
#include "study/conditions.h"
#include "study/process_tree.h"

namespace wattle::inline study {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A rule answers millions of rows a second; the latencies of the first so many tell what all would.
constexpr size_t kMostLatencies = 10'000;
// Shorter answers are timed several in a row: reading the clock takes 0.03 microseconds and more.
constexpr double kShortestTimed = 20e-6;
// A window goes on until its edges and the steps of the meter leave less than this open, or for so long.
constexpr double kResolution = 0.01, kLongestWindow = 300;
// Idle is measured for this long at least, after the team's threads have parked.
constexpr double kIdleSeconds = 1, kParkSeconds = 0.1;

double seconds_since(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

/// Processor time of this process, its descendants and the others that work for a contender.
double busy_seconds(std::vector<pid_t> others) {
  others.push_back(getpid());
  return process_tree(others).busy_seconds;
}

}  // namespace

/// A window that runs.
struct Metering::Open {
  std::string kind;
  bool by_work = false;  ///< the engine's record covers what is done; else processor time counts
  std::vector<pid_t> processes;
  Conditions conditions;
  double busy = 0;
  std::shared_ptr<const Meter::Moment> begin;

  Open(Metering& metering, std::string kind, bool by_work, std::vector<pid_t> processes)
      : kind(std::move(kind)),
        by_work(by_work),
        processes(processes),
        conditions(by_work ? std::function<double()>() : [processes] { return busy_seconds(processes); }),
        busy(by_work ? 0 : busy_seconds(processes)),
        begin(metering.meter_->begin()) {}

  double busy_since() const { return busy_seconds(processes) - busy; }
};

Metering::Metering(const MeterOptions& options) : meter_(Meter::open(options)) {}

void Metering::check_place(const Contender& who) const {
  const std::string place = who.elsewhere();
  if (place.empty()) return;
  const std::string source = meter_->source();
  for (const char* outside : {"file:", "exec:", "shelly:", "tasmota:"}) {
    if (source.starts_with(outside)) return;
  }
  fail(
      "{} does its work where the meter {} does not see it; give the `pid` of a server on this machine, or "
      "name "
      "the meter of the other machine (`meter: exec:COMMAND`, `meter: file:PATH`, `meter: shelly:HOST`)",
      place, source);
}

Window Metering::close(const Open& open, const Work* work, int64_t peak_memory) {
  Window window;
  window.kind = open.kind;
  RawWindow raw;
  window.energy = work != nullptr ? meter_->end_settled(open.begin, work, &raw)
                                  : meter_->end_processes(
                                        open.begin, [&] { return open.busy_since(); }, true, &raw);
  window.readings = to_json_text(raw);
  window.readings_sha256 = sha256_hex(window.readings);
  const Conditions::Report report = open.conditions.since_begin();
  window.conditions = report.json.dump();
  window.disturbance = report.disturbance;
  window.peak_memory_bytes = peak_memory;
  return window;
}

Window Metering::measure(const std::string& kind, const std::function<void()>& body,
                         std::vector<pid_t> others) {
  const Open open(*this, kind, false, std::move(others));
  body();
  return close(open, nullptr, peak_memory_bytes());
}

bool Metering::fine_enough(const Open& open, const Work* work, double seconds) {
  const int repetitions = meter_->repetitions(seconds);
  if (seconds >= kLongestWindow || repetitions <= 1) return true;
  const Energy energy = work != nullptr ? meter_->end(open.begin, work)
                                        : meter_->end_processes(
                                              open.begin, [&] { return open.busy_since(); }, false);
  // A window shorter than two refreshes of its meter may be invalid for that alone (100 of them are enough).
  if (!energy.invalid.empty()) return repetitions <= 50;
  return energy.resolution <= kResolution * energy.joules;
}

void Metering::measure_idle() {
  if (idle_ || meter_->grade() == Grade::kModelled) return;
  std::this_thread::sleep_for(std::chrono::duration<double>(kParkSeconds));
  idle_ = meter_->measure_idle(kIdleSeconds);
}

double Metering::warm_up(Contender& who, std::span<const Question> questions, double limit_seconds) {
  constexpr double kStretchSeconds = 0.1, kVariation = 0.03;
  const auto begin = SteadyClock::now();
  std::vector<double> rates;
  double seconds_a_question = 0;
  Reply reply;
  size_t next = 0;
  do {
    throw_if_interrupted();
    const auto stretch = SteadyClock::now();
    double size = 0, asked = 0;
    do {
      who.ask(next, reply);
      // Rows differ in length; the time per byte is what settles.
      size += 20 + static_cast<double>(size_of(questions[next]));
      next = (next + 1) % questions.size();
      ++asked;
    } while (seconds_since(stretch) < std::min(kStretchSeconds, limit_seconds));
    const double seconds = seconds_since(stretch);
    seconds_a_question = seconds / asked;
    who.expect(seconds_a_question);
    rates.push_back(seconds / size);
    if (rates.size() < 3) continue;
    const std::span<const double> last(rates.end() - 3, 3);
    const double mean = std::accumulate(last.begin(), last.end(), 0.0) / 3;
    double squares = 0;
    for (const double rate : last) squares += (rate - mean) * (rate - mean);
    if (std::sqrt(squares / 2) < kVariation * mean) break;
  } while (seconds_since(begin) < limit_seconds);
  return seconds_a_question;
}

AskedWindow Metering::ask(Contender& who, std::span<const Question> questions, double window_seconds,
                          double seconds_a_question) {
  const auto in_a_row =
      static_cast<size_t>(std::clamp(std::ceil(kShortestTimed / std::max(seconds_a_question, 1e-9)), 1.0,
                                     static_cast<double>(questions.size())));
  AskedWindow asked;
  asked.replies.reserve(questions.size());
  std::vector<double> latencies;
  latencies.reserve(kMostLatencies);
  int64_t queries = 0;
  Work work;
  const Work* record = who.has_work() ? &work : nullptr;
  Reply reply;
  const Open open(*this, "queries", record != nullptr, who.processes());
  const auto begin = SteadyClock::now();
  // Whole passes, so that every row counts alike. Where the meter is slow a window takes longer.
  do {
    if (queries > 0 && seconds_since(begin) >= window_seconds) window_seconds *= 1.5;
    const bool first = queries == 0;
    for (size_t place = 0; place < questions.size();) {
      throw_if_interrupted();
      const size_t end = std::min(place + in_a_row, questions.size());
      const auto count = static_cast<double>(end - place);
      const auto asked_at = SteadyClock::now();
      for (; place < end; ++place) {
        who.ask(place, reply);
        work += reply.answer.work;
        if (first) asked.replies.push_back(std::move(reply));
      }
      const double milliseconds = 1000 * seconds_since(asked_at) / count;
      if (latencies.size() < kMostLatencies) latencies.push_back(milliseconds);
    }
    queries += static_cast<int64_t>(questions.size());
  } while (seconds_since(begin) < window_seconds || !fine_enough(open, record, seconds_since(begin)));
  asked.window = close(open, record, 0);
  asked.window.peak_memory_bytes = who.peak_memory_bytes();
  asked.window.queries = queries;
  asked.window.latencies_ms = std::move(latencies);
  asked.window.queries_a_latency = static_cast<int64_t>(in_a_row);
  who.finish();
  return asked;
}

}  // namespace wattle::inline study
