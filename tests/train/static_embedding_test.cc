#include <gtest/gtest.h>
#include <unistd.h>
#include <wattle/error.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "base/threads.h"
#include "families/open_file.h"
#include "models/convert.h"
#include "train/embedder.h"
#include "train/static_embedding.h"
#include "train/trainer.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = WATTLE_SOURCE_DIR "/tests/golden/static";

double largest_difference(std::span<const float> a, const nlohmann::json& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i].get<double>()));
  return largest;
}

class StaticEmbeddings : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(kGolden / "expected.json");
    golden_ = nlohmann::json::parse(file);
    texts_ = golden_["texts"].get<std::vector<std::string>>();
    folder_ = fs::temp_directory_path() / ("wattle_static_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path distilled(const DistilOptions& options) const {
    const fs::path path = folder_ / "static.gguf";
    distillation_ = distil((kGolden / "teacher").string(), path, options);
    return path;
  }
  int64_t width() const { return golden_["width"].get<int64_t>(); }

  nlohmann::json golden_;
  std::vector<std::string> texts_;
  fs::path folder_;
  mutable Distillation distillation_;
};

Matrix embed(const fs::path& path, const std::vector<std::string>& texts) {
  const auto model = Model::open(path.string());
  Embedder embedder(*model);
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  Matrix embeddings;
  embedder.embed(views, embeddings);
  return embeddings;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double product = 0, squares_a = 0, squares_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    product += static_cast<double>(a[i]) * b[i];
    squares_a += static_cast<double>(a[i]) * a[i];
    squares_b += static_cast<double>(b[i]) * b[i];
  }
  return squares_a == 0 && squares_b == 0 ? 1 : product / std::sqrt(squares_a * squares_b);
}

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(StaticEmbeddings, PublishedModelsGiveWhatModel2vecGives) {
  for (const auto& [name, expected] : golden_["published"].items()) {
    const Matrix found = embed(kGolden / name, texts_);
    // model2vec rounds what it makes of float16 to float16.
    const double bound = name == "m2v_shared" ? 1e-3 : 1e-5;
    for (size_t i = 0; i < texts_.size(); ++i) {
      double scale = 1e-6;
      for (const auto& value : expected[i]) scale = std::max(scale, std::abs(value.get<double>()));
      EXPECT_LE(largest_difference(found.row(static_cast<int64_t>(i)), expected[i]), bound * scale)
          << name << " \"" << texts_[i] << '"';
    }
  }
}

TEST_F(StaticEmbeddings, ADistillationIsThatOfTheReference) {
  const fs::path path = distilled({.width = width()});
  EXPECT_EQ(distillation_.tokens, static_cast<int64_t>(golden_["distilled"].size()));
  EXPECT_EQ(distillation_.width, width());
  EXPECT_EQ(distillation_.teacher_width, 32);
  const ModelFile file = open_model_file(path);
  const Tensor& table = file.need("token_embd.weight");
  const std::vector<float> values = file.decoded(table);
  double squares = 0, wrong = 0;
  std::vector<bool> there(static_cast<size_t>(table.rows()), false);
  for (const auto& entry : golden_["distilled"]) {
    const auto id = entry[0].get<size_t>();
    there[id] = true;
    for (size_t c = 0; c < static_cast<size_t>(width()); ++c) {
      const double want = entry[1][c].get<double>();
      const double off = values[id * static_cast<size_t>(width()) + c] - want;
      squares += want * want, wrong += off * off;
    }
  }
  EXPECT_LE(std::sqrt(wrong / squares), 1e-4);
  for (size_t id = 0; id < there.size(); ++id) {
    if (there[id]) continue;
    for (size_t c = 0; c < static_cast<size_t>(width()); ++c)
      EXPECT_EQ(values[id * static_cast<size_t>(width()) + c], 0) << id;
  }
}

TEST_F(StaticEmbeddings, EveryComponentKeepsTheTeachersDistances) {
  (void)distilled({.width = 1000});
  EXPECT_EQ(distillation_.width, 32);
  EXPECT_NEAR(distillation_.variance, 1, 1e-9);
  (void)distilled({.width = 4});
  EXPECT_LT(distillation_.variance, 0.9);
}

