// Statistics of the inputs of linear layers: their arithmetic, and that every linear layer of a family is
// seen.
#include "models/calibrate.h"
#include "families/open_file.h"

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "models/model.h"

namespace wattle {
namespace {

TEST(InputStatistics, MeanSquareOfEachColumn) {
  InputStatistics statistics;
  const std::vector<float> first = {1, 2, 3, -4}, second = {5, 0, NAN, 1};
  statistics.add("a.weight", ConstMatrixView(first.data(), 2, 2));
  statistics.add("a.weight", ConstMatrixView(second.data(), 2, 2));  // its second row is not finite
  Tensor tensor;
  tensor.name = "a.weight";
  tensor.shape = {7, 2};
  const std::span<const float> means = statistics.of(tensor);
  ASSERT_EQ(means.size(), 2u);
  EXPECT_FLOAT_EQ(means[0], (1 + 9 + 25) / 3.0f);
  EXPECT_FLOAT_EQ(means[1], (4 + 16 + 0) / 3.0f);
  tensor.shape = {7, 3};
  EXPECT_TRUE(statistics.of(tensor).empty());
  tensor.name = "b.weight";
  EXPECT_TRUE(statistics.of(tensor).empty());
}

/// Names of tensors that a model of tests/golden/models showed inputs of, each with the columns of its input.
std::set<std::pair<std::string, int64_t>> observed(const std::string& family) {
  std::set<std::pair<std::string, int64_t>> seen;
  LoadOptions options;
  options.observe_input = [&](std::span<const std::string> tensors, ConstMatrixView input) {
    for (const std::string& tensor : tensors) seen.insert({tensor, input.columns});
  };
  const auto model = Model::open(WATTLE_SOURCE_DIR "/tests/golden/models/" + family, options);
  const std::vector<TokenId> tokens = {1, 2, 3};
  Work work;
  Matrix out;
  if (model->encoder() != nullptr) {
    Ragged<TokenId> batch;
    batch.append(tokens);
    out.resize(3, model->encoder()->width());
    model->encoder()->hidden_states(batch, out.view(), work);
  } else {
    const auto cache = model->decoder()->new_cache(8);
    const DecoderInput input{cache.get(), tokens};
    model->decoder()->forward({&input, 1}, LogitsWanted::kAll, out, work);
  }
  return seen;
}

class Observer : public testing::TestWithParam<std::string> {};

TEST_P(Observer, SeesEveryLinearLayer) {
  std::set<std::pair<std::string, int64_t>> expected;
  const ModelFile file = open_model_file(WATTLE_SOURCE_DIR "/tests/golden/models/" + GetParam());
  const bool decoder = file.find("output_norm.weight") != nullptr;
  for (const Tensor& tensor : file.tensors()) {
    const bool in_block = tensor.name.starts_with("blk.") && tensor.shape.size() == 2 &&
                          tensor.name.find("rel_b") == std::string::npos;
    const bool head =
        tensor.name == (file.find("output.weight") != nullptr ? "output.weight" : "token_embd.weight");
    if (in_block || (decoder && head)) expected.insert({tensor.name, tensor.row_length()});
  }
  ASSERT_FALSE(expected.empty());
  EXPECT_EQ(observed(GetParam()), expected);
}
INSTANTIATE_TEST_SUITE_P(EveryFamily, Observer, testing::Values("bert", "mpnet", "llama", "qwen2"),
                         [](const auto& tested) { return tested.param; });

TEST(Calibrate, RefusesAModelWithoutTokenizer) {
  const std::vector<std::string> texts = {"a text"};
  EXPECT_THROW(calibrate(WATTLE_SOURCE_DIR "/tests/golden/models/llama", texts, 100), Error);
}

}  // namespace
}  // namespace wattle
