#include <algorithm>
#include <cctype>
#include <functional>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "file/samples.h"

namespace wattle {
namespace {

using samples::Bytes;
using samples::Gguf;
using samples::Kind;
using samples::Onnx;
using samples::Proto;

/// A file that must be refused with a sentence that holds `reason`.
struct Bad {
  std::string title;
  Kind kind;
  std::string bytes;
  std::string reason;
};

std::string message_of(Kind kind, const std::string& bytes) {
  try {
    samples::read(kind, samples::to_bytes(bytes));
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 2);
    return error.what();
  }
  return "was accepted";
}

std::string gguf(const std::function<void(Gguf&)>& change) {
  Gguf file;
  change(file);
  return file.bytes();
}

std::vector<Bad> bad_gguf_files() {
  constexpr uint64_t kHuge = uint64_t{1} << 62;
  const auto with = [](std::string title, std::string reason, const std::function<void(Gguf&)>& change) {
    return Bad{std::move(title), Kind::kGguf, gguf(change), std::move(reason)};
  };
  const auto array = [](uint32_t element, uint64_t count) { return Bytes().put(element).put(count).str(); };
  return {
      with("other magic", "does not begin with GGUF", [](Gguf& f) { f.magic = 0x12345678; }),
      with("version 1", "GGUF version 1", [](Gguf& f) { f.version = 1; }),
      with("version 4", "GGUF version 4", [](Gguf& f) { f.version = 4; }),
      with("big-endian", "big-endian", [](Gguf& f) { f.version = 0x03000000; }),
      with("many keys", "beyond the end", [](Gguf& f) { f.keys = kHuge; }),
      with("many tensors", "beyond the end", [](Gguf& f) { f.tensors = kHuge; }),
      with("long key", "65535 are allowed", [](Gguf& f) { f.second_key = std::string(70000, 'k'); }),
      with("key twice", "there twice", [](Gguf& f) { f.second_key = "general.architecture"; }),
      with("long string", "beyond the end",
           [](Gguf& f) {
             f.second_type = 8;
             f.second_value = Bytes().put(kHuge).str();
           }),
      with("long array", "beyond the end",
           [&](Gguf& f) {
             f.second_type = 9;
             f.second_value = array(8, kHuge);
           }),
      with("array of arrays", "array of arrays",
           [&](Gguf& f) {
             f.second_type = 9;
             f.second_value = array(9, 1);
           }),
      with("unknown value type", "unknown type 77", [](Gguf& f) { f.second_type = 77; }),
      with("flag of 2", "neither 0 nor 1",
           [](Gguf& f) {
             f.second_type = 7;
             f.second_value = "\2";
           }),
      with("u64 beyond i64", "out of range",
           [](Gguf& f) {
             f.second_type = 10;
             f.second_value = Bytes().put(~uint64_t{0}).str();
           }),
      with("alignment 0", "power of two", [](Gguf& f) { f.second_value = Bytes().put(uint32_t{0}).str(); }),
      with("alignment 33", "power of two", [](Gguf& f) { f.second_value = Bytes().put(uint32_t{33}).str(); }),
      with("alignment as text", "and not an integer",
           [](Gguf& f) {
             f.second_type = 8;
             f.second_value = Bytes().string("32").str();
           }),
      with("long name", "at most 64", [](Gguf& f) { f.name = std::string(65, 'n'); }),
      with("five dimensions", "has 5 dimensions",
           [](Gguf& f) {
             f.dimensions = 5;
             f.shape = {1, 1, 1, 1, 1};
           }),
      with("dimensions overflow", "impossible shape",
           [](Gguf& f) {
             f.shape = {uint64_t{1} << 33, uint64_t{1} << 33};
           }),
      with("dimension beyond i64", "out of range",
           [](Gguf& f) {
             f.shape = {~uint64_t{0}, 1};
           }),
      with("zero hides an overflow", "impossible shape",
           [](Gguf& f) {
             f.dimensions = 3;
             f.shape = {0, uint64_t{1} << 33, uint64_t{1} << 33};
           }),
      with("type not read here", "MXFP4", [](Gguf& f) { f.type = 39; }),
      with("unknown type", "not read here", [](Gguf& f) { f.type = 12345; }),
      with("half a block", "in blocks of 32", [](Gguf& f) { f.type = 2; }),
      with("odd offset", "multiple of the alignment", [](Gguf& f) { f.offset = 4; }),
      with("offset beyond", "the file is cut", [](Gguf& f) { f.offset = kHuge; }),
      with("tensor beyond", "the file is cut", [](Gguf& f) { f.data = 31; }),
      with("name twice", "there twice",
           [](Gguf& f) {
             f.tensors = 2;
             f.more_tensors = Gguf::another("matrix", 32);
             f.data = 64;
           }),
      with("overlap", "overlap",
           [](Gguf& f) {
             f.tensors = 2;
             f.shape = {8, 2};
             f.more_tensors = Gguf::another("other", 32);
             f.data = 64;
           }),
  };
}

std::vector<Bad> bad_safetensors_files() {
  const auto with = [](std::string title, std::string reason, std::string_view header, size_t data = 16) {
    return Bad{std::move(title), Kind::kSafetensors, samples::safetensors(header, data), std::move(reason)};
  };
  const auto tensor = [](std::string_view inner) { return R"({"a":{)" + std::string(inner) + "}}"; };
  std::string deep = R"({"a":)";
  for (int i = 0; i < 5000; ++i) deep += R"({"a":)";
  return {
      {"empty", Kind::kSafetensors, "", "beyond the end"},
      {"header longer than the file", Kind::kSafetensors, Bytes().put(uint64_t{100}).text("{}").str(),
       "beyond the end"},
      {"header of exabytes", Kind::kSafetensors, Bytes().put(uint64_t{1} << 60).text("{}").str(),
       "no safetensors file"},
      with("no JSON", "is not JSON", "{\"a\":"),
      with("invalid UTF-8", "is not JSON", "{\"\xFF\":1}"),
      with("huge number", "cannot hold", R"({"a":1e999})"),
      with("a list", "not a JSON object", "[]"),
      with("nested deep", "nested deeper", deep),
      with("entry no object", "not an object", R"({"a":1})"),
      with("key twice", "there twice", R"({"a":1,"a":2})"),
      with("no dtype", "stored as nothing", tensor(R"("shape":[4],"data_offsets":[0,16])")),
      with("unknown dtype", "F8_E4M3", tensor(R"("dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4])")),
      with("dtype no string", "not a string", tensor(R"("dtype":3,"shape":[4],"data_offsets":[0,16])")),
      with("negative shape", "not a list of counts",
           tensor(R"("dtype":"F32","shape":[-4],"data_offsets":[0,16])")),
      with("shape overflow", "impossible shape",
           tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16])")),
      with("no offsets", "not a list of counts", tensor(R"("dtype":"F32","shape":[4])")),
      with("three offsets", "do not lie", tensor(R"("dtype":"F32","shape":[4],"data_offsets":[0,8,16])")),
      with("offsets backwards", "do not lie", tensor(R"("dtype":"F32","shape":[4],"data_offsets":[16,0])")),
      with("offsets beyond", "do not lie", tensor(R"("dtype":"F32","shape":[4],"data_offsets":[8,24])")),
      with("size differs", "where its shape and type need",
           tensor(R"("dtype":"F16","shape":[4],"data_offsets":[0,16])")),
      with(
          "overlap", "overlap",
          R"({"a":{"dtype":"I8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"I8","shape":[8],"data_offsets":[7,15]}})"),
  };
}

