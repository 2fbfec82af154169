#include "cli/study_session.h"

#include <algorithm>
#include <charconv>

#include <unistd.h>

#include "base/output_file.h"
#include "cli/live_table.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "pull/catalogue.h"
#include "report/report.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  return whole < 90 ? fmt::format("{} s", whole) : fmt::format("{} min {:02} s", whole / 60, whole % 60);
}

/// A bar on a terminal; elsewhere one plain line for each step.
class Progress {
 public:
  explicit Progress(bool quiet) : bar_(quiet), lines_(!quiet && isatty(STDERR_FILENO) == 0) {}

  void operator()(const StudyProgress& progress) {
    const std::string left =
        progress.seconds_left < 0 ? "" : ", " + duration(progress.seconds_left) + " left";
    if (lines_) fmt::print(stderr, "[{}/{}] {}{}\n", progress.done, progress.total, progress.what, left);
    bar_(progress.what + left, static_cast<size_t>(progress.done), static_cast<size_t>(progress.total),
         false);
  }

 private:
  ProgressBar bar_;
  bool lines_;
};

void write_file(const fs::path& path, const std::string& text) {
  OutputFile file(path);
  file.write(text);
  file.commit();
}

/// A number and the unit after it; Error when there is no number.
std::pair<double, std::string> split_unit(const std::string& text, const std::string& flag,
                                          const char* example) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || !(value > 0))
    fail("{} must be a positive amount such as {}, not \"{}\"", flag, example, text);
  std::string unit(end, text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' '));
  return {value, unit};
}

}  // namespace

void print_lines(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) fmt::print("{}\n", line);
}

fs::path default_directory(const std::string& name) {
  std::string safe;
  for (const char c : name)
    safe += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' ? c : '-';
  return safe + ".study";
}

Results results_of(const fs::path& path, const GlobalOptions& options) {
  Results results = load_results(path);
  if (results.complete) return results;
  summarise(results);
  if (!options.quiet) {
    fmt::print(stderr, "{}: this study is not finished; the command that began it goes on with it\n",
               path.string());
  }
  return results;
}

double parse_milliseconds(const std::string& text, const std::string& flag) {
  const auto [value, unit] = split_unit(text, flag, "200ms");
  if (unit.empty() || unit == "ms") return value;
  if (unit == "s") return 1000 * value;
  fail("{} takes ms or s, not \"{}\"; write for example 200ms", flag, unit);
}

double parse_seconds(const std::string& text, const std::string& flag) {
  const auto [value, unit] = split_unit(text, flag, "10min");
  for (const auto& [name, factor] : {std::pair{"", 1.0}, {"s", 1.0}, {"min", 60.0}, {"h", 3600.0}}) {
    if (unit == name) return value * factor;
  }
  fail("{} takes s, min or h, not \"{}\"; write for example 10min", flag, unit);
}

double parse_percent(const std::string& text, const std::string& flag) {
  const auto [value, unit] = split_unit(text, flag, "10%");
  if (unit == "%") return value / 100;
  if (unit.empty() && value <= 1) return value;
  fail("{} takes a share, not \"{}\"; write for example 10%", flag, text);
}

int64_t parse_bytes(const std::string& text, const std::string& flag) {
  const auto [value, unit] = split_unit(text, flag, "2GB");
  for (const auto& [name, factor] :
       {std::pair{"B", 1.0}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"MiB", 0x1p20}, {"GiB", 0x1p30}}) {
    if (unit == name) return static_cast<int64_t>(value * factor);
  }
  fail("{} needs a unit: B, kB, MB, GB, MiB or GiB, for example 2GB", flag);
}

namespace {

StudyOptions study_options(const fs::path& directory, const SessionOptions& session,
                           const GlobalOptions& options) {
  StudyOptions study;
  study.directory = directory;
  study.program = fs::read_symlink("/proc/self/exe");
  study.isa = options.isa;
  study.restart = session.restart;
  study.race = session.race;
  study.resolve_model = [](const std::string& name) { return model_path(name); };
  study.resolve_data = [](const std::string& name) { return data_path(name); };
  if (!options.quiet) {
    const char* begin = isatty(STDERR_FILENO) == 0 ? "" : "\r\033[K";
    study.notice = [begin](const std::string& line) { fmt::print(stderr, "{}{}\n", begin, line); };
  }
  return study;
}

Results run_with_progress(const Plan& plan, const fs::path& directory, const SessionOptions& session,
                          const GlobalOptions& options) {
  StudyOptions study = study_options(directory, session, options);
  if (session.race && !options.quiet && !session.json && LiveTable::fits()) {
    LiveTable live(session.race->seconds);
    study.notice = [&](const std::string& line) { live.notice(line); };
    study.progress = [&](const StudyProgress& now) { live.doing(now); };
    study.measured = [&](const Results& results) { live.measured(results); };
    return run_study(plan, study);
  }
  Progress progress(options.quiet);
  study.progress = [&](const StudyProgress& now) { progress(now); };
  return run_study(plan, study);
}

void print_json(const Results& results, const std::optional<Requirements>& wanted,
                const fs::path& directory) {
  nlohmann::ordered_json whole{{"study", directory.string()},
                               {"report", (directory / "report.html").string()},
                               {"task", results.plan.task},
                               {"cells", nlohmann::ordered_json::parse(json(results))}};
  if (results.race) {
    whole["race"] = {{"rounds", results.race->rounds},
                     {"decided", results.race->decided},
                     {"ended", results.race->ended},
                     {"out_of_time", results.race->out_of_time}};
  }
  whole["advice"] = wanted ? to_json(results, *wanted, advise(results, *wanted)) : nullptr;
  fmt::print("{}\n", whole.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void print_text(const Results& results, const std::optional<Requirements>& wanted,
                const fs::path& directory) {
  fmt::print("{}\nReport: {}\n", table(results, isatty(STDOUT_FILENO) != 0),
             (directory / "report.html").string());
  if (!wanted) return;
  fmt::print("\n");
  print_lines(summary(results, *wanted, advise(results, *wanted)));
}

}  // namespace

void run_and_report(const Plan& plan, const fs::path& directory, const SessionOptions& session,
                    const GlobalOptions& options) {
  const Results results = run_with_progress(plan, directory, session, options);
  write_file(directory / "report.html", html(results));
  write_file(directory / "report.csv", csv(results));
  write_file(directory / "report.json", json(results));
  std::optional<Requirements> wanted;
  if (plan.quality) {
    wanted.emplace();
    wanted->quality = plan.quality, wanted->within = session.within;
  }
  session.json ? print_json(results, wanted, directory) : print_text(results, wanted, directory);
  if (std::ranges::none_of(results.cells, [](const CellResult& cell) { return cell.error.empty(); })) {
    throw Error(fmt::format("{}: every rung failed; the report says why", directory.string()), 1);
  }
}

}  // namespace wattle
