#include "cli/live_table.h"

#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "report/live.h"

namespace wattle {
namespace {

struct Size {
  size_t columns = 80, rows = 24;
};

Size terminal_size() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

bool is_dumb() {
  const char* terminal = std::getenv("TERM");
  return terminal == nullptr || std::string_view(terminal) == "dumb";
}

/// no-color.org: set and not empty.
bool wants_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return no_colour == nullptr || *no_colour == '\0';
}

std::string time_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  return whole < 90 ? fmt::format("{} s", whole) : fmt::format("{} min", (whole + 30) / 60);
}

/// Without colours, which take no columns.
std::string plain(std::string line) {
  for (size_t begin = line.find("\033["); begin != std::string::npos; begin = line.find("\033[")) {
    const size_t end = line.find('m', begin);
    line.erase(begin, end == std::string::npos ? end : end + 1 - begin);
  }
  return line;
}

}  // namespace

LiveTable::LiveTable(double seconds) : limit_(seconds), colour_(wants_colour()) {}

LiveTable::~LiveTable() {
  what_.clear();
  draw();
}

bool LiveTable::fits() {
  return ::isatty(STDERR_FILENO) == 1 && !is_dumb();
}

void LiveTable::measured(const Results& results) {
  results_ = results;
  // Samples and answers are not shown.
  for (CellResult& cell : results_->cells) cell.samples.clear(), cell.outputs.clear();
  draw();
}

void LiveTable::doing(const StudyProgress& progress) {
  what_ = progress.what;
  draw();
}

void LiveTable::notice(const std::string& line) {
  erase();
  fmt::print(stderr, "{}\n", line);
  draw();
}

std::string LiveTable::sentence() const {
  if (what_.empty()) return results_ && results_->race ? results_->race->ended : "";
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began_;
  return fmt::format("{} · {} of {} at most", what_, time_text(passed.count()), time_text(limit_));
}

/// The cursor stands below the last line. Lines that the terminal has folded since, because it became
/// narrower, take several.
void LiveTable::erase() {
  if (drawn_.empty()) return;
  const size_t columns = terminal_size().columns;
  size_t lines = 0;
  for (const size_t width : drawn_) lines += width <= columns ? 1 : (width + columns - 1) / columns;
  fmt::print(stderr, "\033[{}A\r\033[J", lines);
  drawn_.clear();
}

void LiveTable::draw() {
  const Size size = terminal_size();
  std::vector<std::string> lines;
  if (results_) {
    // The last line stays free for the cursor.
    lines = live_lines(*results_, sentence(), size.columns, size.rows - 1, colour_);
  } else if (!what_.empty()) {
    lines.push_back(cut_to_columns(sentence(), size.columns));
  }
  erase();
  for (const std::string& line : lines) {
    fmt::print(stderr, "{}\n", line);
    drawn_.push_back(columns_of(plain(line)));
  }
  std::fflush(stderr);
}

}  // namespace wattle
