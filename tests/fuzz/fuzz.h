#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// One input to a reader: returns 0 whether it was read or refused with wattle::Error; everything else is a
/// defect.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

/// Valid inputs to begin from.
std::vector<std::string> fuzz_seeds();
