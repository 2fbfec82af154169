#include "meter/machine_meter.h"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <wattle/error.h>

#include "meter/helper_process.h"

namespace wattle::inline meter {
namespace {

constexpr double kQuantisation = 0.01;
constexpr double kTicks = 20;
/// Idle is measured for at least so many refreshes, and for so long until the refresh of a power reading is
/// learnt, longer where it has moved already; at most a minute in all.
constexpr double kIdleRefreshes = 2, kLearning = 5, kLearningMoving = 15, kLearningStep = 0.25,
                 kLongestIdle = 60;
/// What joules of like work differ by from window to window, for the machine's other doings.
constexpr double kModelScatter = 0.02;

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * time.tv_usec;
}

double thread_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// "package+dram" of the channels that are counted, in their order.
std::string scope_of(const Source& source) {
  std::string scope;
  for (const Channel& channel : source.channels()) {
    if (!channel.left_out.empty() || ("+" + scope + "+").find("+" + channel.scope + "+") != std::string::npos)
      continue;
    scope += (scope.empty() ? "" : "+") + channel.scope;
  }
  return scope;
}

}  // namespace

double process_cpu_seconds() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    sum += seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  }
  return sum;
}

struct Meter::Moment {
  std::vector<double> marks;  ///< one a recorder
  double time = 0;
  double cpu_seconds = 0;
};

std::unique_ptr<Meter> Meter::open(const MeterOptions& options) {
  return std::make_unique<MachineMeter>(open_machine(options.root), options, true);
}

MachineMeter::MachineMeter(std::unique_ptr<Machine> machine, const MeterOptions& options, bool background)
    : machine_(std::move(machine)),
      sources_(find_sources(*machine_, options)),
      idle_(sources_.recorders.size()),
      raw_idle_(sources_.recorders.size()),
      helpers_before_(helper_cpu_seconds()) {
  if (options.require_measured && grade() == Grade::kModelled) {
    throw Error(sources_.notice.empty()
                    ? "the modelled source was asked for, and --require measured forbids it"
                    : sources_.notice,
                3);
  }
  for (const auto& recorder : sources_.recorders) recorder->infer_refresh(machine_->simulated() ? 0.5 : 0.1);
  if (background && !sources_.recorders.empty()) thread_ = std::thread([this] { run(); });
}

MachineMeter::~MachineMeter() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(stop_mutex_);
    stop_ = true;
  }
  stop_signal_.notify_all();
  thread_.join();
}

void MachineMeter::run() {
  std::unique_lock lock(stop_mutex_);
  while (!stop_signal_.wait_for(lock, std::chrono::duration<double>(seconds_to_next_poll()),
                                [this] { return stop_; })) {
    poll();
    thread_cpu_seconds_ = thread_cpu_seconds();
  }
}

double MachineMeter::own_cpu_seconds() const {
  return thread_cpu_seconds_ + helper_cpu_seconds() - helpers_before_;
}

void MachineMeter::set_listener(const Recorder::Listener& listener) {
  for (const auto& recorder : sources_.recorders) recorder->set_listener(listener);
}

void MachineMeter::poll() {
  double oldest = machine_->now() - 60;
  {
    const std::lock_guard lock(moments_mutex_);
    std::erase_if(moments_, [&](const std::weak_ptr<const Moment>& weak) {
      const auto moment = weak.lock();
      if (moment) oldest = std::min(oldest, moment->time);
      return moment == nullptr;
    });
  }
  for (const auto& recorder : sources_.recorders) {
    recorder->poll();
    recorder->forget_before(oldest);
  }
}

double MachineMeter::period() const {
  double period = 1;
  for (const auto& recorder : sources_.recorders) period = std::min(period, recorder->period());
  return sources_.recorders.empty() ? 0.1 : period;
}

double MachineMeter::slowest_refresh() const {
  double slowest = 0;
  for (const auto& recorder : sources_.recorders) slowest = std::max(slowest, recorder->slowest_refresh());
  return slowest;
}

double MachineMeter::seconds_to_next_poll() const {
  double seconds = 1;
  for (const auto& recorder : sources_.recorders)
    seconds = std::min(seconds, recorder->seconds_to_next_poll());
  return sources_.recorders.empty() ? 0.1 : seconds;
}

std::shared_ptr<const Meter::Moment> MachineMeter::begin() {
  auto moment = std::make_shared<Moment>();
  for (const auto& recorder : sources_.recorders) moment->marks.push_back(recorder->mark());
  moment->time = machine_->now();
  moment->cpu_seconds = process_cpu_seconds();
  const std::lock_guard lock(moments_mutex_);
  moments_.push_back(moment);
  return moment;
}

