#include <fstream>
#include <sstream>

#include <wattle/error.h>
#include <wattle/study.h>

#include "fuzz/fuzz.h"

using namespace wattle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const Plan plan = parse_plan({reinterpret_cast<const char*>(data), size}, "plan.yaml");
    parse_plan(to_yaml(plan), "again.yaml");
  } catch (const Error&) {
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  std::ifstream file(WATTLE_SOURCE_DIR "/examples/plans/demo.yaml");
  std::stringstream demo;
  demo << file.rdbuf();
  return {demo.str(),
          "name: a\ndata: {train: t, eval: e}\nrows: {eval: 5}\nrungs: [{kind: zero-shot, model: m, prompt: "
          "'{text}', "
          "words: {a: b}, examples: 2}]\n"};
}
