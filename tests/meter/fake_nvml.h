#pragma once

#include <functional>

/// What the fake NVML shows; a test sets it through fake_nvml_boards() of the loaded library.
struct FakeBoards {
  bool counts_energy = true;
  int boards = 1;
  int failure = 0;
  int silent_boards = 0;  ///< the last so many have no handle
  int start = 0;          ///< what nvmlInit answers
  std::function<double()> joules, watts;
};
