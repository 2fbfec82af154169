// Conversion of a small model: which tensor takes which format, what is refused, what the file says of
// itself.
#include "models/convert.h"
#include "families/open_file.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "base/threads.h"
#include "file/gguf_writer.h"
#include "file/temporary_directory.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

class Convert : public testing::Test {
 protected:
  static std::vector<std::byte> floats(int64_t count, float spike = 0) {
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i * i % 1009));
    if (spike != 0) values[values.size() / 2] = spike;
    std::vector<std::byte> bytes(values.size() * sizeof(float));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }

  /// A BERT of one layer in F32; `spike` is put into the token embedding.
  ModelFile source(float spike = 0) {
    Metadata metadata;
    metadata.set("general.architecture", Value::of(std::string("bert")));
    metadata.set("general.file_type", Value::of(int64_t{0}));
    for (const auto& [key, value] :
         {std::pair("block_count", 1), std::pair("embedding_length", 512),
          std::pair("feed_forward_length", 96), std::pair("attention.head_count", 8),
          std::pair("context_length", 8), std::pair("vocab_size", 40)})
      metadata.set(std::string("bert.") + key, Value::of(int64_t{value}));
    metadata.set("bert.attention.layer_norm_epsilon", Value::of(1e-5));
    std::vector<TensorToWrite> tensors;
    const auto add = [&](const std::string& name, std::vector<int64_t> shape, float value = 0) {
      int64_t count = 1;
      for (const int64_t dimension : shape) count *= dimension;
      tensors.push_back({name, Format::kF32, shape, [=] { return floats(count, value); }});
    };
    const auto add_linear = [&](const std::string& name, int64_t outputs, int64_t inputs) {
      add(name + ".weight", {outputs, inputs});
      add(name + ".bias", {outputs});
    };
    const auto add_norm = [&](const std::string& name) {
      add(name + ".weight", {512});
      add(name + ".bias", {512});
    };
    add("token_embd.weight", {40, 512}, spike);
    add("position_embd.weight", {8, 512});
    add("token_types.weight", {2, 512});
    add_norm("token_embd_norm");
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_output"})
      add_linear(std::string("blk.0.") + part, 512, 512);
    add_norm("blk.0.attn_output_norm");
    add_linear("blk.0.ffn_up", 96, 512);
    add_linear("blk.0.ffn_down", 512, 96);
    add_norm("blk.0.layer_output_norm");
    const fs::path path = folder_ / "source.gguf";
    write_gguf(path, metadata, tensors);
    return open_model_file(path);
  }

  static std::string bytes_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TemporaryDirectory temporary_;
  const fs::path folder_ = temporary_.path();
};

TEST_F(Convert, EveryTensorTakesTheFormatOfTheRule) {
  const ModelFile file = source();
  const Conversion conversion = convert(file, folder_ / "out.gguf", Format::kQ4_K);
  const auto expected = [](const std::string& name) {
    if (name == "position_embd.weight") return Format::kF16;
    if (name == "blk.0.ffn_down.weight") return Format::kQ4_1;  // 256 does not divide its rows
    const bool matrix = name.ends_with(".weight") && name.find("norm") == std::string::npos;
    return matrix && name != "token_types.weight" ? Format::kQ4_K : Format::kF32;
  };
  const ModelFile written = open_model_file(folder_ / "out.gguf");
  ASSERT_EQ(written.tensors().size(), file.tensors().size());
  size_t bytes = 0;
  for (size_t i = 0; i < written.tensors().size(); ++i) {
    const Tensor& tensor = written.tensors()[i];
    EXPECT_EQ(tensor.format, expected(tensor.name)) << tensor.name;
    EXPECT_EQ(conversion.tensors[i].to, tensor.format);
    EXPECT_EQ(conversion.tensors[i].fell_back, tensor.name == "blk.0.ffn_down.weight");
    EXPECT_EQ(tensor.shape, file.tensors()[i].shape);
    bytes += tensor.bytes.size();
  }
  EXPECT_EQ(conversion.tensor_bytes, bytes);
  EXPECT_DOUBLE_EQ(conversion.bits_per_weight, bits_per_weight(written));
}

