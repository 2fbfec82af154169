#include <gtest/gtest.h>
#include <wattle/error.h>

#include <fmt/format.h>

#include "file/samples.h"
#include "file/temporary_directory.h"

namespace wattle {
namespace {

using samples::Bytes;
using samples::Gguf;
using namespace std::string_literals;

std::string message_of(const std::filesystem::path& path) {
  try {
    (void)ModelFile::open(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "was accepted";
}

void expect_refused(const std::filesystem::path& path, std::string_view reason) {
  const std::string message = message_of(path);
  EXPECT_NE(message.find(reason), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(FileKind, IsWhatTheBytesSay) {
  const TemporaryDirectory folder;
  const auto kind = [&](const std::string& name, const std::string& bytes) {
    return std::string(ModelFile::open(folder.write(name, bytes)).kind());
  };
  EXPECT_EQ(kind("weights.tar", samples::golden("torch/zip.pth")), "pickle");
  EXPECT_EQ(kind("model.safetensors", samples::golden("torch/legacy.pth")), "pickle");
  EXPECT_EQ(kind("model.pth", samples::safetensors()), "safetensors");
  EXPECT_EQ(kind("model", samples::Onnx().bytes()), "onnx");
  EXPECT_EQ(kind("model.onnx", Gguf().bytes()), "gguf");
}

TEST(FileKind, OthersAreNamedWithTheCure) {
  const TemporaryDirectory folder;
  const auto refused = [&](const std::string& name, const std::string& bytes, std::string_view reason) {
    expect_refused(folder.write(name, bytes), reason);
  };
  refused("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
          "git lfs pull");
  refused("model.gguf", "<!DOCTYPE html>\n<html>", "a web page");
  refused("pytorch_model.bin", "\n  <html lang=en>", "a web page");
  refused("tf_model.h5", "\x89HDF\r\n\x1a\n....", "HDF5");
  refused("model.bin", "\x06\0\0\0\x10\0\0\0TransformerSpec\0"s, "CTranslate2");
  refused("weights.tar", std::string(257, 'x') + "ustar  ", "a tar archive");
  refused("model.gguf", "tjggxxxx", "before GGUF");
  refused("numbers.bin", std::string(64, '\x3f'), "neither a pickle nor an archive");
  refused("empty.bin", "", "is empty");
  refused("notes.txt", "hello", "no model file");
}

TEST(FileKind, QuantisedCheckpointsAndAdaptersAreNamed) {
  const auto file = [](const std::string& tensor, const std::string& type) {
    return samples::safetensors(
        fmt::format(R"({{"{}":{{"dtype":"{}","shape":[4],"data_offsets":[0,4]}}}})", tensor, type), 4);
  };
  const TemporaryDirectory folder;
  const auto refused = [&](const std::string& tensor, std::string_view reason) {
    expect_refused(folder.write("model.safetensors", file(tensor, "I8")), reason);
  };
  refused("layers.0.q.qweight", "GPTQ or AWQ");
  refused("layers.0.q.g_idx", "quantised by GPTQ");
  refused("layers.0.q.weight.quant_state.bitsandbytes__nf4", "bitsandbytes");
  refused("layers.0.q.SCB", "bitsandbytes");
  refused("base.layers.0.q.lora_A.weight", "merge_and_unload");
  expect_refused(folder.write("model.safetensors", file("layers.0.q.weight", "F8_E4M3")), "F8_E4M3");
}

TEST(PyTorchFiles, OneDictionaryOfTensorsInsideIsTheModel) {
  const TemporaryDirectory folder;
  const ModelFile file = ModelFile::open(folder.write("weights.tar", samples::golden("torch/nested.pth")));
  ASSERT_EQ(file.tensors().size(), 2U);
  EXPECT_EQ(file.decoded(file.need("a.weight")), (std::vector<float>{1, 1}));
  expect_refused(folder.write("two.pth", samples::golden("torch/two.pth")), "(netG, netD)");
}

/// One part of a GGUF model: a tensor of eight F32 and where it belongs.
std::string part(const std::string& tensor, uint64_t number, uint64_t count, uint64_t tensors) {
  Bytes out;
  out.put(uint32_t{0x46554747}).put(uint32_t{3}).put(uint64_t{1}).put(uint64_t{number == 0 ? 4U : 3U});
  if (number == 0) out.string("general.architecture").put(uint32_t{8}).string("test");
  const auto key = [&](std::string_view name, auto value, uint32_t type) {
    out.string(name).put(type).put(value);
  };
  key("split.no", static_cast<uint16_t>(number), 2);
  key("split.count", static_cast<uint16_t>(count), 2);
  key("split.tensors.count", static_cast<int32_t>(tensors), 5);
  out.text(Gguf::another(tensor, 0)).pad(32);
  for (int i = 0; i < 8; ++i) out.put(static_cast<float>(number));
  return out.str();
}

TEST(GgufParts, OpenByTheFirst) {
  const TemporaryDirectory folder;
  const auto first = folder.write("m-00001-of-00002.gguf", part("a", 0, 2, 2));
  expect_refused(first, "part 2 of 2 of the model is missing");
  const auto second = folder.write("m-00002-of-00002.gguf", part("b", 1, 2, 2));
  const ModelFile file = ModelFile::open(first);
  EXPECT_EQ(file.architecture(), "test");
  EXPECT_EQ(file.decoded(file.need("b")), std::vector<float>(8, 1));
  EXPECT_EQ(file.metadata().find("split.count"), nullptr);
  expect_refused(second, "open its first part, m-00001-of-00002.gguf");
  folder.write("m-00002-of-00002.gguf", part("a", 1, 2, 2));
  expect_refused(first, "there twice");
  folder.write("m-00002-of-00002.gguf", part("b", 2, 3, 2));
  expect_refused(first, "is not part 2 of 2");
  expect_refused(folder.write("m-00001-of-00002.gguf", part("a", 0, 2, 3)), "is not part 2 of 2");
  folder.write("m-00002-of-00002.gguf", part("b", 1, 2, 3));
  expect_refused(first, "hold 2 tensors where 3 belong");
  expect_refused(folder.write("model.gguf", part("a", 0, 2, 2)), "name the parts so");
  expect_refused(folder.write("m-00003-of-00002.gguf", part("a", 7, 2, 2)), "part 8 of 2");
}

}  // namespace
}  // namespace wattle