Energy MachineMeter::measured(size_t index, const WindowEnergy& window) const {
  const Source& source = sources_.recorders[index]->source();
  Energy energy;
  energy.joules = window.joules;
  energy.seconds = window.seconds;
  const double half = std::hypot(window.gain, window.random);
  energy.low = std::max(0.0, window.joules - half);
  energy.high = window.joules + half;
  energy.systematic = window.gain;
  energy.resolution = window.random;
  energy.grade = Grade::kMeasured;
  energy.source = source.name();
  energy.scope = scope_of(source);
  energy.invalid = window.invalid;
  return energy;
}

void MachineMeter::wait(double seconds) {
  const double until = machine_->now() + seconds;
  while (machine_->now() < until) {
    machine_->sleep(std::min(seconds_to_next_poll(), std::max(0.0, until - machine_->now())));
    if (!thread_.joinable()) poll();
  }
}

std::vector<Energy> MachineMeter::close(const Moment& begin, const std::function<double()>& busy_seconds,
                                        const Work* work, Settle settle, RawWindow* raw) {
  std::vector<Energy> parts;
  const double end = machine_->now();
  std::vector<double> marks;
  double late = 0;
  for (const auto& recorder : sources_.recorders) {
    marks.push_back(recorder->mark());
    late = std::max(late, recorder->seconds_to_settle(end - begin.time));
  }
  Activity activity;
  activity.seconds = end - begin.time;
  activity.busy_seconds = busy_seconds();
  if (settle != Settle::kNo) wait(late);
  const Edges edges = settle == Settle::kLoadEnded ? Edges::kOfTheLoad : Edges::kAny;
  for (size_t i = 0; i < sources_.recorders.size(); ++i) {
    RawSource source{sources_.recorders[i]->source().name(), {}, raw_idle_[i]};
    RawStretch* readings = raw != nullptr ? &source.window : nullptr;
    Energy part = measured(i, sources_.recorders[i]->between(begin.marks[i], marks[i], edges, readings));
    if (raw != nullptr) raw->sources.push_back(std::move(source));
    if (idle_[i]) {
      part.idle_known = true;
      const double times = part.seconds / idle_[i]->seconds;
      part.idle_joules = idle_[i]->joules * times;
      part.idle_half = idle_[i]->resolution * times;
    }
    parts.push_back(std::move(part));
  }
  if (sources_.profile) {
    activity.threads = sources_.threads;
    if (work != nullptr) activity.work = *work;
    parts.push_back(modelled_energy(*sources_.profile, activity));
    if (raw != nullptr) raw->model = raw_model(*sources_.profile, activity);
  }
  return parts;
}

std::vector<Energy> MachineMeter::end_parts(const std::shared_ptr<const Moment>& begin, const Work* work) {
  return close(
      *begin, [&] { return process_cpu_seconds() - begin->cpu_seconds; }, work);
}

Energy MachineMeter::end(const std::shared_ptr<const Moment>& begin, const Work* work) {
  Energy sum;
  for (const Energy& part : end_parts(begin, work)) sum = sum + part;
  return sum;
}

Energy MachineMeter::end_settled(const std::shared_ptr<const Moment>& begin, const Work* work,
                                 RawWindow* raw) {
  const auto busy_seconds = [&] { return process_cpu_seconds() - begin->cpu_seconds; };
  Energy sum;
  for (const Energy& part : close(*begin, busy_seconds, work, Settle::kYes, raw)) sum = sum + part;
  return sum;
}

Energy MachineMeter::end_foreign(const std::shared_ptr<const Moment>& begin,
                                 const std::function<double()>& busy_seconds, Settle settle, RawWindow* raw) {
  Energy sum;
  for (const Energy& part : close(*begin, busy_seconds, nullptr, settle, raw)) sum = sum + part;
  return sum;
}

Energy MachineMeter::end_foreign(const std::shared_ptr<const Moment>& begin, double busy_seconds,
                                 Settle settle) {
  return end_foreign(
      begin, [busy_seconds] { return busy_seconds; }, settle);
}

namespace {

/// Expected joules of a piece of work on this machine.
double expected_joules(const PowerProfile& profile, int threads, double seconds, double busy_seconds,
                       const Work& work) {
  return modelled_energy(profile, {seconds, busy_seconds, threads, work}).joules;
}

}  // namespace

bool MachineMeter::long_enough(double seconds) const {
  double step = period();
  for (const auto& recorder : sources_.recorders) {
    for (size_t i = 0; i < recorder->source().channels().size(); ++i) {
      if (recorder->source().channels()[i].left_out.empty())
        step = std::max(step, recorder->refresh_seconds(i));
    }
  }
  return !sources_.recorders.empty() && seconds >= kTicks * step;
}

