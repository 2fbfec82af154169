#include <gtest/gtest.h>
#include <unistd.h>
#include <wattle/error.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>

#include <nlohmann/json.hpp>

#include "base/threads.h"
#include "file/gguf_writer.h"
#include "train/trainer.h"

namespace wattle {
namespace {

struct Data {
  std::vector<std::string> texts;
  std::vector<int> labels;
};

/// Texts of random words; each label has three words of its own, one of which occurs in most of its texts.
Data separable(int rows, int n_labels, uint64_t seed) {
  std::mt19937_64 random(seed);
  Data data;
  for (int i = 0; i < rows; ++i) {
    const int label = i % n_labels;
    std::string text;
    for (int w = 0; w < 6; ++w) text += "word" + std::to_string(random() % 40) + " ";
    if (random() % 10 != 0) text += "mark" + std::to_string(label) + "x" + std::to_string(random() % 3);
    data.texts.push_back(text);
    data.labels.push_back(label);
  }
  return data;
}

std::vector<std::string> names(int n_labels) {
  std::vector<std::string> names;
  for (int i = 0; i < n_labels; ++i) names.push_back("label " + std::to_string(i));
  return names;
}

double accuracy(Head& head, const Data& data) {
  Work work;
  int correct = 0;
  for (size_t i = 0; i < data.texts.size(); ++i)
    correct += head.predict(data.texts[i], work).label == data.labels[i];
  return correct / static_cast<double>(data.texts.size());
}

class TrainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("wattle_train_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string bytes_of(const Head& head) const {
    head.save(folder_ / "head.gguf");
    std::ifstream file(folder_ / "head.gguf", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::filesystem::path folder_;
};

void expect_golden(const std::string& name, const NgramRule& rule) {
  std::ifstream file(WATTLE_SOURCE_DIR "/tests/golden/" + name);
  const auto golden = nlohmann::json::parse(file);
  const auto texts = golden["texts"].get<std::vector<std::string>>();
  const TextFeatures features{{Ngrams::fit(texts, rule)}};
  const Ngrams& ngrams = features.ngrams.front();
  const auto terms = ngrams.terms();
  ASSERT_EQ(std::vector<std::string>(terms.begin(), terms.end()),
            golden["terms"].get<std::vector<std::string>>());
  for (size_t i = 0; i < ngrams.idf().size(); ++i)
    EXPECT_NEAR(ngrams.idf()[i], golden["idf"][i].get<double>(), 1e-6);

  auto all = texts;
  for (const auto& text : golden["unseen"]) all.push_back(text);
  const SparseMatrix rows = features.features(all);
  ASSERT_EQ(rows.rows(), static_cast<int64_t>(golden["rows"].size()));
  for (size_t i = 0; i < all.size(); ++i) {
    const auto& expected = golden["rows"][i];
    ASSERT_EQ(static_cast<size_t>(rows.offsets[i + 1] - rows.offsets[i]), expected.size()) << all[i];
    for (size_t e = 0; e < expected.size(); ++e) {
      const size_t place = static_cast<size_t>(rows.offsets[i]) + e;
      EXPECT_EQ(rows.indices[place], expected[e][0].get<int>());
      EXPECT_NEAR(rows.values[place], expected[e][1].get<double>(), 1e-6);
    }
  }
}

TEST(Ngrams, ValuesOfScikitLearn) {
  expect_golden("ngrams.json", {});
  expect_golden("character_ngrams.json", {.unit = NgramUnit::kCharacters, .min = 2, .max = 5});
}

TEST(TextFeatures, WordsDoNotServeEveryText) {
  for (const char* text : {"The flight was late again.", "Größe und Maß", "привет мир", "비행기가 늦었어요"})
    EXPECT_TRUE(words_serve(text)) << text;
  for (const char* text : {"航班又晚点了，服务很差", "飛行機が遅れました", "เที่ยวบินล่าช้า", "😀😀 👍🏽",
                           "!!! :-)", "a b c", "", "for (i = 0; i < n; ++i) { a[i] += b; }"})
    EXPECT_FALSE(words_serve(text)) << text;
  const std::vector<std::string> texts = {"good flight", " ", "", "晚点了"};
  EXPECT_EQ(share_served_by_words(texts), 0.5) << "blank texts count for nothing";
}

TEST(Ngrams, TermsThatOccurTwiceAreRefused) {
  using Terms = std::vector<std::string_view>;
  EXPECT_THROW(Ngrams(Terms{"a", "a"}, {1, 1}, {}, "x"), Error);
  EXPECT_THROW(Ngrams(Terms{"a", "b"}, {1}, {}, "x"), Error);
}

TEST(Folds, SpreadEveryLabelEvenly) {
  std::vector<int> labels;
  for (int i = 0; i < 103; ++i) labels.push_back(i % 10 == 0 ? 1 : 0);
  const std::vector<int> folds = stratified_folds(labels, 2, 5, 7);
  std::vector<int> rare(5, 0), all(5, 0);
  for (size_t i = 0; i < labels.size(); ++i) {
    rare[static_cast<size_t>(folds[i])] += labels[i];
    ++all[static_cast<size_t>(folds[i])];
  }
  for (int f = 0; f < 5; ++f) {
    EXPECT_NEAR(rare[static_cast<size_t>(f)], 11 / 5.0, 1);
    EXPECT_NEAR(all[static_cast<size_t>(f)], 103 / 5.0, 1);
  }
  EXPECT_EQ(folds, stratified_folds(labels, 2, 5, 7));
  EXPECT_NE(folds, stratified_folds(labels, 2, 5, 8));
}

TEST_F(TrainTest, EachKindLearnsWhatItCan) {
  for (const int n_labels : {2, 4}) {
    const Data train = separable(400, n_labels, 1), test = separable(200, n_labels, 2);
    for (const HeadKind kind : {HeadKind::kKeywords, HeadKind::kLinear, HeadKind::kForest}) {
      Head head = train_on_ngrams(train.texts, train.labels, names(n_labels), {.kind = kind});
      // A tenth of the texts carry no mark and can only be guessed.
      EXPECT_GT(accuracy(head, test), 0.85) << name(kind) << " " << n_labels;
    }
  }
  const Data train = separable(300, 3, 1);
  Data skewed = train;
  for (size_t i = 0; i < 200; ++i) skewed.labels[i] = 2;
  Head majority = train_on_ngrams(skewed.texts, skewed.labels, names(3), {.kind = HeadKind::kMajority});
  Work work;
  const Prediction prediction = majority.predict("anything", work);
  EXPECT_EQ(prediction.label, 2);
  EXPECT_NEAR(prediction.scores[2], 234 / 300.0, 0.01);
}

/// Sentences of parts of which one says the label, joined by `joint`.
Data sentences(const std::vector<std::vector<std::string>>& subjects,
               const std::vector<std::vector<std::string>>& opinions, const std::string& joint,
               uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto any = [&](const std::vector<std::string>& of) { return of[random() % of.size()]; };
  Data data;
  for (int i = 0; i < 120; ++i) {
    const int label = i % static_cast<int>(opinions.size());
    std::string text;
    for (const auto& part : subjects) text += any(part) + joint;
    data.texts.push_back(text + any(opinions[static_cast<size_t>(label)]));
    data.labels.push_back(label);
  }
  return data;
}

TEST_F(TrainTest, ChineseEmojiAndCodeAreLearntFromCharacters) {
  const auto chinese = [](uint64_t seed) {
    return sentences({{"今天", "昨天", "这次", "上周的"}, {"航班", "行李", "座位", "餐食", "客服"}},
                     {{"又晚点了", "很差，太让人失望", "丢了没人管", "糟糕透顶"},
                      {"非常准时", "很好，谢谢你们", "舒适极了", "服务热情"}},
                     "", seed);
  };
  const auto emoji = [](uint64_t seed) {
    return sentences({{"✈️", "🧳", "☕"}, {"🙂", "🤔", "👀"}},
                     {{"😡", "👎🏽", "😭😭"}, {"😍", "👍🏽", "🎉🎉"}}, " ", seed);
  };
  const auto code = [](uint64_t seed) {
    return sentences({{"a", "b", "x"}, {" = ", " += "}, {"f(x)", "g[i]", "y"}},
                     {{";", "; }", ";\n}"}, {":", "):", ": #"}, {" |> h", " <- k", " :: T"}}, "", seed);
  };
  int names_of = 0;
  for (const auto& make : std::vector<std::function<Data(uint64_t)>>{chinese, emoji, code}) {
    const Data train = make(1), test = make(2);
    const int n_labels = names_of++ == 2 ? 3 : 2;
    for (const HeadKind kind : {HeadKind::kKeywords, HeadKind::kLinear, HeadKind::kForest}) {
      Head head = train_on_ngrams(train.texts, train.labels, names(n_labels), {.kind = kind, .trees = 50});
      EXPECT_GT(accuracy(head, test), 0.9) << name(kind) << " " << train.texts.front();
      ASSERT_EQ(head.training().notes.size(), 1u);
      EXPECT_NE(head.features().find("characters"), std::string::npos);
      head.save(folder_ / "head.gguf");
      Head loaded = Head::load(ModelFile::open(folder_ / "head.gguf"));
      EXPECT_EQ(loaded.training().notes, head.training().notes);
      EXPECT_EQ(loaded.features(), head.features());
      Work a, b;
      for (const std::string& text : test.texts)
        EXPECT_EQ(head.predict(text, a).scores, loaded.predict(text, b).scores);
    }
  }
}

/// What a descent says that looks at every node on its way.
float plain_answer(const Forest& forest, const Forest::Nodes& nodes, size_t tree,
                   const std::vector<float>& values) {
  auto place = static_cast<size_t>(forest.roots()[tree]);
  while (nodes.split[place] >= 0) {
    const Forest::Node node = nodes[place];
    const float value = values[static_cast<size_t>(node.split / 2)];
    const bool near = std::isnan(value) || (value < node.value) == (node.split % 2 == 1);
    place = near ? place + 1 : static_cast<size_t>(node.far);
  }
  return nodes.value[place];
}

TEST_F(TrainTest, TheShortWalkAnswersAsTheLongOne) {
  std::mt19937_64 random(8);
  for (const int n_labels : {2, 3}) {
    // Of 60 features a row has few or many: both ways of walking.
    SparseMatrix x;
    x.columns = 60;
    std::vector<int> labels;
    std::vector<SparseVector> rows;
    for (int i = 0; i < 300; ++i) {
      SparseVector row;
      const uint64_t one_in = i % 3 == 0 ? 2 : 12;
      for (int32_t f = 0; f < 60; ++f) {
        if (random() % one_in != 0) continue;
        row.columns.push_back(f);
        row.values.push_back(static_cast<float>(random() % 1000) / 500 - 1);
      }
      labels.push_back(static_cast<int>(random() % static_cast<uint64_t>(n_labels)));
      x.append(row);
      rows.push_back(std::move(row));
    }
    const Forest forest = train_forest(x, labels, n_labels, {.trees = 40});
    rows.push_back({});
    rows.push_back({{3, 7}, {std::nanf(""), 0.5f}});
    const Forest::Nodes nodes = forest.nodes();
    Forest::Scratch scratch;
    const auto outputs = static_cast<size_t>(forest.outputs());
    std::vector<float> shares(outputs);
    for (const SparseVector& row : rows) {
      std::vector<float> values(60, std::nanf(""));
      for (size_t e = 0; e < row.size(); ++e) values[static_cast<size_t>(row.columns[e])] = row.values[e];
      Work work;
      forest.shares(row, scratch, shares, work);
      for (size_t k = 0; k < outputs; ++k) {
        double sum = 0;
        for (size_t t = 0; t < 40; ++t) sum += plain_answer(forest, nodes, k * 40 + t, values);
        EXPECT_NEAR(shares[k], sum / 40, 1e-7);
      }
    }
  }
}

TEST_F(TrainTest, AForestOfMoreFeaturesThanTwoBytesNumber) {
  constexpr int32_t kFeatures = 70000;
  Forest::Nodes nodes;
  std::vector<int32_t> roots;
  for (int32_t f = 0; f < kFeatures; ++f) {
    const int32_t root = 3 * f;
    roots.push_back(root);
    nodes.push_back({2 * f + f % 2, 0.5f, root + 2});
    nodes.push_back({-1, 1, -1});
    nodes.push_back({-1, static_cast<float>(2 + f % 5), -1});
  }
  const Forest forest(kFeatures, 1, nodes.view(), roots, "x");
  EXPECT_EQ(forest.nodes().split, nodes.split);
  EXPECT_EQ(forest.nodes().far, nodes.far);
  EXPECT_EQ(forest.nodes().value, nodes.value);
  // Even features go far when they are small, odd ones when they are great.
  const SparseVector row{{2, 3, 66000, 69998, 69999}, {0.25f, 0.75f, 0.75f, 0.25f, 0.5f}};
  const double far = (2 + 2 % 5) + (2 + 3 % 5) + (2 + 69998 % 5) + (2 + 69999 % 5);
  Forest::Scratch scratch;
  Work work;
  float share = 0;
  forest.shares(row, scratch, {&share, 1}, work);
  EXPECT_EQ(share, static_cast<float>((kFeatures - 4 + far) / kFeatures));
}

TEST_F(TrainTest, SameBytesForAnyNumberOfThreads) {
  const Data train = separable(300, 3, 5);
  for (const HeadKind kind : {HeadKind::kKeywords, HeadKind::kLinear, HeadKind::kForest}) {
    set_threads(1);
    const std::string one =
        bytes_of(train_on_ngrams(train.texts, train.labels, names(3), {.kind = kind, .trees = 60}));
    set_threads(2);
    const std::string two =
        bytes_of(train_on_ngrams(train.texts, train.labels, names(3), {.kind = kind, .trees = 60}));
    EXPECT_EQ(one, two) << name(kind);
    EXPECT_EQ(two,
              bytes_of(train_on_ngrams(train.texts, train.labels, names(3), {.kind = kind, .trees = 60})));
  }
}

TEST_F(TrainTest, ASavedHeadAnswersAsTheOneThatWasTrained) {
  const Data train = separable(300, 3, 9), test = separable(50, 3, 10);
  for (const HeadKind kind :
       {HeadKind::kMajority, HeadKind::kKeywords, HeadKind::kLinear, HeadKind::kForest}) {
    Head head = train_on_ngrams(train.texts, train.labels, names(3), {.kind = kind, .trees = 30, .seed = 4});
    head.training().joules = 12.5;
    head.training().grade = "modelled";
    head.save(folder_ / "head.gguf");
    Head loaded = Head::load(ModelFile::open(folder_ / "head.gguf"));
    EXPECT_EQ(loaded.kind(), kind);
    EXPECT_EQ(loaded.labels(), names(3));
    EXPECT_EQ(loaded.training().seed, 4u);
    EXPECT_EQ(loaded.training().joules, 12.5);
    EXPECT_EQ(loaded.training().scores.size(), kind == HeadKind::kLinear ? 5u : 0u);
    Work a, b;
    for (const std::string& text : test.texts) {
      const Prediction expected = head.predict(text, a), got = loaded.predict(text, b);
      EXPECT_EQ(got.label, expected.label);
      EXPECT_EQ(got.scores, expected.scores);
    }
    EXPECT_EQ(a.macs_fp32, b.macs_fp32);
    EXPECT_EQ(a.tokens_in, b.tokens_in);
  }
}

TEST_F(TrainTest, HeadsOnEmbeddingsRememberTheirBase) {
  std::mt19937_64 random(3);
  Matrix embeddings(120, 8);
  std::vector<int> labels;
  for (int64_t i = 0; i < 120; ++i) {
    labels.push_back(static_cast<int>(i % 2));
    for (float& value : embeddings.row(i)) value = static_cast<float>(random() % 1000) / 1000;
    embeddings.row(i)[3] += i % 2 == 0 ? 0.0f : 1.0f;
  }
  for (const HeadKind kind : {HeadKind::kLinear, HeadKind::kForest}) {
    const Head head =
        train_on_embeddings(embeddings.view(), {"some/model", "abc", 8}, labels, names(2), {.kind = kind});
    head.save(folder_ / "head.gguf");
    Head loaded = Head::load(ModelFile::open(folder_ / "head.gguf"));
    ASSERT_TRUE(loaded.base());
    EXPECT_EQ(loaded.base()->path, "some/model");
    EXPECT_EQ(loaded.base()->fingerprint, "abc");
    EXPECT_EQ(loaded.features(), "embeddings");
    Work work;
    int correct = 0;
    for (int64_t i = 0; i < 120; ++i) {
      correct += loaded.predict(std::span<const float>(embeddings.row(i)), work).label ==
                 labels[static_cast<size_t>(i)];
    }
    EXPECT_GT(correct, 108) << name(kind);
    EXPECT_GT(work.weight_bytes, 0);
  }
  EXPECT_THROW(train_on_embeddings(embeddings.view(), {"m", "abc", 8}, labels, names(2),
                                   {.kind = HeadKind::kMajority}),
               Error);
}

TEST_F(TrainTest, BadTrainingData) {
  const std::vector<std::string> texts = {"one two", "three four"}, marks = {"!", "?"};
  const TrainOptions options;
  EXPECT_THROW(train_on_ngrams(texts, std::vector{0, 0}, names(2), options), Error) << "a single label";
  EXPECT_THROW(train_on_ngrams(texts, std::vector{0}, names(2), options), Error) << "a label too few";
  EXPECT_THROW(train_on_ngrams(texts, std::vector{0, 2}, names(2), options), Error)
      << "a label beyond the names";
  EXPECT_THROW(train_on_ngrams(marks, std::vector{0, 1}, names(2), options), Error) << "no words";
}

TEST_F(TrainTest, DamagedHeadsAreRefused) {
  const auto forest = [](std::initializer_list<Forest::Node> list, int64_t outputs, int32_t root) {
    Forest::Nodes nodes;
    for (const Forest::Node& node : list) nodes.push_back(node);
    return Forest(3, outputs, nodes.view(), {root}, "x");
  };
  EXPECT_THROW(forest({{0, 0.5f, 0}, {-1, 0, -1}}, 1, 0), Error) << "a child before its parent";
  EXPECT_THROW(forest({{0, 0.5f, 9}, {-1, 0, -1}}, 1, 0), Error) << "a child beyond the nodes";
  EXPECT_THROW(forest({{6, 0.5f, 2}, {-1, 0, -1}, {-1, 1, -1}}, 1, 0), Error) << "a feature too many";
  EXPECT_THROW(forest({{0, std::nanf(""), 2}, {-1, 0, -1}, {-1, 1, -1}}, 1, 0), Error)
      << "a threshold that is no number";
  EXPECT_THROW(forest({{0, 0.5f, 0}}, 1, 0), Error) << "a last node that is no leaf";
  EXPECT_THROW(forest({{-1, 0, -1}}, 1, 1), Error) << "a root beyond the nodes";
  EXPECT_THROW(forest({{-1, 0, -1}}, 2, 0), Error) << "trees that do not divide into outputs";

  Metadata metadata;
  metadata.set("general.architecture", Value::of(std::string("wattle-head")));
  const auto load = [&] {
    write_gguf(folder_ / "bad.gguf", metadata, {});
    return Head::load(ModelFile::open(folder_ / "bad.gguf"));
  };
  EXPECT_THROW(load(), Error) << "no kind";
  metadata.set("wattle.head.kind", Value::of(std::string("linear")));
  EXPECT_THROW(load(), Error) << "no tensors";
  metadata.set("wattle.head.kind", Value::of(std::string("oracle")));
  EXPECT_THROW(load(), Error) << "an unknown kind";
  metadata.set("general.architecture", Value::of(std::string("llama")));
  EXPECT_THROW(load(), Error) << "not a head";
}

TEST_F(TrainTest, LinearHeadOnNgramsReachesScikitLearnsAccuracy) {
  const std::filesystem::path data = WATTLE_SOURCE_DIR "/../shared/data";
  if (!std::filesystem::exists(data)) GTEST_SKIP() << "the evaluation data is not beside the checkout";
  // scikit-learn's accuracy with the same features; the bar is not more than one point below it.
  const std::pair<const char*, double> bars[] = {{"sms_spam", 0.978}, {"sentence_sentiment", 0.830}};
  for (const auto& [set, bar] : bars) {
    const auto read = [&](const std::string& name) {
      Data rows;
      std::ifstream file(data / set / name);
      for (std::string line; std::getline(file, line);) {
        const auto row = nlohmann::json::parse(line);
        rows.texts.push_back(row["text"]);
        rows.labels.push_back(row["label"]);
      }
      return rows;
    };
    const Data train = read("train.jsonl");
    Head head = train_on_ngrams(train.texts, train.labels, names(2), {});
    EXPECT_GE(accuracy(head, read("eval.jsonl")), bar - 0.01) << set;
  }
}

}  // namespace
}  // namespace wattle
