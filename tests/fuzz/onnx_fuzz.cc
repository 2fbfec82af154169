#include <wattle/error.h>

#include "file/samples.h"
#include "fuzz/fuzz.h"

using namespace wattle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    samples::read(samples::Kind::kOnnx, samples::to_bytes({reinterpret_cast<const char*>(data), size}));
  } catch (const Error&) {
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  return {samples::Onnx().bytes(), samples::golden("onnx/forms.onnx"), samples::golden("onnx/external.onnx")};
}
