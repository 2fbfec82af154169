#pragma once

#include <sys/types.h>

#include <optional>
#include <set>
#include <string>

namespace wattle::inline meter {

/// What a shell command wrote to standard output, or why it counts for nothing: "ended with exit status 3",
/// "did not end within 2 s and was stopped". Its whole process group is killed when the time is over; its
/// standard error goes to nowhere. It is a helper of the meter, no part of what is measured.
struct HelperOutput {
  std::optional<std::string> text;
  std::string problem;
};
HelperOutput run_helper(const std::string& shell_line, double limit_seconds);
/// Processor time of all helpers until now, which belongs to the meter's own cost.
double helper_cpu_seconds();

/// The helpers that run now.
std::set<pid_t> running_helpers();

/// Takes in one ended child of this process that is no helper and adds its processor seconds to
/// `busy_seconds`. kNone: there is none; kRunning: there are some that still run.
enum class Reaped { kOne, kNone, kRunning };
Reaped reap_other_child(double& busy_seconds);

}  // namespace wattle::inline meter
