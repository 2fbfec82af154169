#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace wattle::inline base {

/// What went wrong, as one sentence that names the file, the tensor or flag, and the cure.
/// The library throws nothing else on bad input; only the command line prints it.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& sentence, int exit_status = 2)
      : std::runtime_error(sentence), exit_status_(exit_status) {}

  /// 1: all that was to be measured failed; 2: bad input; 3: a required grade of measurement is not to be
  /// had; 130: interrupted.
  int exit_status() const { return exit_status_; }

 private:
  int exit_status_;
};

/// Throws Error with a formatted sentence: fail("{}: tensor {} ends beyond the file; pull the model again",
/// ...).
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace wattle::inline base
