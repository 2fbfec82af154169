#pragma once

#include <CLI/CLI.hpp>

namespace wattle {

/// Flags that every verb understands.
struct GlobalOptions {
  int threads = 0;     ///< 0: one a physical core
  std::string isa;     ///< empty: the best there is
  bool quiet = false;  ///< no progress, no notices
};

/// One function a verb, each in src/cli/VERB.cc: adds its subcommand with flags, examples and callback.
/// Callbacks throw Error; main() prints the sentence and returns its exit status.
/// To add a verb: write its file, declare it here, and name it in kVerbs of main.cc.
void add_run(CLI::App& app, const GlobalOptions& options);
void add_train(CLI::App& app, const GlobalOptions& options);
void add_convert(CLI::App& app, const GlobalOptions& options);
void add_distil(CLI::App& app, const GlobalOptions& options);
void add_inspect(CLI::App& app, const GlobalOptions& options);
void add_bench(CLI::App& app, const GlobalOptions& options);
void add_meter(CLI::App& app, const GlobalOptions& options);
void add_study(CLI::App& app, const GlobalOptions& options);
void add_report(CLI::App& app, const GlobalOptions& options);
void add_score(CLI::App& app, const GlobalOptions& options);
void add_advise(CLI::App& app, const GlobalOptions& options);
void add_compare(CLI::App& app, const GlobalOptions& options);
void add_worker(CLI::App& app, const GlobalOptions& options);
void add_pull(CLI::App& app, const GlobalOptions& options);
void add_doctor(CLI::App& app, const GlobalOptions& options);
void add_completion(CLI::App& app, const GlobalOptions& options);

}  // namespace wattle