TEST_F(StaticEmbeddings, AnyNumberOfThreadsWritesTheSameBytes) {
  const int before = threads();
  std::vector<std::string> files;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    files.push_back(bytes_of(distilled({.width = width()})));
  }
  set_threads(before);
  EXPECT_EQ(files[0], files[1]);
  EXPECT_EQ(files[0], files[2]);
}

TEST_F(StaticEmbeddings, EveryPrecisionKeepsTheTextsAndTheFingerprint) {
  const fs::path path = distilled({.width = 32});
  const Matrix all = embed(path, texts_);
  const std::string print = fingerprint(open_model_file(path));
  for (const auto& [to, least] :
       {std::pair("F16", 0.99999), {"BF16", 0.9999}, {"Q8_0", 0.9998}, {"Q4_0", 0.96}}) {
    const ModelFile file = open_model_file(path);
    const fs::path converted = folder_ / "converted.gguf";
    convert(file, converted, Precision::parse(to));
    EXPECT_EQ(fingerprint(open_model_file(converted)), print) << to;
    const Matrix found = embed(converted, texts_);
    for (int64_t i = 0; i < found.rows(); ++i)
      EXPECT_GE(cosine(found.row(i), all.row(i)), least)
          << to << " \"" << texts_[static_cast<size_t>(i)] << '"';
  }
  ConvertOptions options;
  options.packed = true;
  convert(open_model_file(path), folder_ / "packed.gguf", Precision::parse("Q8_0"), options);
  const Matrix packed = embed(folder_ / "packed.gguf", texts_);
  convert(open_model_file(path), folder_ / "rows.gguf", Precision::parse("Q8_0"));
  const Matrix rows = embed(folder_ / "rows.gguf", texts_);
  EXPECT_TRUE(std::equal(rows.data(), rows.data() + rows.rows() * rows.columns(), packed.data()));
  const std::string other = fingerprint(open_model_file(kGolden / "m2v_float32"));
  EXPECT_NE(other, print);
  EXPECT_NE(other, fingerprint(open_model_file(kGolden / "m2v_shared")));
}

TEST_F(StaticEmbeddings, AFolderKeepsItsFingerprintWhenItIsConverted) {
  const ModelFile folder = open_model_file(kGolden / "m2v_shared");
  convert(folder, folder_ / "shared.gguf", Precision::parse("F32"));
  EXPECT_EQ(fingerprint(open_model_file(folder_ / "shared.gguf")), fingerprint(folder));
  const Matrix found = embed(folder_ / "shared.gguf", texts_),
               expected = embed(kGolden / "m2v_shared", texts_);
  for (int64_t i = 0; i < found.rows(); ++i) EXPECT_GE(cosine(found.row(i), expected.row(i)), 0.999999);
}

TEST_F(StaticEmbeddings, CommonWordsOfTheTextsBecomeTokens) {
  const std::vector<std::string> texts = {"Unboring films", "unboring!", "boring film", "the unboring film"};
  const fs::path path = distilled({.width = 32, .texts = texts, .word_count = 3});
  EXPECT_EQ(distillation_.words, 1);  // boring and film(s) are no pieces, or occur too seldom
  const auto model = Model::open(path.string());
  const auto plain = Model::open((kGolden / "teacher").string());
  const EncodeOptions bare{.add_special = false};
  EXPECT_GT(plain->tokenizer().encode("unboring", bare).size(), 1U);
  EXPECT_EQ(model->tokenizer().encode("UNBORING", bare), std::vector<TokenId>{plain->tokenizer().size()});
  EXPECT_EQ(model->tokenizer().encode("the plot", bare), plain->tokenizer().encode("the plot", bare));
  const Matrix found = embed(path, {"unboring"});
  EXPECT_NE(found.row(0)[0], 0);
}

