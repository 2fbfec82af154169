#include <algorithm>
#include <memory>

#include <unistd.h>

#include "base/output_file.h"
#include "cli/study_session.h"
#include "report/format.h"
#include "report/paper.h"
#include "report/report.h"

namespace wattle {
namespace {

struct Flags {
  std::string path = ".", html;
  bool json = false, csv = false, verify = false, paper = false;
};

void check_figures(const Results& results) {
  if (!results.complete)
    fail("the study is not finished, so nothing was published yet; run the command that began it again");
  std::vector<std::string> differences = verify_windows(results);
  const size_t windows_differ = differences.size();
  for (std::string& difference : verify_figures(results)) differences.push_back(std::move(difference));
  if (!differences.empty()) {
    for (const std::string& difference : differences) fmt::print(stderr, "{}\n", difference);
    fail(
        "{} windows do not follow from their raw samples and {} published figures not from their windows; "
        "the "
        "store was changed, so run the study again",
        windows_differ, differences.size() - windows_differ);
  }
  size_t windows = 0, bytes = 0;
  const auto add = [&](const CellResult& cell) {
    windows += cell.samples.size();
    for (const Window& window : cell.samples) bytes += window.readings.size();
  };
  std::ranges::for_each(results.cells, add);
  if (results.empty) add(*results.empty);
  fmt::print(
      "All figures of {} cells follow from their {} windows, and these from {} bytes of raw samples.\n",
      results.cells.size(), windows, count(static_cast<int64_t>(bytes)));
}

}  // namespace

void add_report(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb = app.add_subcommand("report", "Table, CSV, JSON or one HTML page of a study");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("study", flags->path, "directory of a study, or its study.db")->capture_default_str();
  auto* json_flag = verb->add_flag("--json", flags->json, "one JSON object a cell");
  auto* csv_flag = verb->add_flag("--csv", flags->csv, "one line a cell");
  auto* html_flag = verb->add_option("--html", flags->html, "write one self-contained page");
  auto* verify_flag =
      verb->add_flag("--verify", flags->verify, "compute every published figure again from the raw samples");
  auto* paper_flag = verb->add_flag("--paper", flags->paper,
                                    "the figures of \"Power Hungry Processing\" beside those of this study");
  for (CLI::Option* other : {json_flag, csv_flag, html_flag, verify_flag}) paper_flag->excludes(other);
  json_flag->excludes(csv_flag)->excludes(html_flag)->excludes(verify_flag);
  csv_flag->excludes(html_flag)->excludes(verify_flag);
  html_flag->excludes(verify_flag);
  verb->footer(
      "Examples:\n"
      "  wattle report demo.study\n"
      "  wattle report demo.study --json | jq '.[].wh_per_1000'\n"
      "  wattle report demo.study --html report.html");
  verb->callback([flags, &options] {
    const Results results = results_of(flags->path, options);
    if (flags->verify) return check_figures(results);
    if (flags->paper) return fmt::print("{}", paper_table(results));
    if (!flags->html.empty()) {
      OutputFile file(flags->html);
      file.write(html(results));
      return file.commit();
    }
    const std::string text = flags->json  ? json(results)
                             : flags->csv ? csv(results)
                                          : table(results, isatty(STDOUT_FILENO) != 0);
    fmt::print("{}", text);
  });
}

}  // namespace wattle
