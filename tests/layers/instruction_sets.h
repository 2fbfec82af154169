#pragma once

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "base/cpu.h"

namespace wattle {

/// For suites of every instruction set that this machine runs.
inline auto every_instruction_set() {
  return testing::ValuesIn(runnable_isas().begin(), runnable_isas().end());
}
/// Its name as a test's may be.
inline std::string instruction_set_name(const testing::TestParamInfo<Isa>& test) {
  std::string text(name(test.param));
  std::erase(text, '-');
  return text;
}

}  // namespace wattle
