#include <fmt/format.h>

#include "base/cpu.h"
#include "base/threads.h"
#include "cli/verbs.h"

namespace wattle {

void add_doctor(CLI::App& app, const GlobalOptions&) {
  CLI::App* verb = app.add_subcommand("doctor", "What this machine can measure and run");
  verb->callback([] {
    fmt::print("processor       {}\nthreads         {}\n", cpu_name(), threads());
    for (const Isa isa : runnable_isas()) {
      fmt::print("instruction set {}{}\n", name(isa), isa == active_isa() ? " (used)" : "");
    }
  });
}

}  // namespace wattle
