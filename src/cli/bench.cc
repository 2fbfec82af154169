#include "cli/bench.h"

#include "cli/verbs.h"

namespace wattle {

void add_bench(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb = app.add_subcommand("bench", "Speed, and how near it is to what the machine can do");
  verb->require_subcommand(0, 1);
  add_bench_kernels(*verb);
  add_bench_model(*verb, options);
}

}  // namespace wattle
