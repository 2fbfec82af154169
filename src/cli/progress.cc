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

}  // namespace

ProgressBar::ProgressBar(bool quiet) : shown_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
}

void ProgressBar::operator()(const std::string& step, size_t done, size_t total) {
  const auto now = std::chrono::steady_clock::now();
  if (!shown_ || (done < total && now - last_ < std::chrono::milliseconds(100))) return;
  last_ = now;
  drawn_ = true;
  const double part = total == 0 ? 1 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<size_t>(part * kBar);
  const size_t columns = terminal_columns(), room = columns > kBar + 10 ? columns - kBar - 10 : 0;
  fmt::print(stderr, "\r\033[K{} [{:#<{}}{:.<{}}] {:>3.0f} %", step.substr(0, room), "", filled, "",
             kBar - filled, 100 * part);
  std::fflush(stderr);
}

}  // namespace wattle