TEST_F(Convert, ItemsOfAPrecisionReachTheirTensors) {
  const ModelFile file = source();
  const Precision precision = Precision::parse("Q4_K,embedding=Q6_K,blk.0.attn_*=F16,output=Q8_0,bias=F16");
  const Conversion conversion = convert(file, folder_ / "mixed.gguf", precision);
  EXPECT_EQ(conversion.unused, (std::vector<std::string>{"output"}));
  const ModelFile mixed = ModelFile::open(folder_ / "mixed.gguf");
  EXPECT_EQ(mixed.need("token_embd.weight").format, Format::kQ6_K);
  EXPECT_EQ(mixed.need("blk.0.attn_q.weight").format, Format::kF16);
  EXPECT_EQ(mixed.need("blk.0.attn_q.bias").format, Format::kF16);
  EXPECT_EQ(mixed.need("blk.0.ffn_down.weight").format, Format::kQ4_1);
  EXPECT_EQ(precision_name(mixed), precision.name());
  EXPECT_EQ(mixed.metadata().integer("general.file_type"), 14);

  convert(mixed, folder_ / "one.gguf", Precision::parse("as-published,blk.0.ffn_down=F32"));
  const ModelFile one = ModelFile::open(folder_ / "one.gguf");
  EXPECT_EQ(one.need("blk.0.ffn_down.weight").format, Format::kF32);
  EXPECT_EQ(one.need("token_embd.weight").format, Format::kQ6_K);
  EXPECT_EQ(one.need("token_types.weight").format, Format::kF32);
  EXPECT_EQ(one.metadata().integer("general.file_type"), 14);

  convert(mixed, folder_ / "plain.gguf", Format::kQ8_0);
  const ModelFile plain = ModelFile::open(folder_ / "plain.gguf");
  EXPECT_EQ(precision_name(plain), "Q8_0");
  EXPECT_EQ(plain.metadata().text("wattle.precision"), std::nullopt);

  EXPECT_THROW(convert(file, folder_ / "no.gguf", Precision::parse("Q4_K,blk.1.*=F16")), Error);
  EXPECT_FALSE(fs::exists(folder_ / "no.gguf"));
}

TEST_F(Convert, ValuesAreThoseOfTheEncoder) {
  const ModelFile file = source();
  convert(file, folder_ / "out.gguf", Format::kQ6_K);
  const ModelFile written = open_model_file(folder_ / "out.gguf");
  const Tensor& tensor = written.need("blk.0.attn_q.weight");
  const std::vector<float> weights = file.decoded(file.need("blk.0.attn_q.weight"));
  std::vector<std::byte> expected(tensor.bytes.size());
  info(Format::kQ6_K).encode(weights, {}, expected);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), tensor.bytes.begin()));
}

TEST_F(Convert, WritesEveryFormatItOffers) {
  const ModelFile file = source();
  double last = 33;
  for (const Format format : written_formats()) {
    const Conversion conversion = convert(file, folder_ / "out.gguf", format);
    EXPECT_LE(conversion.bits_per_weight, last) << info(format).name;
    last = conversion.bits_per_weight;
  }
}

TEST_F(Convert, SaysWhatItIsAndWhereItCameFrom) {
  const ModelFile file = source();
  EXPECT_EQ(precision_name(file), "F32");
  convert(file, folder_ / "first.gguf", Format::kQ4_K);
  const ModelFile first = open_model_file(folder_ / "first.gguf");
  EXPECT_EQ(first.metadata().integer("general.file_type"), 14);
  EXPECT_EQ(first.metadata().integer("general.quantization_version"), 2);
  EXPECT_EQ(first.metadata().text("wattle.converted_from"), std::nullopt);
  EXPECT_EQ(first.architecture(), "bert");

  EXPECT_EQ(convert(first, folder_ / "second.gguf", Format::kF32).converted_from, "Q4_K_S");
  const ModelFile second = open_model_file(folder_ / "second.gguf");
  EXPECT_EQ(second.metadata().text("wattle.converted_from"), "Q4_K_S");
  EXPECT_EQ(second.metadata().integer("general.quantization_version"), std::nullopt);

  convert(second, folder_ / "third.gguf", Format::kQ8_0);
  const ModelFile third = open_model_file(folder_ / "third.gguf");
  EXPECT_EQ(third.metadata().text("wattle.converted_from"), "Q4_K_S");
  EXPECT_EQ(convert(third, folder_ / "fourth.gguf", Format::kQ4_0).converted_from, "Q4_K_S, Q8_0");
}

