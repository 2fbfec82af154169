#include <functional>
#include <memory>

#include <wattle/error.h>

#include "cli/hub_settings.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/study_session.h"
#include "pull/catalogue.h"
#include "pull/pull.h"
#include "pull/repository.h"

namespace wattle {
namespace {

struct Flags {
  std::string plan, out, data, data_root, weights = "shapes";
  int rounds = 0;
  bool quick = false, restart = false;
};

/// Brings published weights, where they are not here yet and the hub may be asked.
void pull_weights(const std::string& name, const GlobalOptions& options) {
  PullOptions pulling;
  pulling.cache = cache_directory();
  pulling.hub = hub_is_off() ? "" : hub_endpoint();
  pulling.token = hub_token();
  pulling.hub_cache = hub_cache_directory();
  ProgressBar progress(options.quiet);
  pulling.progress = std::ref(progress);
  const auto repository = repository_from_text(name);
  if (!repository || is_in_catalogue(name)) {
    pull_model(catalogue_entry(name), pulling);
  } else if (!hub_is_off()) {
    pull_repository(*repository, pulling);
  }
}

/// The models of the hub in the plan's shapes' places. One that cannot be had is the error of its cells.
void take_weights_of_hub(Plan& plan, const GlobalOptions& options) {
  std::vector<std::string> wanted;
  for (const Rung& rung : plan.rungs) {
    if (!rung.published.model.empty()) wanted.push_back(rung.published.model);
  }
  take_published_weights(plan);
  for (const std::string& name : wanted) {
    try {
      pull_weights(name, options);
    } catch (const Error& error) {
      if (error.exit_status() == 130) throw;
      if (!options.quiet) fmt::print(stderr, "{}\n", error.what());
    }
  }
}

Plan plan_of(const Flags& flags, const GlobalOptions& options) {
  Plan plan = read_plan(flags.plan);
  if (!flags.data.empty()) {
    plan.data = flags.data;
    plan.name += " on " + flags.data;
    plan.train_data.clear(), plan.eval_data.clear();
  }
  // The rows lie in the cache afterwards.
  if (!flags.data_root.empty()) data_path(plan.data, flags.data_root);
  if (flags.quick) make_quick(plan);
  if (flags.weights == "hub") take_weights_of_hub(plan, options);
  if (flags.rounds > 0) {
    plan.rounds = flags.rounds;
    if (plan.max_rounds != 0) plan.max_rounds = std::max(plan.max_rounds, plan.rounds);
  }
  if (options.threads > 0) plan.threads = options.threads;
  return plan;
}

}  // namespace

void add_study(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb = app.add_subcommand("study", "Measure quality and energy of every configuration of a plan");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("plan", flags->plan, "YAML file (see examples/plans)")->required();
  verb->add_option("--out", flags->out, "directory of the results (default: NAME.study)");
  verb->add_option("--rounds", flags->rounds, "rounds, in place of the plan's")->check(CLI::Range(1, 1000));
  verb->add_flag(
      "--quick", flags->quick,
      "2 rounds, short windows, and what the plan's `quick` names or 200 rows: rough figures soon");
  verb->add_option("--data", flags->data, "rows, in place of the plan's: a name, a path, or a recipe");
  verb->add_option("--data-root", flags->data_root,
                   "folder below which a recipe finds the rows of its data set");
  verb->add_option("--weights", flags->weights,
                   "shapes as the plan has them, or hub: the weights that its rungs name as `published`")
      ->check(CLI::IsMember({"shapes", "hub"}))
      ->capture_default_str();
  verb->add_flag("--restart", flags->restart, "measure everything again instead of going on");
  verb->footer(
      "A study that was interrupted goes on where it stopped when the same command is given again.\n\n"
      "Examples:\n"
      "  wattle study examples/plans/demo.yaml\n"
      "  wattle study my.yaml --out results --rounds 10\n"
      "  wattle study examples/plans/power-hungry/text-classification.yaml --quick\n"
      "  wattle study examples/plans/power-hungry/masked-words.yaml --weights hub");
  verb->callback([flags, &options] {
    const Plan plan = plan_of(*flags, options);
    run_and_report(plan,
                   flags->out.empty() ? default_directory(plan.name) : std::filesystem::path(flags->out),
                   {.restart = flags->restart}, options);
  });
}

}  // namespace wattle