double MachineMeter::counted_joules(const Stretch& stretch, const PowerProfile& profile) const {
  double joules = 0;
  for (const auto& recorder : sources_.recorders)
    joules += recorder->between(stretch.begin, stretch.begin + stretch.seconds).joules;
  if (!sources_.profile) return joules;
  return joules +
         expected_joules(profile, sources_.threads, stretch.seconds, stretch.busy_seconds, stretch.work);
}

std::vector<double> MachineMeter::stretch_joules(const Energy& window, std::span<const Stretch> stretches) {
  if (!sources_.profile && !proportions_) proportions_ = find_profile(describe_processor(*machine_));
  const PowerProfile& profile = sources_.profile ? *sources_.profile : *proportions_;
  const int threads = sources_.profile ? sources_.threads : describe_processor(*machine_).threads;
  std::vector<double> joules;
  PhaseRegression::Parts expected{};  // of what the counters do not show by itself
  double counted = 0, outside = window.seconds;
  for (const Stretch& stretch : stretches) {
    outside -= stretch.seconds;
    if (long_enough(stretch.seconds)) {
      joules.push_back(counted_joules(stretch, profile));
      counted += joules.back();
    } else {
      joules.push_back(
          expected_joules(profile, threads, stretch.seconds, stretch.busy_seconds, stretch.work));
      expected[static_cast<size_t>(stretch.phase)] += joules.back();
    }
  }
  // The window's time between the stretches draws its part of what the counters leave: one thread at work.
  outside = std::max(0.0, outside);
  expected.back() = expected_joules(profile, threads, outside, outside, {});
  const double rest = std::max(0.0, window.joules - counted);
  if (window.grade == Grade::kMeasured && window.invalid.empty())
    regression_.add(expected, rest, std::hypot(window.resolution / 1.96, kModelScatter * window.joules));
  const PhaseRegression::Parts factors = regression_.factors();
  double sum = 0;
  for (size_t i = 0; i < expected.size(); ++i) sum += factors[i] * expected[i];
  const double share = rest / std::max(1e-30, sum);
  for (size_t i = 0; i < stretches.size(); ++i) {
    if (!long_enough(stretches[i].seconds))
      joules[i] *= share * factors[static_cast<size_t>(stretches[i].phase)];
  }
  return joules;
}

Energy MachineMeter::measure_idle(double seconds) {
  double unlearnt = 0, slowest = 0;
  const auto moment = begin();
  wait(seconds);
  for (const auto& recorder : sources_.recorders) {
    while (!recorder->refresh_known() && unlearnt < (recorder->can_learn() ? kLearningMoving : kLearning))
      wait(kLearningStep), unlearnt += kLearningStep;
    slowest = std::max(slowest, recorder->slowest_refresh());
  }
  wait(std::max(0.0, moment->time + std::min(kIdleRefreshes * slowest, kLongestIdle) - machine_->now()));
  Energy sum;
  RawWindow raw;
  const std::vector<Energy> parts = close(
      *moment, [] { return 0.0; }, nullptr, Settle::kNo, &raw);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i < idle_.size() && parts[i].invalid.empty())
      idle_[i] = parts[i], raw_idle_[i] = std::move(raw.sources[i].window);
    sum = sum + parts[i];
  }
  sum.idle_joules = sum.joules;
  sum.idle_known = true;
  return sum;
}

int MachineMeter::repetitions(double seconds) const {
  int repetitions = 1;
  for (const auto& recorder : sources_.recorders) {
    for (size_t i = 0; i < recorder->source().channels().size(); ++i) {
      if (!recorder->source().channels()[i].left_out.empty()) continue;
      const double refresh = std::max(recorder->refresh_seconds(i), 0.001);
      if (seconds >= kTicks * refresh) continue;
      const double needed = refresh / kQuantisation / std::max(seconds, 1e-6);
      repetitions = std::max(repetitions, static_cast<int>(std::ceil(std::min(needed, 1e6))));
    }
  }
  return repetitions;
}

std::string MachineMeter::source() const {
  std::vector<std::string> names;
  for (const auto& recorder : sources_.recorders) names.push_back(recorder->source().name());
  if (sources_.profile) names.push_back("model:" + sources_.profile->name);
  return fmt::format("{}", fmt::join(names, "+"));
}

Grade MachineMeter::grade() const {
  return sources_.profile ? Grade::kModelled : Grade::kMeasured;
}

std::string MachineMeter::scope() const {
  std::vector<std::string> scopes;
  for (const auto& recorder : sources_.recorders) scopes.push_back(scope_of(recorder->source()));
  if (sources_.profile) scopes.push_back(sources_.profile->package ? "package" : "vcpu share of server");
  return fmt::format("{}", fmt::join(scopes, "+"));
}

}  // namespace wattle::inline meter