/// PyTorch's older form up to the pickle that describes the tensors.
std::string legacy(std::string_view description) {
  const std::string protocol = "\x80\x02";
  return protocol + "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + protocol + "M\xe9\x03." + protocol +
         "}." + protocol + std::string(description);
}

std::vector<Bad> bad_pickles() {
  const auto with = [](std::string title, std::string reason, std::string_view pickle) {
    return Bad{std::move(title), Kind::kPickle, legacy(pickle), std::move(reason)};
  };
  const std::string cut_zip = samples::golden("torch/zip.pth").substr(0, 200);
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += "\x85";
  return {
      {"empty", Kind::kPickle, "", "beyond the end"},
      {"no pickle", Kind::kPickle, "zip?", "opcode 0x7a"},
      {"cut archive", Kind::kPickle, cut_zip, "no directory at its end"},
      {"a pickle of something else", Kind::kPickle, "\x80\x02K\x01.", "none of PyTorch's"},
      with("calls a function", "os.system", "cos\nsystem\n)R."),
      with("names a function by the stack", "builtins.eval",
           "\x8c\x08"
           "builtins\x8c\x04"
           "eval\x93."),
      with("an object of a class", "torch.nn.modules.linear.Linear",
           "ctorch.nn.modules.linear\nLinear\n)\x81."),
      with("instance opcode", "opcode 0x69", "(ios\nsystem\n."),
      with("extension registry", "opcode 0x82", "\x82\x01."),
      with("storage called", "storage is called", "ctorch\nFloatStorage\n)R."),
      with("stack empty", "stack is empty", "0."),
      with("no mark", "stack is empty", "t."),
      with("memo empty", "never stored", "h\x05."),
      with("string beyond", "beyond the end", "X\xff\xff\xff\xff."),
      with("protocol 9", "protocol 9", "\x80\x09N."),
      with("no tensors", "no dictionary of tensors", "}.\x80\x02]."),
      with("persistent id of nothing", "other than a storage", "NQ."),
      with("key without value", "key without a value", "}(Nu."),
      with("nested deep", "no dictionary of tensors", ")" + nested + ".\x80\x02]."),
  };
}

