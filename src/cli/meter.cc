#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/output_file.h"
#include "cli/help.h"
#include "cli/meter_output.h"
#include "cli/meter_running.h"
#include "cli/meter_samples.h"
#include "cli/meter_watch.h"
#include "cli/verbs.h"
#include "meter/attribution.h"
#include "meter/calibrate.h"
#include "meter/command.h"
#include "meter/validate.h"

namespace wattle {
namespace {

constexpr double kIdleDrift = 0.03;

struct MeterFlags {
  std::vector<std::string> words, lines;
  MeterOptions meter;
  MeasureOptions measure;
  std::string require, until_ci, zone, hourly, json, csv, emissions, samples;
  double pue = 1, wue = -1, price = -1, lifetime = 4, interval = 1;
  std::vector<double> embodied;
  bool watch = false, live = false, no_gpu = false;
  long pid = 0;
  std::string cgroup;
  double for_seconds = 0;
  int rounds = 0, processes = 10, port = 0;
  std::string host = "127.0.0.1";
};

/// Everything after the first "--" on the command line is one command, or several with "--vs" between them;
/// without a "--" each word is a line for the shell. Lines of --command come first.
std::vector<Command> commands_of(const std::vector<std::string>& words,
                                 const std::vector<std::string>& lines) {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string line((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::string> given;
  for (size_t at = 0; at < line.size();) {
    given.push_back(line.substr(at, line.find('\0', at) - at));
    at += given.back().size() + 1;
  }
  std::vector<Command> commands;
  for (const std::string& text : lines) commands.push_back({{text}, true});
  const auto mark = std::find(given.begin(), given.end(), "--");
  if (mark == given.end()) {
    for (const std::string& word : words) commands.push_back({{word}, true});
    return commands;
  }
  commands.emplace_back();
  for (auto word = mark + 1; word != given.end(); ++word) {
    if (*word == "--vs") {
      commands.emplace_back();
    } else {
      commands.back().arguments.push_back(*word);
    }
  }
  std::erase_if(commands, [](const Command& command) { return command.arguments.empty(); });
  return commands;
}

double parse_share(const std::string& text) {
  char* end = nullptr;
  double share = std::strtod(text.c_str(), &end);
  if (*end == '%') share /= 100, ++end;
  if (*end != '\0' || !(share > 0 && share < 1))
    fail("--until-ci {}: must lie between 0 and 100 %, for example 2%", text);
  return share;
}

Footprint footprint_of(const MeterFlags& flags, std::vector<std::string>& warnings) {
  Footprint footprint;
  if (!(flags.pue >= 1 && flags.pue < 10)) fail("--pue {}: must be at least 1 and under 10", flags.pue);
  footprint.pue = flags.pue;
  footprint.lifetime_years = flags.lifetime;
  if (flags.wue >= 0) footprint.wue = flags.wue;
  if (flags.price >= 0) footprint.price = flags.price;
  if (flags.embodied.size() == 2)
    footprint.embodied_low_kg = flags.embodied[0], footprint.embodied_high_kg = flags.embodied[1];
  if (flags.embodied.size() == 2 && flags.embodied[0] > flags.embodied[1])
    fail("--embodied {} {}: the low end comes first", flags.embodied[0], flags.embodied[1]);
  if (!flags.hourly.empty()) footprint.hourly = read_hourly_profile(flags.hourly);
  if (!flags.zone.empty()) {
    footprint.zone = carbon_zone(flags.zone);
    const std::time_t now = std::time(nullptr);
    std::tm date{};
    ::localtime_r(&now, &date);
    if (older_than_24_months(footprint.zone->year, date.tm_year + 1900, date.tm_mon + 1)) {
      warnings.push_back(footprint.zone->year == 0
                             ? fmt::format("the carbon factor of {} has no stated year", footprint.zone->zone)
                             : fmt::format("the carbon factor of {} is of {}, older than 24 months",
                                           footprint.zone->zone, footprint.zone->year));
    }
  }
  return footprint;
}

/// Power over time on the terminal while commands run.
class LiveView {
 public:
  LiveView(MachineMeter& meter, bool shown) : meter_(meter) {
    if (shown) thread_ = std::thread([this] { run(); });
  }
  ~LiveView() {
    stop_ = true;
    if (thread_.joinable()) thread_.join(), fmt::print(stderr, "\r\033[K");
  }

 private:
  void run() {
    static constexpr const char* kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    std::vector<double> history;
    ProcessTimes before = process_times(meter_.machine());
    auto begin = meter_.begin();
    while (!stop_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      ProcessTimes after = process_times(meter_.machine());
      const Energy window = meter_.end_foreign(begin, after.busy_seconds - before.busy_seconds);
      begin = meter_.begin();
      before = std::move(after);
      history.push_back(window.joules / std::max(window.seconds, 1e-9));
      if (history.size() > 60) history.erase(history.begin());
      const double most = *std::max_element(history.begin(), history.end());
      std::string line;
      for (const double watts : history) line += kBars[static_cast<int>(most > 0 ? 7 * watts / most : 0)];
      fmt::print(stderr, "\r\033[K{} {:.1f} W (whole machine, {})", line, history.back(), name(window.grade));
      std::fflush(stderr);
    }
  }
  MachineMeter& meter_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

void write_text(const std::string& path, const std::string& text) {
  if (path == "-") {
    fmt::print("{}", text);
    return;
  }
  OutputFile file(path);
  file.write(text);
  file.commit();
}

void measure_idle(MachineMeter& meter, const MeasureOptions& options, Energy& idle) {
  if (options.idle_seconds > 0 && !meter.sources().recorders.empty())
    idle = meter.measure_idle(options.idle_seconds);
}

/// An invalid window is no measurement. Its figures are written all the same, marked as they are.
void refuse_invalid(const MeterReport& report) {
  for (const Measurement& measurement : report.measurements) {
    for (const CommandRun& run : measurement.runs) {
      if (!run.energy.invalid.empty())
        throw Error(fmt::format("--require measured: {}: invalid window: {}", measurement.command.text(),
                                run.energy.invalid),
                    3);
    }
  }
}

/// Standard input for every run: a file is opened anew for each; what comes through a pipe is kept, where it
/// is known that there are several runs.
class Input {
 public:
  explicit Input(MeasureOptions& options, bool several, bool quiet) {
    struct stat about {};
    if (::fstat(STDIN_FILENO, &about) != 0) return;
    const off_t offset = S_ISREG(about.st_mode) ? ::lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
    if (S_ISREG(about.st_mode)) {
      options.streams.input = "/proc/self/fd/0";
      options.streams.input_offset = std::max<off_t>(0, offset);
    } else if (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode)) {
      options.may_repeat = several;
      if (several) keep(options, quiet);
    }
  }
  ~Input() {
    if (file_ >= 0) ::close(file_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

 private:
  void keep(MeasureOptions& options, bool quiet) {
    file_ = ::memfd_create("standard input", MFD_CLOEXEC);
    if (file_ < 0) fail("standard input cannot be kept for several runs ({})", std::strerror(errno));
    pollfd first{STDIN_FILENO, POLLIN, 0};
    if (!quiet && ::poll(&first, 1, 1000) == 0)
      fmt::print(stderr, "wattle: standard input is read to its end first, because every run gets it\n");
    char block[65536];
    ssize_t size = 0;
    while ((size = ::read(STDIN_FILENO, block, sizeof block)) != 0) {
      throw_if_interrupted();
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 || ::write(file_, block, static_cast<size_t>(size)) != size)
        fail("standard input cannot be kept for several runs ({})", std::strerror(errno));
    }
    options.streams.input = fmt::format("/proc/self/fd/{}", file_);
  }

  int file_ = -1;
};

void warn_of_idle(MeterReport& report) {
  for (const Energy* idle : {&report.idle_before, &report.idle_after}) {
    if (!idle->invalid.empty()) report.warnings.push_back("idle could not be measured: " + idle->invalid);
  }
  if (!(report.idle_before.seconds > 0 && report.idle_after.seconds > 0)) return;
  const double before = report.idle_before.joules / report.idle_before.seconds;
  const double after = report.idle_after.joules / report.idle_after.seconds;
  if (std::abs(after - before) > kIdleDrift * before) {
    report.warnings.push_back(
        fmt::format("idle power drifted from {:.3g} to {:.3g} W; net figures carry that", before, after));
  }
}

void write_files(const MeterReport& report, const MeterFlags& flags) {
  if (!flags.json.empty())
    write_text(flags.json,
               report_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  if (!flags.csv.empty()) write_text(flags.csv, report_csv(report));
  if (!flags.emissions.empty())
    write_text(flags.emissions, flags.emissions == "-"
                                    ? emissions_csv(report)
                                    : emissions_of(flags.emissions) + emissions_rows(report));
}

/// The status of the first command that failed is this program's.
void refuse_failures(const MeterReport& report, const MeasureOptions& options) {
  for (const Measurement& measurement : report.measurements) {
    if (measurement.status != 0 && !options.ignore_failure)
      throw Error(fmt::format("{}: {}; give --ignore-failure to go on and end with status 0",
                              measurement.command.text(), measurement.runs.back().problem),
                  measurement.status);
  }
}

MeasureOptions measure_options(const MeterFlags& flags, size_t commands, bool to_stdout, bool quiet) {
  MeasureOptions options = flags.measure;
  if (!flags.until_ci.empty()) options.until_ci = parse_share(flags.until_ci);
  if (options.runs == 0) options.runs = commands > 1 ? 5 : 1;
  options.streams.quiet = commands > 1 || options.runs > 1 || options.until_ci > 0 || to_stdout;
  if (!quiet) options.announce = [](const std::string& line) { fmt::print(stderr, "wattle: {}\n", line); };
  options.stop = [] { return SignalRelay::received() != 0; };
  return options;
}

void measure_all(MachineMeter& meter, const MeterFlags& flags, const std::vector<Command>& commands,
                 bool quiet) {
  MeterReport report;
  report.notice = meter.notice();
  report.footprint = footprint_of(flags, report.warnings);
  for (const std::string* path : {&flags.json, &flags.csv, &flags.emissions, &flags.samples}) {
    if (!path->empty() && *path != "-") OutputFile::check(*path);
  }
  if (!flags.emissions.empty() && flags.emissions != "-") emissions_of(flags.emissions);
  const bool to_stdout =
      flags.json == "-" || flags.csv == "-" || flags.emissions == "-" || flags.samples == "-";
  MeasureOptions options = measure_options(flags, commands.size(), to_stdout, quiet);
  const Input input(
      options, commands.size() > 1 || options.runs > 1 || options.until_ci > 0 || options.warmup > 0, quiet);
  std::optional<Samples> samples;
  if (!flags.samples.empty()) samples.emplace(meter);
  if (samples && meter.sources().recorders.empty())
    report.warnings.push_back("--samples: there is nothing to sample, because energy is modelled");
  const double start_time = meter.machine().now();
  measure_idle(meter, options, report.idle_before);
  throw_if_interrupted();
  {
    const SignalRelay relay;
    const LiveView live(meter, flags.live && !quiet && options.streams.quiet && ::isatty(STDERR_FILENO) != 0);
    report.measurements = measure_commands(meter, commands, options);
    report.signal = SignalRelay::received();
  }
  if (report.measurements.empty()) throw Error("interrupted before the first run ended", 128 + report.signal);
  if (report.signal != 0) {
    report.warnings.push_back(fmt::format("signal {} ({}) was passed on and ended the measurement",
                                          report.signal, ::strsignal(report.signal)));
  } else {
    measure_idle(meter, options, report.idle_after);
  }
  warn_of_idle(report);
  report.comparisons = compare(report.measurements);
  report.own.elapsed_seconds = meter.machine().now() - start_time;
  report.own.cpu_seconds = meter.own_cpu_seconds();
  const PowerProfile own_profile = find_profile(describe_processor(meter.machine()));
  report.own.joules = report.own.cpu_seconds * own_profile.full_watts_per_thread.value;
  for (const Measurement& measurement : report.measurements) {
    for (const std::string& warning : measurement.warnings) report.warnings.push_back(warning);
  }
  if (!flags.emissions.empty() && std::any_of(report.measurements.begin(), report.measurements.end(),
                                              [](const Measurement& m) { return !m.energy.invalid.empty(); }))
    report.warnings.push_back(
        "--emissions: invalid windows have no row, for the format has no place for doubt");
  write_files(report, flags);
  if (samples) write_text(flags.samples, samples->csv());
  if (!to_stdout) print_report(report);
  std::fflush(stdout);
  if (!quiet) {
    for (const std::string& warning : report.warnings) fmt::print(stderr, "wattle: warning: {}\n", warning);
  }
  refuse_failures(report, options);
  if (report.signal != 0 && !options.ignore_failure)
    throw Error("ended by a signal; what was measured until then is reported", 128 + report.signal);
  if (flags.meter.require_measured) refuse_invalid(report);
}

void run_meter(MeterFlags flags, bool quiet) {
  if (!flags.require.empty()) {
    if (flags.require != "measured") fail("--require {}: only \"measured\" can be required", flags.require);
    flags.meter.require_measured = true;
  }
  flags.meter.gpu = !flags.no_gpu;
  const std::vector<Command> commands = commands_of(flags.words, flags.lines);
  const bool attach = flags.pid != 0 || !flags.cgroup.empty();
  if (commands.empty() && !flags.watch && flags.port == 0 && !attach) {
    fail(
        "wattle meter: nothing to measure; give a command after --, or --pid, --cgroup, --watch or "
        "--prometheus PORT");
  }
  if (attach && !commands.empty())
    fail("--pid and --cgroup measure what runs already; leave the command out");
  if (attach && flags.pid != 0 && !flags.cgroup.empty())
    fail("--pid {}: --cgroup was given too; choose one", flags.pid);
  MachineMeter meter(open_machine(flags.meter.root), flags.meter, true);
  if (!quiet && !meter.notice().empty()) fmt::print(stderr, "wattle: {}\n", meter.notice());
  if (flags.port != 0) {
    serve_metrics(meter, flags.host, flags.port);
  } else if (flags.watch) {
    if (flags.measure.idle_seconds > 0) meter.measure_idle(flags.measure.idle_seconds);
    watch_machine(meter, {flags.interval, flags.rounds, flags.processes, !flags.json.empty(), quiet});
  } else if (attach) {
    measure_running(meter, {flags.pid, flags.cgroup, flags.for_seconds, flags.json});
  } else {
    measure_all(meter, flags, commands, quiet);
  }
}

void add_calibrate(CLI::App& verb) {
  struct Flags {
    MeterOptions meter;
    std::string output = "profile.yaml";
    double seconds = 3;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = verb.add_subcommand(
      "calibrate",
      "Fit the modelled source where counters exist, and write a profile for twins that have none");
  sub->add_option("--output,-o", flags->output, "profile to write")->capture_default_str();
  sub->add_option("--seconds", flags->seconds, "seconds of each load")
      ->check(CLI::Range(0.2, 600.0))
      ->capture_default_str();
  sub->add_option("--source", flags->meter.source, "counter to fit to: " + source_names());
  sub->callback([flags] {
    flags->meter.require_measured = true;
    MachineMeter meter(open_machine(flags->meter.root), flags->meter, true);
    const PowerProfile profile = calibrate(meter, flags->seconds);
    OutputFile file(flags->output);
    file.write(to_yaml(profile));
    file.commit();
    fmt::print(
        "idle {:.3f} W a thread ({:.3f} to {:.3f}), full load {:.3f} W a thread ({:.3f} to {:.3f}): {}\n",
        profile.idle_watts_per_thread.value, profile.idle_watts_per_thread.low,
        profile.idle_watts_per_thread.high, profile.full_watts_per_thread.value,
        profile.full_watts_per_thread.low, profile.full_watts_per_thread.high, flags->output);
  });
}

void add_validate(CLI::App& verb) {
  auto folder = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* sub = verb.add_subcommand(
      "validate", "Check the power laws against published watts, each processor family left out of the fit");
  sub->add_option("DIR", *folder, "folder with specpower.csv, rapl_load.csv and tdp.csv")->required();
  sub->add_flag("--json", *json, "figures as JSON");
  sub->callback([folder, json] { fmt::print("{}", validation_text(validate_power_laws(*folder), *json)); });
}

void add_fit(CLI::App& verb) {
  auto folder = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>("server_power.yaml");
  CLI::App* sub =
      verb.add_subcommand("fit", "Fit the modelled source to published watts: data/server_power.yaml");
  sub->add_option("DIR", *folder, "folder with specpower.csv, rapl_load.csv and tdp.csv")->required();
  sub->add_option("--output,-o", *output, "file to write")->capture_default_str();
  sub->callback([folder, output] { write_text(*output, to_yaml(fit_server_power(*folder))); });
}

/// What a figure is multiplied by: carbon, water, money.
void add_consequence_flags(CLI::App& verb, MeterFlags& flags) {
  verb.add_option("--zone", flags.zone,
                  "where the electricity comes from: FRA, aws:eu-west-3; never guessed");
  verb.add_option("--hourly", flags.hourly,
                  "CSV of hour,grams CO2e a kWh in place of the zone's yearly figure");
  verb.add_option("--pue", flags.pue, "power usage effectiveness of the building")
      ->check(number_of_at_least(1));
  verb.add_option("--wue", flags.wue, "litres of water a kWh")->check(number_of_at_least(0));
  verb.add_option("--price", flags.price, "price of a kWh")->check(number_of_at_least(0));
  verb.add_option("--embodied", flags.embodied, "kg CO2e of making the machine: low and high")
      ->expected(2)
      ->check(number_of_at_least(0));
  verb.add_option("--lifetime", flags.lifetime, "years that the machine is used")->check(number_above(0));
}

}  // namespace

void add_meter(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb = app.add_subcommand("meter", "Joules of any program, with source, grade and interval");
  auto flags = std::make_shared<MeterFlags>();
  verb->add_option("COMMAND", flags->words,
                   "lines for the shell; or one command after -- (several with --vs between them)");
  verb->add_option("--command", flags->lines, "line for the shell; repeat it to compare several")
      ->allow_extra_args(false);
  verb->add_option("--pid", flags->pid, "a process that runs already, with its descendants, until it ends")
      ->check(CLI::Range(1, 1 << 30));
  verb->add_option("--cgroup", flags->cgroup,
                   "a control group that runs already: its path below /sys/fs/cgroup");
  verb->add_option("--for", flags->for_seconds,
                   "seconds after which --pid and --cgroup end (default: Ctrl-C)")
      ->check(number_above(0));
  verb->add_option("--source", flags->meter.source, "force a source: " + source_names());
  verb->add_option("--root", flags->meter.root,
                   "look for /sys, /proc and /dev below this directory (a simulated machine)");
  verb->add_option("--profile", flags->meter.profile, "family or file of parameters for the modelled source");
  verb->add_option(
      "--server", flags->meter.server,
      "facts of the server for the modelled source: tdp=360,chips=2,memory=768,threads=256,year=2024");
  verb->add_option("--require", flags->require, "\"measured\": exit with status 3 rather than model");
  verb->add_flag("--no-gpu", flags->no_gpu, "leave graphics processors out");
  verb->add_option("--warmup", flags->measure.warmup, "runs before the first that counts")
      ->check(CLI::Range(0, 1000000));
  verb->add_option("--runs", flags->measure.runs, "runs of each command (default 1; 5 for several commands)")
      ->check(at_least_one());
  verb->add_option("--until-ci", flags->until_ci,
                   "run until the 95 % interval of the mean is this narrow, for example 2%");
  verb->add_option("--prepare", flags->measure.prepare, "line for the shell before each run, not measured");
  verb->add_option("--idle", flags->measure.idle_seconds,
                   "seconds of idle measured before and after; 0: none")
      ->check(number_of_at_least(0));
  verb->add_flag("--ignore-failure", flags->measure.ignore_failure,
                 "take commands that end with another status than 0, and end with 0");
  verb->add_option("--json", flags->json, "write JSON to a file (or - for standard output, the default)")
      ->expected(0, 1)
      ->default_str("-");
  verb->add_option("--csv", flags->csv, "write a row a run to a file, or -");
  verb->add_option("--emissions", flags->emissions, "append rows to CodeCarbon's emissions.csv, or -");
  verb->add_option("--samples", flags->samples,
                   "write every reading of every zone as CSV, to compute the figures again");
  add_consequence_flags(*verb, *flags);
  verb->add_flag("--live", flags->live, "show power over time while commands run (terminal)");
  verb->add_flag("--watch", flags->watch, "the whole machine and its processes, until Ctrl-C");
  verb->add_option("--interval", flags->interval, "seconds between two rounds of --watch")
      ->check(CLI::Range(0.1, 86400.0));
  verb->add_option("--rounds", flags->rounds, "end --watch after so many rounds")->check(at_least_one());
  verb->add_option("--processes", flags->processes, "processes that --watch lists")
      ->check(CLI::Range(0, 1000000));
  verb->add_option("--prometheus", flags->port, "serve /metrics (OpenMetrics) on this port")
      ->check(CLI::Range(1, 65535));
  verb->add_option("--host", flags->host, "address that --prometheus listens on");
  add_calibrate(*verb);
  add_validate(*verb);
  add_fit(*verb);
  verb->footer(
      "Examples:\n  wattle meter -- make -j2\n  wattle meter --runs 10 'gzip -k f' 'zstd -k f'\n"
      "  wattle meter -- gzip -k f --vs zstd -k f\n"
      "  wattle meter --until-ci 2% --json - -- ./program --flag\n  wattle meter --pid 1234 --for 60\n"
      "  wattle meter --watch\n"
      "  wattle meter --source shelly:192.168.1.20 --zone FRA -- ./program");
  verb->callback([verb, flags, &options] {
    if (verb->get_subcommands().empty()) run_meter(*flags, options.quiet);
  });
}

}  // namespace wattle
