#include <wattle/error.h>

#include "file/samples.h"
#include "fuzz/fuzz.h"

using namespace wattle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    samples::read(samples::Kind::kGguf, samples::to_bytes({reinterpret_cast<const char*>(data), size}));
  } catch (const Error&) {
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  samples::Gguf two;
  two.tensors = 2;
  two.more_tensors = samples::Gguf::another("other", 32);
  two.data = 64;
  samples::Gguf quantised;
  quantised.type = 2;
  quantised.shape = {32, 4};
  quantised.data = 72;
  samples::Gguf strings;
  strings.second_key = "tokenizer.ggml.tokens";
  strings.second_type = 9;
  strings.second_value = samples::Bytes().put(uint32_t{8}).put(uint64_t{2}).string("a").string("b").str();
  return {samples::Gguf().bytes(), two.bytes(), quantised.bytes(), strings.bytes()};
}
