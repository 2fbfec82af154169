#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <wattle/error.h>

#include "base/cpu.h"
#include "base/interrupt.h"
#include "base/threads.h"
#include "cli/help.h"
#include "cli/verbs.h"

namespace {

using AddVerb = void (*)(CLI::App&, const wattle::GlobalOptions&);
constexpr AddVerb kVerbs[] = {
    wattle::add_run,     wattle::add_train,  wattle::add_convert, wattle::add_distil,
    wattle::add_inspect, wattle::add_bench,  wattle::add_meter,   wattle::add_study,
    wattle::add_report,  wattle::add_advise, wattle::add_score,   wattle::add_compare,
    wattle::add_worker,  wattle::add_pull,   wattle::add_doctor,  wattle::add_completion,
};

/// Help and versions go where CLI11 prints them; a mistake is one sentence as every other error.
int end_of_parsing(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0 || dynamic_cast<const CLI::RuntimeError*>(&error) != nullptr) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  std::string sentence = error.what();
  const auto verbs = app.get_subcommands();
  if (const auto rest = app.remaining(); verbs.empty() && !rest.empty() && !rest.front().starts_with('-')) {
    sentence = fmt::format("{}: is no verb", rest.front());
  }
  std::replace(sentence.begin(), sentence.end(), '\n', ' ');
  fmt::print(stderr, "wattle: {}; `wattle {}--help` shows how it is used\n", sentence,
             verbs.empty() ? "" : verbs.front()->get_name() + " ");
  return 2;
}

/// Arguments for CLI11, last one first. It takes a "--" for the end of `--json [FILE]` and would read what
/// follows it as options of `wattle meter`; a second one keeps the measured program's arguments apart.
std::vector<std::string> arguments_of(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto mark = std::find(arguments.begin(), arguments.end(), "--");
  if (mark != arguments.end() && std::find(arguments.begin(), mark, "meter") != mark)
    arguments.insert(mark, "--");
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

int run(int argc, char** argv) {
  CLI::App app{"Wattle: which model, at which precision, does the job well enough for the fewest joules"};
  app.name("wattle");
  app.formatter(std::make_shared<wattle::NarrowHelp>());
  app.set_version_flag("--version", "wattle " WATTLE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  wattle::GlobalOptions options;
  app.add_option("--threads", options.threads, "threads (default: one a physical core)")
      ->check(wattle::at_least_one());
  app.add_option("--isa", options.isa,
                 "force an instruction set: portable, avx2, avx2-vnni, avx512, avx512-vnni");
  app.add_flag("--quiet,-q", options.quiet, "no progress bars and no notices");
  // Subcommand callbacks run after all parsing; these settings must be in force before the first of them.
  app.parse_complete_callback([&] {
    if (!options.isa.empty()) wattle::force_isa(wattle::isa_from_name(options.isa));
    if (options.threads > 0) wattle::set_threads(options.threads);
  });
  for (const AddVerb add : kVerbs) add(app, options);
  try {
    app.parse(arguments_of(argc, argv));
  } catch (const CLI::ParseError& error) {
    return end_of_parsing(app, error);
  }
  return 0;
}

/// A thread that waits for its team turns about 3 ms in libgomp before it sleeps. Where another program has
/// the core that the others need, all of that is lost at every barrier: embedding SST-2 sentences one at a
/// time beside two busy programs took 24 s, with 1,000 turns (10 us) 4 s; 10,000 outlast the pauses between
/// the products of a token. libgomp reads its setting only when a program starts, so this one starts again
/// with it; what the user chose stays.
void limit_waiting(char** argv) {
  constexpr const char *kVariable = "GOMP_SPINCOUNT", *kTurns = "10000";
  if (const char* turns = std::getenv(kVariable); turns != nullptr) {
    // Programs started from here (`wattle meter -- CMD`) have their own way of waiting.
    if (std::string_view(turns) == kTurns) ::unsetenv(kVariable);
    return;
  }
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  ::setenv(kVariable, kTurns, 1);
  ::execv("/proc/self/exe", argv);
  ::unsetenv(kVariable);  // not started again: slower beside others, no less right
}

}  // namespace

int main(int argc, char** argv) {
  limit_waiting(argv);
  std::setlocale(LC_CTYPE, "C.UTF-8");
  wattle::watch_for_interrupt();
  try {
    const int status = run(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      wattle::fail("standard output: writing failed; free some space or write elsewhere");
    }
    return status;
  } catch (const wattle::Error& error) {
    fmt::print(stderr, "wattle: {}\n", error.what());
    return error.exit_status();
  } catch (const std::bad_alloc&) {
    fmt::print(stderr,
               "wattle: not enough memory; use a smaller model, a lower precision or a shorter context\n");
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "wattle: {}\n", error.what());
    return 2;
  }
}
