#include <memory>

#include "cli/study_session.h"

namespace wattle {
namespace {

struct Flags {
  std::string path = ".", metric, p95, memory;
  double quality = 0, drop = 0, margin = 0;
  std::string within = "10%";
  bool json = false;
};

}  // namespace

void add_advise(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb = app.add_subcommand("advise", "The cheapest configuration that is good enough");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("study", flags->path, "directory of a study, or its study.db")->capture_default_str();
  auto* quality = verb->add_option("--quality", flags->quality,
                                   "at least so much (of a metric of which less is better: at most), "
                                   "for example 0.90");
  auto* drop =
      verb->add_option("--drop", flags->drop, "at most so much worse than the best, for example 0.01")
          ->check(CLI::NonNegativeNumber);
  auto* margin = verb->add_option("--margin", flags->margin,
                                  "not inferior to the best by more than so much, with 97.5 % confidence")
                     ->check(CLI::NonNegativeNumber);
  quality->excludes(drop)->excludes(margin);
  drop->excludes(margin);
  verb->add_option("--metric", flags->metric,
                   "the metric that decides, one of the study's or another that scores its answers "
                   "(default: the study's first)");
  verb->add_option("--p95", flags->p95, "latency that 95 of 100 queries must keep, for example 200ms");
  verb->add_option("--memory", flags->memory, "memory at most, for example 2GB");
  verb->add_option("--within", flags->within,
                   "energies that differ by less are taken as equal, for example 5%")
      ->capture_default_str();
  verb->add_flag("--json", flags->json, "as one JSON object");
  verb->footer(
      "Examples:\n"
      "  wattle advise demo.study --quality 0.90\n"
      "  wattle advise demo.study --drop 0.01 --p95 50ms --memory 500MB");
  verb->callback([=, &options] {
    Results results = results_of(flags->path, options);
    if (!flags->metric.empty() && flags->metric != results.plan.metrics.front()) {
      results.plan.quality.reset();  // it speaks of the plan's own metric
      use_metric(results, flags->metric);
    }
    Requirements wanted;
    if (quality->count() > 0) wanted.quality = flags->quality;
    if (drop->count() > 0) wanted.drop = flags->drop;
    if (margin->count() > 0) wanted.margin = flags->margin;
    if (!wanted.quality && !wanted.drop && !wanted.margin) wanted.quality = results.plan.quality;
    if (!flags->p95.empty()) wanted.p95_ms = parse_milliseconds(flags->p95, "--p95");
    wanted.within = parse_percent(flags->within, "--within");
    if (!flags->memory.empty()) wanted.memory_bytes = parse_bytes(flags->memory, "--memory");
    const Advice advice = advise(results, wanted);
    if (flags->json) {
      fmt::print("{}\n", to_json(results, wanted, advice)
                             .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    } else {
      print_lines(summary(results, wanted, advice));
      print_lines(details(results, advice));
    }
  });
}

}  // namespace wattle
