#include <iostream>

#include <wattle/study.h>

#include "cli/verbs.h"

namespace wattle {

void add_worker(CLI::App& app, const GlobalOptions&) {
  CLI::App* verb =
      app.add_subcommand("worker", "Serve one cell of a study: JSON requests in, JSON answers out");
  verb->group("");  // started by `study` alone, so hidden from the list of verbs
  verb->callback([] {
    if (const int status = run_worker(std::cin, std::cout); status != 0) throw CLI::RuntimeError(status);
  });
}

}  // namespace wattle
