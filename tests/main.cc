// The main() of every test program. WATTLE_TEST_ISA forces an instruction set by name, so that one binary is
// run under each that the machine has (tools/test).
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "base/cpu.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const char* isa = std::getenv("WATTLE_TEST_ISA"); isa != nullptr && *isa != '\0') {
    try {
      wattle::force_isa(wattle::isa_from_name(isa));
    } catch (const wattle::Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      return error.exit_status();
    }
  }
  return RUN_ALL_TESTS();
}
