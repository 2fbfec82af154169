#include "pull/model_files.h"

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "file/temporary_directory.h"
#include "pull/http.h"
#include "pull/hub_cache.h"
#include "pull/repository.h"

namespace wattle {
namespace {

using Paths = std::vector<std::string>;

/// A repository of files by name; those that are read lie in a directory.
class ModelFilesTest : public testing::Test {
 protected:
  HubFiles hub(const Paths& paths) {
    HubFiles files{
        "o/n", {}, [this](const std::string& path) { return directory_.path() / path; }, "pull again"};
    for (const std::string& path : paths) files.files.push_back({path, 1500000, "", ""});
    return files;
  }

  ModelFiles choose(const Paths& paths, const std::string& file = "") {
    return choose_model_files(hub(paths), file);
  }

  std::string error(const Paths& paths, const std::string& file = "") {
    try {
      choose(paths, file);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  TemporaryDirectory directory_;
};

TEST_F(ModelFilesTest, ConfigurationTokenizerAndOneSetOfWeights) {
  const ModelFiles chosen = choose({"README.md", "config.json", "flax_model.msgpack", "merges.txt",
                                    "model.safetensors", "onnx/model.onnx", "pytorch_model.bin",
                                    "tokenizer.json", "training_args.bin", "vocab.json", "x/config.json"});
  EXPECT_EQ(chosen.paths, (Paths{"config.json", "tokenizer.json", "vocab.json", "merges.txt", "README.md",
                                 "model.safetensors"}));
  EXPECT_EQ(chosen.model, "");
}

TEST_F(ModelFilesTest, TheOrderOfTheReader) {
  directory_.write("model.safetensors.index.json",
                   R"({"weight_map": {"a": "b.safetensors", "c": "b.safetensors"}})");
  directory_.write("pytorch_model.bin.index.json", R"({"weight_map": {"a": "b.bin"}})");
  const Paths all = {"b.bin",
                     "b.safetensors",
                     "model.safetensors",
                     "model.safetensors.index.json",
                     "pytorch_model.bin",
                     "pytorch_model.bin.index.json"};
  EXPECT_EQ(choose(all).paths, Paths{"model.safetensors"});
  EXPECT_EQ(choose({"b.bin", "b.safetensors", "model.safetensors.index.json", "pytorch_model.bin"}).paths,
            (Paths{"model.safetensors.index.json", "b.safetensors"}));
  EXPECT_EQ(choose({"b.bin", "pytorch_model.bin", "pytorch_model.bin.index.json"}).paths,
            Paths{"pytorch_model.bin"});
  EXPECT_EQ(choose({"b.bin", "pytorch_model.bin.index.json"}).paths,
            (Paths{"pytorch_model.bin.index.json", "b.bin"}));
  EXPECT_EQ(
      error({"model.safetensors.index.json"}),
      "o/n: model.safetensors.index.json names the shard b.safetensors, which is not there; pull again");
}

TEST_F(ModelFilesTest, DamagedIndices) {
  for (const char* text : {"", "[]", "{}", R"({"weight_map": []})", R"({"weight_map": {"a": 1}})"}) {
    directory_.write("model.safetensors.index.json", text);
    EXPECT_NE(error({"model.safetensors.index.json"}), "no error") << text;
  }
}

TEST_F(ModelFilesTest, ModulesOfSentenceTransformers) {
  directory_.write("modules.json",
                   R"([{"path": "0_Transformer"}, {"path": "1_Pooling"}, {"path": "2_Dense"}])");
  const ModelFiles chosen = choose({"0_Transformer/config.json", "0_Transformer/pytorch_model.bin",
                                    "0_Transformer/vocab.txt", "1_Pooling/config.json", "2_Dense/config.json",
                                    "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin",
                                    "3_Other/config.json", "modules.json", "sentence_bert_config.json"});
  EXPECT_EQ(chosen.paths,
            (Paths{"modules.json", "sentence_bert_config.json", "0_Transformer/config.json",
                   "0_Transformer/vocab.txt", "0_Transformer/pytorch_model.bin", "1_Pooling/config.json",
                   "2_Dense/config.json", "2_Dense/model.safetensors"}));
  for (const char* text :
       {"{}", R"([{"path": "../x"}])", R"([{"path": "/x"}])", R"([7])", R"([{"path": 7}])"}) {
    directory_.write("modules.json", text);
    EXPECT_NE(error({"modules.json", "model.safetensors"}), "no error") << text;
  }
}

TEST_F(ModelFilesTest, GgufByNameEndingAndParts) {
  const Paths files = {"README.md",
                       "a-Q4_K_M.gguf",
                       "a-q8_0.gguf",
                       "big/a-f16-00001-of-00002.gguf",
                       "big/a-f16-00002-of-00002.gguf",
                       "config.json"};
  EXPECT_EQ(choose(files, "q4_k_m").paths, (Paths{"README.md", "a-Q4_K_M.gguf"}));
  EXPECT_EQ(choose(files, "a-q8_0.gguf").model, "a-q8_0.gguf");
  EXPECT_EQ(choose(files, "F16").paths,
            (Paths{"README.md", "big/a-f16-00001-of-00002.gguf", "big/a-f16-00002-of-00002.gguf"}));
  EXPECT_EQ(choose(files, "big/a-f16-00002-of-00002.gguf").model, "big/a-f16-00001-of-00002.gguf");
  EXPECT_NE(error(files).find("name one as o/n:FILE, of a-Q4_K_M.gguf (1.5 MB), "), std::string::npos);
  EXPECT_NE(error(files, "4_K_M").find("has no file 4_K_M; its weights are"), std::string::npos);
  EXPECT_NE(error({"a-q8_0.gguf", "b-q8_0.gguf"}, "q8_0").find("several files"), std::string::npos);
  EXPECT_EQ(choose({"a.gguf", "notes.txt"}).paths, Paths{"a.gguf"});
  EXPECT_EQ(choose({"a-00001-of-00002.gguf", "a-00002-of-00002.gguf"}).model, "a-00001-of-00002.gguf");
}

TEST_F(ModelFilesTest, OnnxWithItsDataAndWhatDescribesIt) {
  const Paths files = {"config.json", "onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_q.onnx",
                       "tokenizer.json"};
  const ModelFiles chosen = choose(files, "onnx/model.onnx");
  EXPECT_EQ(chosen.paths,
            (Paths{"config.json", "tokenizer.json", "onnx/model.onnx", "onnx/model.onnx_data"}));
  EXPECT_EQ(chosen.model, "onnx/model.onnx");
  EXPECT_NE(error(files).find("2 ONNX files"), std::string::npos);
}

TEST_F(ModelFilesTest, WeightsUnderOtherNames) {
  EXPECT_NE(error({"tf_model.h5"}).find("name a file as o/n:FILE, of tf_model.h5"), std::string::npos);
  EXPECT_EQ(error({"README.md"}), "o/n: holds no weights; pull again");
  EXPECT_EQ(choose({"config.json", "other.safetensors"}, "other.safetensors").model, "other.safetensors");
}

TEST_F(ModelFilesTest, LongListsAreCut) {
  Paths files;
  for (int i = 0; i < 200; ++i) files.push_back(fmt::format("m{}.gguf", i));
  EXPECT_NE(error(files).find("and 160 more"), std::string::npos);
  EXPECT_LT(error(files).size(), 1500U);
}

TEST_F(ModelFilesTest, Patterns) {
  EXPECT_EQ(matching_files(hub({"a/b.txt", "c.txt", "d"}), {"*.txt"}), (Paths{"a/b.txt", "c.txt"}));
  EXPECT_THROW(matching_files(hub({"d"}), {"*.txt"}), Error);
}

TEST(RepositoryTest, FromText) {
  const auto whole = repository_from_text("o-1/n_2.x@refs/pr/1:a/b.gguf");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->name, "o-1/n_2.x");
  EXPECT_EQ(whole->revision, "refs/pr/1");
  EXPECT_EQ(whole->file, "a/b.gguf");
  EXPECT_EQ(whole->text(), "o-1/n_2.x@refs/pr/1:a/b.gguf");
  EXPECT_EQ(repository_from_text("o/n")->text(), "o/n");
  for (const char* text : {"", "n", "/n", "o/", "o/n/x", "../n", "o/..", "o/n@", "o/n@../x", "o/n:", "o/n:/x",
                           "o/n:a/../b", "o--p/n", "-o/n", "o/n.", "o/n:a//b", "ö/n", "o /n"}) {
    EXPECT_FALSE(repository_from_text(text)) << text;
  }
}

TEST(RepositoryTest, PathsForUrls) {
  EXPECT_EQ(url_path("a b/c%.é"), "a%20b/c%25.%C3%A9");
}

TEST(HubCacheTest, FilesWhoseBlobIsGoneAreNotThere) {
  const TemporaryDirectory directory;
  const std::string commit(40, 'a');
  const HubCache cache(directory.path(), "o/n");
  directory.write("models--o--n/blobs/e", "bytes");
  cache.link(commit, "x/y.txt", "e");
  EXPECT_TRUE(cache.has(commit, "x/y.txt"));
  ASSERT_EQ(cache.files(commit).size(), 1U);
  EXPECT_EQ(cache.files(commit).front().path, "x/y.txt");
  EXPECT_EQ(cache.commit_of("main"), "");
  cache.set_commit("main", commit);
  EXPECT_EQ(cache.commit_of("main"), commit);
  directory.write("models--o--n/refs/main", "../../elsewhere");
  EXPECT_EQ(cache.commit_of("main"), "");
  std::filesystem::remove(directory.path() / "models--o--n/blobs/e");
  EXPECT_FALSE(cache.has(commit, "x/y.txt"));
  EXPECT_TRUE(cache.files(commit).empty());
}

}  // namespace
}  // namespace wattle
