#include <algorithm>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <span>
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

struct Verb {
  std::string_view name;
  void (*add)(CLI::App&, const wattle::GlobalOptions&);
};
constexpr Verb kVerbs[] = {
    {"run", wattle::add_run},         {"train", wattle::add_train},
    {"convert", wattle::add_convert}, {"distil", wattle::add_distil},
    {"inspect", wattle::add_inspect}, {"bench", wattle::add_bench},
    {"meter", wattle::add_meter},     {"study", wattle::add_study},
    {"report", wattle::add_report},   {"advise", wattle::add_advise},
    {"score", wattle::add_score},     {"compare", wattle::add_compare},
    {"worker", wattle::add_worker},   {"pull", wattle::add_pull},
    {"doctor", wattle::add_doctor},   {"completion", wattle::add_completion},
};

/// Adds the verb that is asked for alone, or all where an option comes first or no verb does: the flags of
/// all verbs cost a model of some kilobytes a fifth of the time to its answer.
void add_verbs(CLI::App& app, const wattle::GlobalOptions& options, std::span<char* const> arguments) {
  const auto first = std::ranges::find_if(
      arguments, [](std::string_view argument) { return argument != "-q" && argument != "--quiet"; });
  const auto asked = first == arguments.end()
                         ? std::end(kVerbs)
                         : std::ranges::find(kVerbs, std::string_view(*first), &Verb::name);
  const bool alone = asked != std::end(kVerbs) && asked->add != wattle::add_completion;
  for (const Verb& verb : kVerbs) {
    if (!alone || &verb == asked) verb.add(app, options);
  }
}

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

/// `--threads`, or what OMP_NUM_THREADS says, as every other program of its kind has it.
void choose_threads(const wattle::GlobalOptions& options) {
  const char* omp = std::getenv("OMP_NUM_THREADS");
  if (options.threads > 0) {
    wattle::set_threads(options.threads, "--threads");
  } else if (omp != nullptr && *omp != '\0') {
    const int threads = wattle::threads_of_omp(omp);
    if (threads == 0) wattle::fail("OMP_NUM_THREADS={}: is no number of threads; unset it or give one", omp);
    wattle::set_threads(threads, "OMP_NUM_THREADS");
  }
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
  app.add_option("--threads", options.threads,
                 "threads (default: OMP_NUM_THREADS, or one a physical core that affinity and quota leave)")
      ->check(wattle::at_least_one());
  app.add_option("--isa", options.isa,
                 "force an instruction set: portable, avx2, avx2-vnni, avx512, avx512-vnni");
  app.add_flag("--quiet,-q", options.quiet, "no progress bars and no notices");
  // Subcommand callbacks run after all parsing; these settings must be in force before the first of them.
  app.parse_complete_callback([&] {
    if (!options.isa.empty()) wattle::force_isa(wattle::isa_from_name(options.isa));
    choose_threads(options);
  });
  add_verbs(app, options, {argv + 1, static_cast<size_t>(std::max(argc - 1, 0))});
  try {
    app.parse(arguments_of(argc, argv));
  } catch (const CLI::ParseError& error) {
    return end_of_parsing(app, error);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
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
