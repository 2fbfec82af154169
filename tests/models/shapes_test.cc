#include "models/shapes.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "models/model.h"

namespace wattle {
namespace {

int64_t parameters(const ModelFile& file) {
  int64_t sum = 0;
  for (const Tensor& tensor : file.tensors()) sum += tensor.elements();
  return sum;
}

// Parameter counts that the models' authors publish (without BERT's pooler, 590,592, and heads).
TEST(Shapes, TakeAWholePrecision) {
  const ModelFile file =
      shape_file("shape:bert-tiny@Q8_0,blk.0.ffn_down=Q5_1,embedding=F16,activations=q8-row");
  EXPECT_EQ(file.need("token_embd.weight").format, Format::kF16);
  EXPECT_EQ(file.need("blk.0.ffn_down.weight").format, Format::kQ5_1);
  EXPECT_EQ(file.need("blk.1.ffn_down.weight").format, Format::kQ8_0);
  EXPECT_EQ(shape_file("shape:bert-tiny@as-published,blk.0.ffn_down=Q5_1").need("blk.0.ffn_up.weight").format,
            Format::kF32);
  EXPECT_EQ(shape_at("shape:bert-tiny@F16", Precision::parse("W8A8,cache=F32")), "shape:bert-tiny@Q8_0");
  EXPECT_EQ(shape_precision("shape:bert-tiny@w8a8").activations(), Activations::kW8A8);
  EXPECT_EQ(shape_precision("shape:bert-tiny"), Precision());
}

TEST(Shapes, HaveThePublishedParameters) {
  EXPECT_EQ(parameters(shape_file("shape:bert-base-uncased")), 109482240 - 590592);
  EXPECT_EQ(parameters(shape_file("shape:all-minilm-l6-v2")), 22713216 - 384 * 384 - 384);
  EXPECT_EQ(parameters(shape_file("shape:llama-2-7b")), 6738415616);
  EXPECT_EQ(parameters(shape_file("shape:tinyllama-1.1b")), 1100048384);
  EXPECT_EQ(parameters(shape_file("shape:llama-3-8b")), 8030261248);
  EXPECT_EQ(parameters(shape_file("shape:smollm2-135m")), 134515008);
  EXPECT_EQ(parameters(shape_file("shape:qwen2.5-0.5b")), 494032768);
  EXPECT_EQ(parameters(shape_file("shape:qwen2-7b")), 7615616512);
  EXPECT_EQ(parameters(shape_file("shape:gemma-3-270m")), 268098176);
}

TEST(Shapes, EveryOneIsComplete) {
  for (const std::string& name : shape_names()) {
    const ModelFile file = shape_file("shape:" + name + "@Q4_K");
    EXPECT_EQ(file.kind(), "shape") << name;
    EXPECT_FALSE(file.metadata().need_text("wattle.shape.tokenizer").empty()) << name;
    std::set<std::string> names;
    for (const Tensor& tensor : file.tensors()) {
      EXPECT_TRUE(names.insert(tensor.name).second) << name << " " << tensor.name;
      EXPECT_NO_THROW(row_bytes(tensor.format, static_cast<size_t>(tensor.row_length())))
          << name << " " << tensor.name;
    }
  }
}

TEST(Shapes, WeightsAreNormalAndRepeatable) {
  const Tensor tensor{"blk.0.ffn_up.weight", Format::kQ4_K, {64, 512}, {}};
  const std::vector<std::byte> bytes = shape_bytes(tensor);
  EXPECT_EQ(bytes, shape_bytes(tensor));
  Tensor other = tensor;
  other.name = "blk.1.ffn_up.weight";
  EXPECT_NE(bytes, shape_bytes(other));
  std::vector<float> values(64 * 512);
  decode(tensor.format, bytes, values);
  double mean = 0, squares = 0;
  for (const float value : values) mean += value / 32768.0, squares += double{value} * value / 32768.0;
  EXPECT_NEAR(mean, 0, 1e-3);
  EXPECT_NEAR(std::sqrt(squares), 0.02, 1e-3);
}

TEST(Shapes, RunAsModels) {
  const auto bert = Model::open("shape:bert-tiny@Q8_0");
  EXPECT_TRUE(bert->is_shape());
  Ragged<TokenId> tokens;
  const std::vector<TokenId> ids{101, 7592, 2088, 102};
  tokens.append(ids);
  Matrix hidden(4, bert->encoder()->width());
  Work work;
  bert->encoder()->hidden_states(tokens, hidden.view(), work);
  for (int64_t i = 0; i < 4 * hidden.columns(); ++i) ASSERT_TRUE(std::isfinite(hidden.data()[i]));
  EXPECT_GT(work.macs_int8, 0);
}

TEST(Shapes, CountTokensWithoutAVocabulary) {
  const auto bert = Model::open("shape:bert-tiny@Q8_0");
  EXPECT_EQ(bert->tokenizer().kind(), "four bytes a token");
  const std::vector<TokenId> ids = bert->tokenizer().encode("A sentence of thirty-two bytes.!");
  EXPECT_EQ(ids.size(), 8u + 2);
  for (const TokenId id : ids) EXPECT_TRUE(id >= 0 && id < 30522);
  EXPECT_EQ(bert->tokenizer().encode("", {.add_special = false}).size(), 0u);
}

TEST(Shapes, UnknownNamesAndFormatsAreRefused) {
  EXPECT_THROW(shape_file("shape:bert-gigantic"), Error);
  EXPECT_THROW(shape_file("shape:"), Error);
  EXPECT_THROW(shape_file("shape:bert-tiny@Q9_9"), Error);
  EXPECT_THROW(shape_file("shape:bert-tiny@I32"), Error);
  EXPECT_THROW(shape_file("shape:bert-tiny@Q8_0,blk.99.*=F16"), Error);
}

}  // namespace
}  // namespace wattle
