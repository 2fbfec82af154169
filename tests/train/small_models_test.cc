// What the smallest machines run, beside the reference: also compiled for 32-bit ARM and x86-64-v1
// (tools/test).
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "file/readers.h"
#include "train/embedder.h"
#include "train/head.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

const fs::path kSmall = WATTLE_SOURCE_DIR "/tests/golden/small_models";
const fs::path kStatic = WATTLE_SOURCE_DIR "/tests/golden/static/m2v_float32";

/// scikit-learn's and model2vec's values (tests/golden/make_small_models.py).
const nlohmann::json& golden() {
  static const nlohmann::json values = [] {
    std::ifstream file(kSmall / "expected.json");
    return nlohmann::json::parse(file);
  }();
  return values;
}

void expect_near(std::span<const float> found, const nlohmann::json& expected, double bound,
                 const std::string& text) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i].get<double>(), bound) << i << " of \"" << text << '"';
}

TEST(SmallModels, HeadsOnTextsAnswerAsTheReference) {
  const auto texts = golden()["texts"].get<std::vector<std::string>>();
  for (const char* kind : {"linear", "forest"}) {
    Head head = Head::load(ModelFile::open(kSmall / (std::string(kind) + ".gguf")));
    Work work;
    for (size_t i = 0; i < texts.size(); ++i) {
      const Prediction prediction = head.predict(texts[i], work);
      expect_near(prediction.scores, golden()[kind][i], 1e-6, texts[i]);
    }
  }
}

TEST(SmallModels, StaticEmbeddingsAndTheHeadOnThemAnswerAsTheReference) {
  const auto model = Model::open(kStatic.string());
  Embedder embedder(*model);
  Head head = Head::load(ModelFile::open(kSmall / "on_static.gguf"));
  ASSERT_TRUE(head.base());
  EXPECT_EQ(fingerprint(model->file()), head.base()->fingerprint);
  const auto texts = golden()["static_texts"].get<std::vector<std::string>>();
  Matrix embeddings;
  embedder.embed(std::vector<std::string_view>(texts.begin(), texts.end()), embeddings);
  Work work;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto row = std::as_const(embeddings).row(static_cast<int64_t>(i));
    expect_near(row, golden()["static"][i], 1e-5, texts[i]);
    expect_near(head.predict(row, work).scores, golden()["on_static"][i], 1e-5, texts[i]);
  }
}

/// A head file with one byte or one length changed everywhere, and cut anywhere: refused or read, never read
/// beyond its end. Where addresses have 32 bits, lengths of 64 are refused before they are cut to that.
TEST(SmallModels, DamagedFilesAreRefusedByName) {
  const fs::path path = fs::temp_directory_path() / ("wattle_small_" + std::to_string(::getpid()) + ".gguf");
  for (const char* kind : {"linear", "forest"}) {
    std::ifstream file(kSmall / (std::string(kind) + ".gguf"), std::ios::binary);
    const std::string whole(std::istreambuf_iterator<char>(file), {});
    int refused = 0;
    const auto try_bytes = [&](const std::string& bytes) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
      try {
        Work work;
        Head::load(ModelFile::open(path)).predict("the flight is late", work);
      } catch (const Error& error) {
        ++refused;
        EXPECT_NE(std::string(error.what()).find(path.filename().string()), std::string::npos)
            << error.what();
      }
    };
    for (size_t place = 0; place + 8 <= whole.size(); place += 101) {
      for (const uint64_t length : {(uint64_t{1} << 32) + 4, ~uint64_t{0}, uint64_t{1} << 30}) {
        std::string bytes = whole;
        std::memcpy(bytes.data() + place, &length, sizeof length);
        try_bytes(bytes);
      }
      try_bytes(whole.substr(0, place));
    }
    EXPECT_GT(refused, static_cast<int>(whole.size() / 101));
  }
  fs::remove(path);
}

/// 2^30 rows of 16 bytes are 2^34: a size that 32 bits hold as nothing.
TEST(SmallModels, TensorsBeyondTheAddressesAreRefused) {
  const std::vector<int64_t> shape = {int64_t{1} << 30, 4};
  if constexpr (sizeof(size_t) == 4) {
    EXPECT_THROW(checked_bytes(Format::kF32, shape, "x", "t"), Error);
  } else {
    EXPECT_EQ(checked_bytes(Format::kF32, shape, "x", "t"), size_t{1} << 34);
  }
}

}  // namespace
}  // namespace wattle
