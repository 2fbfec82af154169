#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

namespace wattle {
namespace {

constexpr size_t kBar = 30;

size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string left_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  return whole < 90 ? fmt::format(", {} s left", whole) : fmt::format(", {} min left", (whole + 30) / 60);
}

}  // namespace

ProgressBar::ProgressBar(bool quiet) : shown_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
}

void ProgressBar::operator()(const std::string& step, size_t done, size_t total, bool estimate) {
  const auto now = std::chrono::steady_clock::now();
  if (step != step_) step_ = step, began_ = now;
  if (!shown_ || (done < total && now - last_ < std::chrono::milliseconds(100))) return;
  last_ = now;
  drawn_ = true;
  const double part = total == 0 ? 1 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<size_t>(part * kBar);
  const size_t columns = terminal_columns(), taken = kBar + 22;
  const size_t room = columns > taken ? columns - taken : 0;
  const std::chrono::duration<double> spent = now - began_;
  const std::string left =
      estimate && spent.count() >= 1 && part >= 0.01 ? left_text(spent.count() * (1 - part) / part) : "";
  fmt::print(stderr, "\r\033[K{} [{:#<{}}{:.<{}}] {:>3.0f} %{}", step.substr(0, room), "", filled, "",
             kBar - filled, 100 * part, left);
  std::fflush(stderr);
}

}  // namespace wattle