std::vector<Bad> bad_onnx_files() {
  const auto with = [](std::string title, std::string reason, const std::function<void(Onnx&)>& change) {
    Onnx file;
    change(file);
    return Bad{std::move(title), Kind::kOnnx, file.bytes(), std::move(reason)};
  };
  const auto model = [](std::string title, std::string reason, std::string bytes) {
    return Bad{std::move(title), Kind::kOnnx, std::move(bytes), std::move(reason)};
  };
  constexpr uint64_t kHuge = uint64_t{1} << 62;
  std::string deep = Onnx().graph();
  for (int i = 0; i < 1000; ++i) {
    const std::string attribute = Proto().bytes(1, "body").bytes(6, deep).str();
    deep = Proto().bytes(1, Proto().bytes(4, "Loop").bytes(5, attribute).str()).str();
  }
  const auto node = [](std::string_view in, std::string_view out) {
    return Proto().bytes(1, Proto().bytes(1, in).bytes(2, out).bytes(3, "n").bytes(4, "Relu").str()).str();
  };
  const std::string external =
      Proto().bytes(13, Proto().bytes(1, "location").bytes(2, "weights.bin").str()).number(14, 1).str();
  return {
      model("empty", "holds no graph", ""),
      model("only a version", "holds no graph", Proto().number(1, 8).str()),
      model("cut number", "beyond the end", "\x08\xff"),
      model("endless number", "more than 64 bits", "\x08" + std::string(11, '\xff')),
      model("field beyond", "beyond the end", "\x3a\x7f"),
      model("unknown wire type", "is no ONNX model", "\x3b"),
      model("nested deep", "nests graphs 17 deep", Proto().bytes(7, deep).str()),
      with("circle", "go in a circle through n",
           [&](Onnx& f) { f.more_graph = node("a", "b") + node("b", "a"); }),
      with("reads itself", "go in a circle", [&](Onnx& f) { f.more_graph = node("a", "a"); }),
      with("two give one", "two nodes give y", [&](Onnx& f) { f.more_graph = node("x", "y"); }),
      with("tensor twice", "there twice",
           [](Onnx& f) { f.more_graph = Proto().bytes(5, Onnx().tensor()).str(); }),
      with("absurd dimensions", "impossible shape",
           [](Onnx& f) {
             f.shape = {kHuge, kHuge};
           }),
      with("negative dimension", "impossible shape",
           [](Onnx& f) {
             f.shape = {~uint64_t{0}, 2};
           }),
      with("many dimensions", "17 dimensions", [](Onnx& f) { f.shape.assign(17, 1); }),
      with("large and empty", "has 24 bytes",
           [](Onnx& f) {
             f.shape = {1 << 20, 1 << 20};
           }),
      with("short data", "has 23 bytes", [](Onnx& f) { f.data.pop_back(); }),
      with("unknown type", "unknown type 99", [](Onnx& f) { f.type = 99; }),
      with("name with a line", "no text", [](Onnx& f) { f.name = "a\nb"; }),
      with("name of bad bytes", "no text", [](Onnx& f) { f.name = "a\xff"; }),
      with("sparse tensors", "sparse tensors", [](Onnx& f) { f.more_graph = Proto().bytes(15, "").str(); }),
      with("packed by 4 bits", "packed for MatMulNBits",
           [](Onnx& f) { f.op = "MatMulNBits", f.domain = "com.microsoft"; }),
      with("no scale", "has no scale", [](Onnx& f) { f.name = "w_quantized", f.type = 3, f.shape = {24}; }),
      with("another file", "another file is missing", [&](Onnx& f) { f.more_tensor = external; }),
      with("offset of words", "offset of the external data",
           [&](Onnx& f) {
             f.more_tensor =
                 external + Proto().bytes(13, Proto().bytes(1, "offset").bytes(2, "x").str()).str();
           }),
  };
}