TEST_F(StaticEmbeddings, HeadsAreTrainedOnThem) {
  const fs::path path = distilled({.width = 32});
  const std::vector<std::string> texts = {
      "the film was very good", "wonderful movie", "great acting", "good plot",
      "the film was very bad",  "boring movie",    "awful acting", "bad plot"};
  const std::vector<int> labels = {0, 0, 0, 0, 1, 1, 1, 1};
  const Matrix embeddings = embed(path, texts);
  const BaseModel base{path.string(), fingerprint(open_model_file(path)), embeddings.columns()};
  for (const HeadKind kind : {HeadKind::kLinear, HeadKind::kNearest}) {
    Head head = train_on_embeddings(embeddings.view(), base, labels, {"good", "bad"},
                                    {.kind = kind, .costs = {16}, .neighbours = {1}});
    head.save(folder_ / "head.gguf");
    Head loaded = Head::load(open_model_file(folder_ / "head.gguf"));
    EXPECT_EQ(loaded.kind(), kind);
    EXPECT_EQ(loaded.parameters(), head.parameters());
    Work work;
    for (size_t i = 0; i < texts.size(); ++i) {
      const Prediction a = head.predict(embeddings.row(static_cast<int64_t>(i)), work);
      const Prediction b = loaded.predict(embeddings.row(static_cast<int64_t>(i)), work);
      EXPECT_EQ(a.label, labels[i]) << name(kind) << " " << texts[i];
      EXPECT_EQ(a.scores.size(), b.scores.size());
      for (size_t k = 0; k < a.scores.size(); ++k) EXPECT_NEAR(a.scores[k], b.scores[k], 1e-6);
    }
  }
}

TEST_F(StaticEmbeddings, NearestHeadsOnNgramsOrTokensAreRefused) {
  const std::vector<std::string> texts = {"a b", "c d"};
  const std::vector<int> labels = {0, 1};
  EXPECT_THROW(train_on_ngrams(texts, labels, {"x", "y"}, {.kind = HeadKind::kNearest}), Error);
  Matrix hidden(2, 4);
  std::fill_n(hidden.data(), 8, 1.0f);
  EXPECT_THROW(train_on_tokens(hidden.view(), {}, labels, {"x", "y"}, {.kind = HeadKind::kNearest}), Error);
}

TEST_F(StaticEmbeddings, ATeacherThatCannotTeachIsRefused) {
  EXPECT_THROW(distil((folder_ / "absent.gguf").string(), folder_ / "out.gguf", {}), Error);
  EXPECT_FALSE(fs::exists(folder_ / "out.gguf"));
}

/// Files of a folder with one of them changed.
fs::path folder_with(const fs::path& source, const fs::path& target, const std::string& file,
                     std::string bytes) {
  fs::remove_all(target);
  fs::copy(source, target, fs::copy_options::recursive);
  std::ofstream(target / file, std::ios::binary) << bytes;
  return target;
}

TEST_F(StaticEmbeddings, DamagedModelsAreRefused) {
  const fs::path shared = kGolden / "m2v_shared";
  std::string weights = bytes_of(shared / "model.safetensors");
  // The last bytes are those of the last tensor by its place: any of mapping or weights.
  const fs::path copy = folder_ / "damaged";
  const std::string cut = weights.substr(0, weights.size() - 8);
  EXPECT_THROW(Model::open(folder_with(shared, copy, "model.safetensors", cut).string()), Error);
  const auto config = [&](const char* key, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(bytes_of(shared / "config.json"));
    json[key] = value;
    return folder_with(shared, copy, "config.json", json.dump()).string();
  };
  EXPECT_THROW(Model::open(config("hidden_dim", 15)), Error);
  EXPECT_THROW(Model::open(config("hidden_dim", 0)), Error);
  EXPECT_NO_THROW(Model::open(config("max_length", nullptr)));
  EXPECT_EQ(Model::open(config("max_length", nullptr))->encoder()->max_tokens(), int64_t{1} << 30);
  EXPECT_EQ(Model::open(config("max_length", 7))->encoder()->max_tokens(), 7);
}

}  // namespace
}  // namespace wattle
