// Packed files: matrices as the kernels stream them, from the mapping.
#include "families/open_file.h"
#include "file/packed_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "file/gguf_writer.h"
#include "file/temporary_directory.h"
#include "models/convert.h"
#include "models/model.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

fs::path golden(const std::string& name) {
  const fs::path folder = fs::path(WATTLE_SOURCE_DIR) / "tests/golden/models" / name;
  return fs::exists(folder / "model.gguf") ? folder / "model.gguf" : folder;
}

const std::vector<TokenId> kTokens = {3, 1, 4, 1, 5, 9, 2, 6};

// Hidden states of an encoder, logits of a decoder.
std::vector<float> outputs(const fs::path& path) {
  const auto model = Model::open(path);
  Matrix out;
  Work work;
  if (model->encoder() != nullptr) {
    Ragged<TokenId> tokens;
    tokens.append(kTokens);
    out.resize(static_cast<int64_t>(kTokens.size()), model->encoder()->width());
    model->encoder()->hidden_states(tokens, out.view(), work);
  } else {
    const auto cache = model->decoder()->new_cache(16);
    const DecoderInput input{cache.get(), kTokens};
    model->decoder()->forward({&input, 1}, LogitsWanted::kAll, out, work);
  }
  return {out.data(), out.data() + out.rows() * out.columns()};
}

class Packed : public testing::TestWithParam<const char*> {
 protected:
  fs::path converted(const std::string& name, const Precision& precision, bool packed) const {
    ConvertOptions options;
    options.packed = packed;
    convert(open_model_file(golden(GetParam())), folder_ / name, precision, options);
    return folder_ / name;
  }

  TemporaryDirectory temporary_;
  const fs::path folder_ = temporary_.path();
};

TEST_P(Packed, RunsToTheSameBits) {
  for (const Format format : {Format::kF32, Format::kBF16, Format::kQ8_0, Format::kQ5_1, Format::kQ4_0}) {
    const fs::path plain = converted("plain.gguf", format, false),
                   packed = converted("packed.gguf", format, true);
    EXPECT_EQ(outputs(packed), outputs(plain)) << info(format).name;
  }
}

TEST_P(Packed, KeepsFormatsTypesAndSizesAndTheArchitecture) {
  const fs::path plain = converted("plain.gguf", Format::kQ5_1, false);
  ConvertOptions options;
  options.packed = true;
  const ModelFile before = open_model_file(plain);
  const Conversion conversion = convert(before, folder_ / "packed.gguf", {}, options);
  const ModelFile after = open_model_file(folder_ / "packed.gguf");
  EXPECT_EQ(after.architecture(), before.architecture());
  EXPECT_EQ(precision_name(after), precision_name(before));
  ASSERT_EQ(after.tensors().size(), before.tensors().size());
  size_t packed = 0;
  for (const Tensor& tensor : before.tensors()) {
    const Tensor& same = after.need(tensor.name, tensor.shape);
    EXPECT_EQ(same.format, tensor.format);
    EXPECT_EQ(same.bytes.size(), tensor.bytes.size());
    packed += same.packed ? 1 : 0;
    if (same.packed) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(same.bytes.data()) % 64, 0u) << tensor.name;
    }
  }
  EXPECT_GT(packed, 0u);
  EXPECT_EQ(conversion.converted_from, "");
}

TEST_P(Packed, IsNeverReadAsRows) {
  const ModelFile file = open_model_file(converted("packed.gguf", Format::kQ5_1, true));
  const auto tensor =
      std::ranges::find_if(file.tensors(), [](const Tensor& candidate) { return candidate.packed; });
  ASSERT_NE(tensor, file.tensors().end());
  EXPECT_THROW(file.decoded(*tensor), Error);
  EXPECT_THROW(convert(file, folder_ / "again.gguf", Format::kQ4_0), Error);
  EXPECT_FALSE(fs::exists(folder_ / "again.gguf"));
}

TEST_P(Packed, RefusesAnotherVersionAndMatricesThatAreNotThere) {
  const ModelFile file = open_model_file(converted("packed.gguf", Format::kQ5_1, true));
  const auto write = [&](const std::string& key, Value value) {
    Metadata metadata = file.metadata();
    metadata.set("general.architecture", Value::of(std::string(kPackedArchitecture)));
    metadata.set(key, std::move(value));
    std::vector<TensorToWrite> tensors;
    for (const Tensor& tensor : file.tensors()) {
      tensors.push_back({tensor.name, tensor.format, tensor.shape, [&tensor] {
                           return std::vector<std::byte>(tensor.bytes.begin(), tensor.bytes.end());
                         }});
    }
    write_gguf(folder_ / "other.gguf", metadata, tensors);
    return folder_ / "other.gguf";
  };
  EXPECT_THROW(Model::open(write(std::string(kPackedVersion), Value::of(int64_t{999}))), Error);
  EXPECT_THROW(Model::open(write(std::string(kPackedTensors), Value::of(std::vector<std::string>{"absent"}))),
               Error);
}

TEST_P(Packed, MatricesThatDoNotLieTogetherOrAlignedAreCopied) {
  const fs::path packed = converted("packed.gguf", Format::kQ5_1, true);
  const std::vector<float> expected = outputs(packed);
  const ModelFile file = open_model_file(packed);
  Metadata metadata = file.metadata();
  metadata.set("general.architecture", Value::of(std::string(kPackedArchitecture)));
  metadata.set("general.alignment", Value::of(int64_t{32}));
  std::vector<TensorToWrite> tensors;
  for (const Tensor& tensor : file.tensors()) {
    tensors.insert(tensors.begin(),
                   {tensor.name, tensor.format, tensor.shape,
                    [&tensor] { return std::vector<std::byte>(tensor.bytes.begin(), tensor.bytes.end()); }});
  }
  write_gguf(folder_ / "reversed.gguf", metadata, tensors);
  EXPECT_EQ(outputs(folder_ / "reversed.gguf"), expected);
}

INSTANTIATE_TEST_SUITE_P(Families, Packed, testing::Values("bert", "mpnet", "llama", "qwen2", "gemma3"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace wattle
