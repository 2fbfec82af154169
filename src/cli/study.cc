#include <memory>

#include "cli/study_session.h"

namespace wattle {
namespace {

struct Flags {
  std::string plan, out;
  int rounds = 0;
  bool quick = false, restart = false;
};

/// A look at everything in a small part of the time: figures are rough and say so by their intervals.
void make_quick(Plan& plan) {
  plan.name += " (quick)";
  plan.rounds = plan.max_rounds = 2;
  plan.window_seconds = 0.2;
  plan.warm_up_seconds = 0.5;
  plan.max_eval = plan.max_eval == 0 ? 200 : std::min<int64_t>(plan.max_eval, 200);
}

}  // namespace

void add_study(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb = app.add_subcommand("study", "Measure quality and energy of every configuration of a plan");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("plan", flags->plan, "YAML file (see examples/plans)")->required();
  verb->add_option("--out", flags->out, "directory of the results (default: NAME.study)");
  verb->add_option("--rounds", flags->rounds, "rounds, in place of the plan's")->check(CLI::Range(1, 1000));
  verb->add_flag("--quick", flags->quick, "2 rounds of 200 rows and short windows: rough figures soon");
  verb->add_flag("--restart", flags->restart, "measure everything again instead of going on");
  verb->footer(
      "A study that was interrupted goes on where it stopped when the same command is given again.\n\n"
      "Examples:\n"
      "  wattle study examples/plans/demo.yaml\n"
      "  wattle study my.yaml --out results --rounds 10");
  verb->callback([flags, &options] {
    Plan plan = read_plan(flags->plan);
    if (flags->quick) make_quick(plan);
    if (flags->rounds > 0) {
      plan.rounds = flags->rounds;
      if (plan.max_rounds != 0) plan.max_rounds = std::max(plan.max_rounds, plan.rounds);
    }
    if (options.threads > 0) plan.threads = options.threads;
    run_and_report(plan,
                   flags->out.empty() ? default_directory(plan.name) : std::filesystem::path(flags->out),
                   flags->restart, options);
  });
}

}  // namespace wattle
