#include <memory>

#include "base/output_file.h"
#include "cli/compare_plan.h"
#include "cli/help.h"
#include "cli/study_session.h"
#include "report/race.h"
#include "study/plan_task.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

struct Flags : CompareFlags {
  std::string out, within = "10%", time = "10min";
  std::vector<std::string> parts;  ///< PART=COLUMN
  std::optional<double> margin;
  bool plan_only = false, restart = false, json = false;
};

std::string task_list() {
  std::vector<std::string_view> names;
  for (const PlanTask& task : plan_tasks()) names.push_back(task.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

void add_data_flags(CLI::App& verb, Flags& flags) {
  verb.add_option("--data", flags.data,
                  "rows: .csv, .tsv, .jsonl or .json, a folder with eval.jsonl, or a catalogue name")
      ->required();
  verb.add_option("--train", flags.train, "training rows; without, --data is split by hash of the text");
  verb.add_option("--task", flags.task, "what is asked: " + task_list() + " (default: what the columns say)");
  verb.add_option("--text", flags.text, "column of the text");
  verb.add_option("--label", flags.label, "column of the label; of a table: what is to be told");
  verb.add_option("--field", flags.parts,
                  "another part of a row and its column, as reference=abstract (docs/study.md)")
      ->allow_extra_args(false);
  verb.add_option("--rows", flags.rows, "evaluation rows at most, drawn by the plan's seed")
      ->check(at_least_one());
}

void add_rung_flags(CLI::App& verb, Flags& flags) {
  verb.add_option("--model", flags.models,
                  "a model that competes, in place of those that were pulled; may be given several times")
      ->allow_extra_args(false);
  verb.add_option("--precisions", flags.precisions, "of every model, for example F32,Q8_0,Q4_K")
      ->delimiter(',');
  verb.add_option("--from", flags.from, "translate: language of the texts");
  verb.add_option("--to", flags.to, "translate: language of the answers");
}

void add_race_flags(CLI::App& verb, Flags& flags) {
  verb.add_option("--metric", flags.metrics, "metrics, the one that decides first (default: the task's)");
  auto* quality = verb.add_option("--quality", flags.quality,
                                  "bar for the advice, in the first metric's numbers, for example 0.90");
  verb.add_option("--margin", flags.margin,
                  "without a bar: values that differ by less are equal, for example 0.01")
      ->check(CLI::NonNegativeNumber)
      ->excludes(quality);
  verb.add_option("--within", flags.within, "energies that differ by less are taken as equal, for example 5%")
      ->capture_default_str();
  verb.add_option("--time", flags.time, "no further round after so long, for example 90s or 1h")
      ->capture_default_str();
}

void read_parts(Flags& flags) {
  for (const std::string& part : flags.parts) {
    const size_t equals = part.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == part.size())
      fail("--field {}: is no PART=COLUMN; write for example --field reference=abstract", part);
    flags.fields[part.substr(0, equals)] = part.substr(equals + 1);
  }
}

fs::path directory_of(const Flags& flags, const Plan& plan) {
  const fs::path directory = flags.out.empty() ? default_directory(plan.name) : fs::path(flags.out);
  std::error_code code;
  fs::create_directories(directory, code);
  if (code)
    fail("{}: cannot be made ({}); give another directory with --out", directory.string(), code.message());
  return directory;
}

SessionOptions session_of(const Flags& flags) {
  SessionOptions session{.restart = flags.restart, .json = flags.json};
  session.within = parse_percent(flags.within, "--within");
  RaceOptions race;
  race.quality = flags.quality, race.within = session.within;
  if (flags.margin) race.margin = *flags.margin;
  session.race = race_rules(race, parse_seconds(flags.time, "--time"));
  return session;
}

void compare(Flags& flags, const GlobalOptions& options) {
  read_parts(flags);
  const SessionOptions session = session_of(flags);
  ComparePlan made = make_compare_plan(flags);
  if (options.threads > 0) made.plan.threads = options.threads;
  const fs::path directory = directory_of(flags, made.plan);
  const fs::path path = directory / "plan.yaml";
  OutputFile file(path);
  file.write(to_yaml(made.plan));
  file.commit();
  if (!options.quiet) {
    for (const std::string& note : made.notes) fmt::print(stderr, "{}: {}\n", flags.data, note);
  }
  if (flags.plan_only) {
    fmt::print("{}\n", path.string());
    return;
  }
  run_and_report(made.plan, directory, session, options);
}

}  // namespace

void add_compare(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb =
      app.add_subcommand("compare", "Your own data on sensible rungs of the ladder, in a race, in one table");
  const auto flags = std::make_shared<Flags>();
  add_data_flags(*verb, *flags);
  add_rung_flags(*verb, *flags);
  add_race_flags(*verb, *flags);
  verb->add_option("--out", flags->out, "directory of plan and results (default: NAME.study)");
  verb->add_flag("--plan-only", flags->plan_only, "write the plan and stop");
  verb->add_flag("--restart", flags->restart, "measure everything again instead of going on");
  verb->add_flag("--json", flags->json, "figures, race and advice as one JSON object");
  verb->footer(
      "All rungs race: after every round those that cannot win any more stop. The race ends when the advice "
      "is "
      "decided, when only more rows would decide it, or when the time is up. A race that was interrupted "
      "goes on "
      "when the same command is given again (docs/compare.md).\n\n"
      "Examples:\n"
      "  wattle compare --data mine.csv\n"
      "  wattle compare --data mine.csv --text message --label kind --quality 0.9\n"
      "  wattle compare --data wine.csv --task table --label quality\n"
      "  wattle compare --data pairs.jsonl --task similarity --model all-minilm-l6-v2\n"
      "  wattle compare --data news.jsonl --task summarise --field reference=abstract --rows 40\n"
      "  wattle compare --data mine.csv --plan-only --out mine");
  verb->callback([flags, &options] { compare(*flags, options); });
}

}  // namespace wattle
