#include <unistd.h>

#include <atomic>
#include <cmath>
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
  std::vector<std::string> words;
  MeterOptions meter;
  MeasureOptions measure;
  std::string require, until_ci, zone, hourly, json, csv, emissions, samples;
  double pue = 1, wue = -1, price = -1, lifetime = 4, interval = 1;
  std::vector<double> embodied;
  bool watch = false, live = false, no_gpu = false;
  int rounds = 0, processes = 10, port = 0;
  std::string host = "127.0.0.1";
};

/// Everything after the first "--" on the command line is one command, or several with "--" between them;
/// without a
/// "--" each word is a line for the shell.
std::vector<Command> commands_of(const std::vector<std::string>& words) {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string line((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::string> given;
  for (size_t at = 0; at < line.size();) {
    given.push_back(line.substr(at, line.find('\0', at) - at));
    at += given.back().size() + 1;
  }
  std::vector<Command> commands;
  const auto mark = std::find(given.begin(), given.end(), "--");
  if (mark == given.end()) {
    for (const std::string& word : words) commands.push_back({{word}, true});
    return commands;
  }
  commands.emplace_back();
  for (auto word = mark + 1; word != given.end(); ++word) {
    if (*word == "--") {
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

void measure_all(MachineMeter& meter, const MeterFlags& flags, std::vector<Command> commands, bool quiet) {
  MeterReport report;
  report.notice = meter.notice();
  report.footprint = footprint_of(flags, report.warnings);
  MeasureOptions options = flags.measure;
  if (!flags.until_ci.empty()) options.until_ci = parse_share(flags.until_ci);
  if (options.runs == 0) options.runs = commands.size() > 1 ? 5 : 1;
  for (const std::string* path : {&flags.json, &flags.csv, &flags.emissions, &flags.samples}) {
    if (!path->empty() && *path != "-") OutputFile::check(*path);
  }
  const bool to_stdout =
      flags.json == "-" || flags.csv == "-" || flags.emissions == "-" || flags.samples == "-";
  options.quiet = commands.size() > 1 || options.runs > 1 || options.until_ci > 0 || to_stdout;
  if (!quiet) options.announce = [](const std::string& line) { fmt::print(stderr, "wattle: {}\n", line); };
  std::optional<Samples> samples;
  if (!flags.samples.empty()) samples.emplace(meter);
  if (samples && meter.sources().recorders.empty())
    report.warnings.push_back("--samples: there is nothing to sample, because energy is modelled");
  const double start_time = meter.machine().now();
  measure_idle(meter, options, report.idle_before);
  {
    const LiveView live(meter, flags.live && !quiet && options.quiet && ::isatty(STDERR_FILENO) != 0);
    for (const Command& command : commands)
      report.measurements.push_back(measure_command(meter, command, options));
  }
  measure_idle(meter, options, report.idle_after);
  for (const Energy* idle : {&report.idle_before, &report.idle_after}) {
    if (!idle->invalid.empty()) report.warnings.push_back("idle could not be measured: " + idle->invalid);
  }
  if (report.idle_before.seconds > 0 && report.idle_after.seconds > 0) {
    const double before = report.idle_before.joules / report.idle_before.seconds;
    const double after = report.idle_after.joules / report.idle_after.seconds;
    if (std::abs(after - before) > kIdleDrift * before) {
      report.warnings.push_back(
          fmt::format("idle power drifted from {:.3g} to {:.3g} W; net figures carry that", before, after));
    }
  }
  report.verdicts = verdicts_of(report.measurements);
  report.own.elapsed_seconds = meter.machine().now() - start_time;
  report.own.cpu_seconds = meter.own_cpu_seconds();
  const PowerProfile own_profile = find_profile(describe_processor(meter.machine()));
  report.own.joules = report.own.cpu_seconds * own_profile.full_watts_per_thread.value;
  for (Measurement& measurement : report.measurements) {
    for (const std::string& warning : measurement.warnings) report.warnings.push_back(warning);
  }
  if (!flags.json.empty())
    write_text(flags.json,
               report_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  if (!flags.csv.empty()) write_text(flags.csv, report_csv(report));
  if (!flags.emissions.empty() && std::any_of(report.measurements.begin(), report.measurements.end(),
                                              [](const Measurement& m) { return !m.energy.invalid.empty(); }))
    report.warnings.push_back(
        "--emissions: invalid windows have no row, for the format has no place for doubt");
  if (!flags.emissions.empty()) write_text(flags.emissions, emissions_csv(report));
  if (samples) write_text(flags.samples, samples->csv());
  if (!to_stdout) print_report(report);
  if (!quiet) {
    for (const std::string& warning : report.warnings) fmt::print(stderr, "wattle: warning: {}\n", warning);
  }
  if (flags.meter.require_measured) refuse_invalid(report);
}

void run_meter(MeterFlags flags, bool quiet) {
  if (!flags.require.empty()) {
    if (flags.require != "measured") fail("--require {}: only \"measured\" can be required", flags.require);
    flags.meter.require_measured = true;
  }
  flags.meter.gpu = !flags.no_gpu;
  std::vector<Command> commands = commands_of(flags.words);
  if (commands.empty() && !flags.watch && flags.port == 0) {
    fail("wattle meter: nothing to measure; give a command after --, or --watch, or --prometheus PORT");
  }
  MachineMeter meter(open_machine(flags.meter.root), flags.meter, true);
  if (!quiet && !meter.notice().empty()) fmt::print(stderr, "wattle: {}\n", meter.notice());
  if (flags.port != 0) {
    serve_metrics(meter, flags.host, flags.port);
  } else if (flags.watch) {
    if (flags.measure.idle_seconds > 0) meter.measure_idle(flags.measure.idle_seconds);
    watch_machine(meter, {flags.interval, flags.rounds, flags.processes, !flags.json.empty(), quiet});
  } else {
    measure_all(meter, flags, std::move(commands), quiet);
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
                   "lines for the shell; or one command (or several, -- between them) after --");
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
                 "take commands that end with another status than 0");
  verb->add_option("--json", flags->json, "write JSON to a file (or - for standard output, the default)")
      ->expected(0, 1)
      ->default_str("-");
  verb->add_option("--csv", flags->csv, "write a row a run to a file, or -");
  verb->add_option("--emissions", flags->emissions, "write CodeCarbon's emissions.csv to a file, or -");
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
      "  wattle meter --until-ci 2% --json - -- ./program --flag\n  wattle meter --watch\n"
      "  wattle meter --source shelly:192.168.1.20 --zone FRA -- ./program");
  verb->callback([verb, flags, &options] {
    if (verb->get_subcommands().empty()) run_meter(*flags, options.quiet);
  });
}

}  // namespace wattle
