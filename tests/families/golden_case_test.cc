#include "families/golden_case.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "base/json.h"

namespace wattle::golden {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The header and the tensors' bytes of a safetensors file.
struct File {
  nlohmann::json header;
  std::string data;

  explicit File(const std::filesystem::path& path) {
    const std::string all = contents(path);
    uint64_t length = 0;
    std::memcpy(&length, all.data(), sizeof length);
    header = nlohmann::json::parse(all.substr(8, length));
    data = all.substr(8 + length);
  }
  std::string bytes(const std::string& name) const {
    const size_t begin = header.at(name).at("data_offsets")[0], end = header.at(name).at("data_offsets")[1];
    return data.substr(begin, end - begin);
  }
  std::vector<float> values(const std::string& name) const {
    std::vector<float> out(bytes(name).size() / sizeof(float));
    std::memcpy(out.data(), bytes(name).data(), out.size() * sizeof(float));
    return out;
  }
};

const Case& gpt2() {
  static const Case one(std::filesystem::path(WATTLE_SOURCE_DIR) / "tests/golden/families/gpt2/base.json");
  return one;
}

TEST(GoldenCase, DrawsTheValuesThatTheScriptDraws) {
  const auto checks =
      read_json_file(std::filesystem::path(WATTLE_SOURCE_DIR) / "tests/golden/families/drawing.json");
  ASSERT_GE(checks.size(), 3u);
  for (const auto& check : checks) {
    const auto name = check.at("name").get<std::string>();
    EXPECT_EQ(std::to_string(seed(name)), check.at("seed").get<std::string>());
    const auto want = check.at("values").get<std::vector<float>>();
    std::vector<float> got(want.size());
    draw(name, check.at("scale"), check.at("offset"), got);
    EXPECT_EQ(got, want) << name;
  }
}

TEST(GoldenCase, EveryCaseIsWholeAndItsNumbersAreFinite) {
  const auto files = case_files();
  ASSERT_FALSE(files.empty());
  for (const auto& path : files) {
    const Case one(path);
    SCOPED_TRACE(one.label());
    EXPECT_TRUE(one.config().contains("model_type"));
    EXPECT_FALSE(one.tensors().empty());
    size_t live = 0;
    for (const Tensor& tensor : one.tensors()) {
      EXPECT_GT(tensor.elements(), 0) << tensor.name;
      live += !tensor.buffer && !tensor.ignored && !tensor.inert && tensor.same_as.empty();
    }
    EXPECT_GT(live, 2u);
    std::vector<bool> answered(one.sequences().size());
    for (const Output& output : one.outputs()) {
      answered[output.sequence] = true;
      for (int64_t i = 0; i < output.values.rows; ++i) {
        for (const float value : output.values.row(i)) ASSERT_TRUE(std::isfinite(value)) << output.kind;
      }
    }
    for (const bool each : answered) EXPECT_TRUE(each);
    for (const Generation& generation : one.generations()) {
      EXPECT_FALSE(generation.expect.empty());
      EXPECT_LE(static_cast<int64_t>(generation.expect.size()), generation.max_new_tokens);
    }
  }
}

TEST(GoldenCase, TheFolderHoldsWhatTheCaseSaysAndGoesWithTheObject) {
  auto folder = gpt2().write_folder();
  const auto path = folder->path();
  EXPECT_EQ(nlohmann::json::parse(contents(path / "config.json")), gpt2().config());
  const File file(path / "model.safetensors");
  EXPECT_EQ(file.header.size(), gpt2().tensors().size() + 1);
  for (const Tensor& tensor : gpt2().tensors()) {
    EXPECT_EQ(file.header.at(tensor.name).at("shape"), nlohmann::json(tensor.shape));
    EXPECT_EQ(file.bytes(tensor.name).size(), static_cast<size_t>(tensor.elements()) * 4) << tensor.name;
  }
  const auto mask = file.values("h.0.attn.bias");
  const int64_t length = gpt2().config().at("n_positions");
  for (int64_t i = 0; i < length; ++i) {
    for (int64_t j = 0; j < length; ++j)
      ASSERT_EQ(mask[static_cast<size_t>(i * length + j)], j <= i ? 1.0f : 0.0f) << i << "," << j;
  }
  folder.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(GoldenCase, ChangesMoveOneTensorOrOneKey) {
  const auto plain = gpt2().write_folder();
  Changes changes;
  changes.redraw = {"h.1.ln_1.weight"};
  changes.multiply = {{"wte.weight", 3.0f}};
  changes.remove = {"h.2.attn.bias"};
  changes.config = {{"n_head", 2}, {"n_inner", nullptr}};
  const auto changed = gpt2().write_folder(changes);
  const File before(plain->path() / "model.safetensors"), after(changed->path() / "model.safetensors");
  for (const Tensor& tensor : gpt2().tensors()) {
    SCOPED_TRACE(tensor.name);
    if (tensor.name == "h.2.attn.bias") {
      EXPECT_FALSE(after.header.contains(tensor.name));
    } else if (tensor.name == "h.1.ln_1.weight") {
      EXPECT_NE(before.values(tensor.name), after.values(tensor.name));
    } else if (tensor.name == "wte.weight") {
      const auto small = before.values(tensor.name), large = after.values(tensor.name);
      for (size_t i = 0; i < small.size(); ++i) ASSERT_EQ(large[i], small[i] * 3.0f);
    } else {
      EXPECT_EQ(before.bytes(tensor.name), after.bytes(tensor.name));
    }
  }
  auto config = gpt2().config();
  config["n_head"] = 2;
  config.erase("n_inner");
  EXPECT_EQ(nlohmann::json::parse(contents(changed->path() / "config.json")), config);
}

TEST(GoldenCase, AChangeOfAnUnknownTensorIsRefused) {
  Changes changes;
  changes.redraw = {"h.9.ln_1.weight"};
  EXPECT_THROW(gpt2().write_folder(changes), Error);
}

TEST(GoldenCase, CopiesFollowTheTensorThatTheyRepeat) {
  const Case t5(std::filesystem::path(WATTLE_SOURCE_DIR) / "tests/golden/families/t5/base.json");
  Changes changes;
  changes.multiply = {{"shared.weight", 2.0f}};
  for (const Changes& each : {Changes{}, changes}) {
    const auto folder = t5.write_folder(each);
    const File file(folder->path() / "model.safetensors");
    for (const char* copy : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"})
      EXPECT_EQ(file.bytes(copy), file.bytes("shared.weight")) << copy;
  }
}

TEST(GoldenCase, RelativeDifferenceSeesOneValue) {
  const std::vector<float> want = {1, -4, 2, 0};
  std::vector<float> got = want;
  EXPECT_EQ(relative_difference({got.data(), 2, 2}, {want.data(), 2, 2}), 0);
  got[3] = 1;
  EXPECT_DOUBLE_EQ(relative_difference({got.data(), 2, 2}, {want.data(), 2, 2}), 0.25);
  EXPECT_TRUE(std::isinf(relative_difference({got.data(), 1, 4}, {want.data(), 2, 2})));
  got[3] = std::nanf("");
  EXPECT_TRUE(std::isinf(relative_difference({got.data(), 2, 2}, {want.data(), 2, 2})));
}

}  // namespace
}  // namespace wattle::golden