class Hostile : public testing::TestWithParam<Bad> {};

TEST_P(Hostile, IsRefusedInOneSentence) {
  const std::string message = message_of(GetParam().kind, GetParam().bytes);
  EXPECT_NE(message.find(GetParam().reason), std::string::npos) << GetParam().title << ": " << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

std::string test_name(const testing::TestParamInfo<Bad>& info) {
  std::string name = info.param.title;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Gguf, Hostile, testing::ValuesIn(bad_gguf_files()), test_name);
INSTANTIATE_TEST_SUITE_P(Safetensors, Hostile, testing::ValuesIn(bad_safetensors_files()), test_name);
INSTANTIATE_TEST_SUITE_P(Pickle, Hostile, testing::ValuesIn(bad_pickles()), test_name);
INSTANTIATE_TEST_SUITE_P(Onnx, Hostile, testing::ValuesIn(bad_onnx_files()), test_name);

struct Valid {
  const char* title;
  Kind kind;
  std::string bytes;
  size_t tensors;
};

class Damaged : public testing::TestWithParam<Valid> {};

TEST_P(Damaged, WholeFileOpens) {
  EXPECT_EQ(samples::read(GetParam().kind, samples::to_bytes(GetParam().bytes)).tensors().size(),
            GetParam().tensors);
}

TEST_P(Damaged, EveryTruncationIsRefused) {
  for (size_t length = 0; length < GetParam().bytes.size(); ++length) {
    EXPECT_NE(message_of(GetParam().kind, GetParam().bytes.substr(0, length)), "was accepted") << length;
  }
}

TEST_P(Damaged, EveryChangedByteIsReadOrRefused) {
  auto bytes = samples::to_bytes(GetParam().bytes);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const std::byte original = bytes[i];
    for (const unsigned change : {0x01U, 0x80U, 0xFFU}) {
      bytes[i] = original ^ static_cast<std::byte>(change);
      try {
        samples::read(GetParam().kind, bytes);
      } catch (const Error&) {
        // Refused: as good as read. Anything else thrown, or a sanitizer's finding, fails the test.
      }
    }
    bytes[i] = original;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Files, Damaged,
    testing::Values(Valid{"Gguf", Kind::kGguf, Gguf().bytes(), 1},
                    Valid{"Safetensors", Kind::kSafetensors, samples::safetensors(), 2},
                    Valid{"Onnx", Kind::kOnnx, Onnx().bytes(), 1},
                    Valid{"PickleZip", Kind::kPickle, samples::golden("torch/zip.pth"), 8},
                    Valid{"PickleLegacy", Kind::kPickle, samples::golden("torch/legacy.pth"), 8}),
    [](const auto& info) { return std::string(info.param.title); });

}  // namespace
}  // namespace wattle
