#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "base/output_file.h"
#include "cli/paths.h"
#include "cli/study_session.h"
#include "data/files.h"
#include "data/labelled_rows.h"
#include "pull/catalogue.h"
#include "report/race.h"
#include "study/scoring.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string data, train, text = "text", label = "label", out;
  std::vector<std::string> metrics{"accuracy", "macro_f1"};
  std::optional<double> quality;
  std::string within = "10%", time = "10min";
  bool plan_only = false, restart = false, json = false;
};

bool is_there(const std::string& model) {
  try {
    return fs::exists(model_path(model));
  } catch (const Error&) {
    return false;
  }
}

std::string prompt_for(const std::vector<std::string>& labels) {
  return fmt::format(
      "Which of these labels fits the text: {}?\n\nText: {{text}}\n\nAnswer with the label alone.",
      fmt::join(labels, ", "));
}

/// The ladder from free to costly, of the models that were pulled. A language model is only asked where its
/// labels are few: the likelihood of each is computed for every row.
std::vector<Rung> sensible_rungs(const std::vector<std::string>& labels) {
  constexpr size_t kMostLabelsToAsk = 10;
  std::vector<Rung> rungs;
  for (const RungKind kind :
       {RungKind::kMajority, RungKind::kKeywords, RungKind::kLinear, RungKind::kForest}) {
    Rung& rung = rungs.emplace_back();
    rung.kind = kind;
    rung.name = name(kind);
  }
  const std::string encoder = "all-minilm-l6-v2", decoder = "smollm2-135m-instruct";
  if (is_there(encoder)) {
    Rung& rung = rungs.emplace_back();
    rung.kind = RungKind::kHead;
    rung.name = rung.model = encoder;
    rung.precisions = {"F32", "Q8_0", "Q6_K", "Q4_0"};
  }
  if (is_there(decoder) && labels.size() <= kMostLabelsToAsk) {
    Rung& rung = rungs.emplace_back();
    rung.kind = RungKind::kZeroShot;
    rung.name = rung.model = decoder;
    rung.precisions = {"as-published"};
    rung.prompt = prompt_for(labels);
  }
  return rungs;
}

/// Short windows: the first table is wanted soon, and a race has as many rounds as it needs.
void set_pace(Plan& plan, int64_t rows) {
  constexpr double kRowsWanted = 200, kLeastShare = 0.2, kGreatestShare = 0.4, kRowsOfARound = 80;
  // Of few rows more are asked: the doubt about quality is what decides least.
  plan.eval_share = std::clamp(kRowsWanted / static_cast<double>(rows), kLeastShare, kGreatestShare);
  const double asked =
      std::min(static_cast<double>(plan.max_eval),
               plan.data.empty() ? static_cast<double>(rows) : plan.eval_share * static_cast<double>(rows));
  plan.rounds = static_cast<int>(std::clamp(std::ceil(asked / kRowsOfARound), 5.0, 12.0));
  plan.window_seconds = 0.3;
  plan.warm_up_seconds = 0.6;
  plan.attempts = 1;
}

Plan plan_for(const Flags& flags) {
  LabelledOptions options;
  options.text_field = flags.text;
  options.label_field = flags.label;
  options.text_flag = "--text";
  const fs::path path = resolve_data(flags.data, cache_directory());
  Plan plan;
  plan.name = fs::path(flags.data).stem().string();
  const std::string data =
      fs::exists(flags.data) ? fs::absolute(flags.data).lexically_normal().string() : flags.data;
  if (flags.train.empty()) {
    plan.data = data;
  } else {
    plan.train_data = fs::absolute(flags.train).lexically_normal().string();
    plan.eval_data = data;
  }
  plan.text = flags.text;
  plan.label = flags.label;
  for (const std::string& metric : flags.metrics) metric_for(plan_task(plan), metric);
  plan.metrics = flags.metrics;
  plan.quality = flags.quality;
  const LabelledRows rows = read_labelled_rows(find_data_files(path).eval, options);
  // Beyond these counts more rows cost minutes and move the intervals little.
  plan.max_train = 4000;
  plan.max_eval = 1000;
  set_pace(plan, static_cast<int64_t>(rows.rows.size()));
  plan.rungs = sensible_rungs(rows.label_names);
  return plan;
}

}  // namespace

void add_compare(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb =
      app.add_subcommand("compare", "Your own labelled data on sensible rungs of the ladder, in one table");
  const auto flags = std::make_shared<Flags>();
  verb->add_option(
          "--data", flags->data,
          "labelled rows: .csv, .tsv, .jsonl or .json, a folder with eval.jsonl, or a catalogue name")
      ->required();
  verb->add_option("--train", flags->train, "training rows; without, --data is split by hash of the text");
  verb->add_option("--text", flags->text, "field of the text")->capture_default_str();
  verb->add_option("--label", flags->label, "field of the label")->capture_default_str();
  verb->add_option("--metric", flags->metrics, "metrics, the one that decides first")->capture_default_str();
  verb->add_option("--quality", flags->quality, "bar for the advice, for example 0.90")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option("--within", flags->within,
                   "energies that differ by less are taken as equal, for example 5%")
      ->capture_default_str();
  verb->add_option("--time", flags->time, "no further round after so long, for example 90s or 1h")
      ->capture_default_str();
  verb->add_option("--out", flags->out, "directory of plan and results (default: NAME.study)");
  verb->add_flag("--plan-only", flags->plan_only, "write the plan and stop");
  verb->add_flag("--restart", flags->restart, "measure everything again instead of going on");
  verb->add_flag("--json", flags->json, "figures, race and advice as one JSON object");
  verb->footer(
      "All rungs race: after every round those that cannot win any more stop, and it ends when the advice is "
      "decided, when only more rows would decide it, or when the time is up. The same command goes on with "
      "a race that was interrupted.\n\n"
      "Examples:\n"
      "  wattle compare --data mine.csv --text message --label kind\n"
      "  wattle compare --data mine.csv --text message --label kind --plan-only --out mine");
  verb->callback([flags, &options] {
    Plan plan = plan_for(*flags);
    if (options.threads > 0) plan.threads = options.threads;
    const fs::path directory = flags->out.empty() ? default_directory(plan.name) : fs::path(flags->out);
    std::error_code code;
    fs::create_directories(directory, code);
    if (code)
      fail("{}: cannot be made ({}); give another directory with --out", directory.string(), code.message());
    const fs::path path = directory / "plan.yaml";
    OutputFile file(path);
    file.write(to_yaml(plan));
    file.commit();
    if (flags->plan_only) {
      fmt::print("{}\n", path.string());
      return;
    }
    SessionOptions session{.restart = flags->restart, .json = flags->json};
    session.within = parse_percent(flags->within, "--within");
    RaceOptions race;
    race.quality = plan.quality, race.within = session.within;
    session.race = race_rules(race, parse_seconds(flags->time, "--time"));
    run_and_report(plan, directory, session, options);
  });
}

}  // namespace wattle