TEST_F(Convert, TensorsThatHaveTheFormatAreCopied) {
  convert(source(), folder_ / "first.gguf", Format::kQ3_K);
  const ModelFile first = open_model_file(folder_ / "first.gguf");
  convert(first, folder_ / "second.gguf", Format::kQ3_K);
  const ModelFile second = open_model_file(folder_ / "second.gguf");
  for (size_t i = 0; i < first.tensors().size(); ++i) {
    EXPECT_TRUE(std::equal(first.tensors()[i].bytes.begin(), first.tensors()[i].bytes.end(),
                           second.tensors()[i].bytes.begin()));
  }
}

TEST_F(Convert, SameBytesForAnyNumberOfThreads) {
  const ModelFile file = source();
  const int before = threads();
  set_threads(1);
  convert(file, folder_ / "one.gguf", Format::kQ2_K);
  set_threads(3);
  convert(file, folder_ / "three.gguf", Format::kQ2_K);
  set_threads(before);
  EXPECT_EQ(bytes_of(folder_ / "one.gguf"), bytes_of(folder_ / "three.gguf"));
}

TEST_F(Convert, UsesTheImportanceOfColumns) {
  const ModelFile file = source();
  std::vector<float> importance(512, 1.0f);
  for (size_t i = 0; i < importance.size(); i += 4) importance[i] = 50;
  ConvertOptions options;
  options.importance = [&](const Tensor& tensor) {
    return tensor.name == "blk.0.attn_q.weight" ? std::span<const float>(importance)
                                                : std::span<const float>();
  };
  options.calibration = "text.txt";
  convert(file, folder_ / "plain.gguf", Format::kQ2_K);
  convert(file, folder_ / "weighted.gguf", Format::kQ2_K, options);
  const ModelFile plain = open_model_file(folder_ / "plain.gguf"),
                  weighted = open_model_file(folder_ / "weighted.gguf");
  EXPECT_EQ(weighted.metadata().text("wattle.calibration"), "text.txt");
  for (const Tensor& tensor : plain.tensors()) {
    const Tensor& other = weighted.need(tensor.name);
    const bool same = std::equal(tensor.bytes.begin(), tensor.bytes.end(), other.bytes.begin());
    EXPECT_EQ(same, tensor.name != "blk.0.attn_q.weight") << tensor.name;
  }
}

TEST_F(Convert, RefusesWeightsThatAreNoNumbers) {
  for (const float spike : {NAN, INFINITY}) {
    const ModelFile file = source(spike);
    for (const Format format : {Format::kQ4_0, Format::kF16}) {
      try {
        convert(file, folder_ / "out.gguf", format);
        FAIL() << "no error";
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("token_embd.weight"), std::string::npos) << error.what();
      }
      EXPECT_FALSE(fs::exists(folder_ / "out.gguf"));
    }
  }
}

TEST_F(Convert, RefusesToWriteOverItsInputOrIntoNothing) {
  const ModelFile file = source();
  const std::string before = bytes_of(file.path());
  EXPECT_THROW(convert(file, file.path(), Format::kQ8_0), Error);
  fs::create_symlink(file.path(), folder_ / "link.gguf");
  EXPECT_THROW(convert(file, folder_ / "link.gguf", Format::kQ8_0), Error);
  EXPECT_EQ(bytes_of(file.path()), before);
  EXPECT_THROW(convert(file, folder_ / "absent" / "out.gguf", Format::kQ8_0), Error);
  EXPECT_THROW(convert(file, folder_ / "out.gguf", Format::kIQ4_XS), Error);
  EXPECT_THROW(convert(file, folder_ / "out.gguf", Format::kI8), Error);
  EXPECT_FALSE(fs::exists(folder_ / "out.gguf"));
}

}  // namespace
}  // namespace wattle
