// The main() of every test program. WATTLE_TEST_ISA forces an instruction set by name, so that one binary is
// run under each that the machine has (tools/test).
#include <cstdlib>

#include <gtest/gtest.h>

#include "base/cpu.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const char* isa = std::getenv("WATTLE_TEST_ISA"); isa != nullptr && *isa != '\0') {
    wattle::force_isa(wattle::isa_from_name(isa));
  }
  return RUN_ALL_TESTS();
}
