// Folders as Hugging Face publishes them against the reference implementations
// (tests/golden/make_pipelines.py).

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <wattle/error.h>

#include "base/base64.h"
#include "file/readers.h"
#include "file/temporary_directory.h"
#include "text/golden.h"

namespace wattle {
namespace {

using nlohmann::json;

std::unique_ptr<Tokenizer> tokenizer_of(const TemporaryDirectory& folder) {
  ModelFile::Contents contents;
  contents.metadata = Metadata("golden");
  read_hf_tokenizer(folder.path(), JsonView(nullptr, "config.json"), contents);
  return Tokenizer::create(contents.metadata);
}

std::vector<ByteRange> ranges(const json& flat) {
  std::vector<ByteRange> list;
  for (size_t i = 0; i < flat.size(); i += 2) list.push_back({flat[i], flat[i + 1]});
  return list;
}

std::string shown(const std::vector<ByteRange>& list) {
  std::string text;
  for (const ByteRange& range : list)
    text += std::to_string(range.begin) + "-" + std::to_string(range.end) + " ";
  return text;
}

class Pipelines : public testing::Test {
 protected:
  const json golden_ = read_golden("pipelines.json");

  template <typename Check>
  void for_each_case(const Check& check) {
    for (const json& entry : golden_["cases"]) {
      TemporaryDirectory folder;
      folder.write("tokenizer.json", entry["tokenizer"].dump());
      check(entry, *tokenizer_of(folder));
    }
  }
};

TEST_F(Pipelines, IdsAndOffsetsAreTheReferences) {
  for_each_case([&](const json& entry, const Tokenizer& tokenizer) {
    for (size_t i = 0; i < entry["rows"].size(); ++i) {
      const std::string text = golden_["texts"][i];
      const json& row = entry["rows"][i];
      const Encoding encoding = tokenizer.encode_pair(text, std::nullopt, {true, true});
      const auto wanted = row["ids"].get<std::vector<TokenId>>();
      EXPECT_EQ(encoding.ids, wanted) << entry["name"] << " text " << i << ": " << text;
      EXPECT_EQ(tokenizer.encode(text, {true, true}), wanted)
          << entry["name"] << " text " << i << ", without offsets";
      if (encoding.ids != wanted) continue;
      EXPECT_EQ(shown(encoding.offsets), shown(ranges(row["offsets"])))
          << entry["name"] << " text " << i << ": " << text;
    }
  });
}

TEST_F(Pipelines, PairsAreTheReferences) {
  for_each_case([&](const json& entry, const Tokenizer& tokenizer) {
    for (const json& pair : entry["pairs"]) {
      const std::string first = golden_["texts"][pair["texts"][0].get<size_t>()];
      const std::string second = golden_["texts"][pair["texts"][1].get<size_t>()];
      const Encoding encoding = tokenizer.encode_pair(first, second, {true, true});
      EXPECT_EQ(encoding.ids, pair["ids"].get<std::vector<TokenId>>()) << entry["name"] << first;
      EXPECT_EQ(encoding.type_ids, pair["type_ids"].get<std::vector<int32_t>>()) << entry["name"] << first;
      EXPECT_EQ(encoding.sequence, pair["sequence"].get<std::vector<int8_t>>()) << entry["name"] << first;
      EXPECT_EQ(shown(encoding.offsets), shown(ranges(pair["offsets"]))) << entry["name"] << first;
    }
  });
}

TEST_F(Pipelines, DecodedTextsAreTheReferences) {
  for_each_case([&](const json& entry, const Tokenizer& tokenizer) {
    for (size_t i = 0; i < entry["rows"].size(); ++i) {
      const auto ids = entry["rows"][i]["ids"].get<std::vector<TokenId>>();
      EXPECT_EQ(tokenizer.decode(ids), entry["decoded"][i][0]) << entry["name"] << " text " << i;
      EXPECT_EQ(tokenizer.decode_with_special(ids), entry["decoded"][i][1]) << entry["name"] << " text " << i;
    }
  });
}

TEST_F(Pipelines, BodiesAreTheWholeWithoutWhatSurroundsIt) {
  for_each_case([&](const json& entry, const Tokenizer& tokenizer) {
    const std::string text = golden_["texts"][10];
    const Encoding body = tokenizer.encode_body(text);
    EXPECT_EQ(tokenizer.assemble(body, std::nullopt).ids, tokenizer.encode(text)) << entry["name"];
    EXPECT_EQ(tokenizer.added_tokens(false), static_cast<int>(tokenizer.encode(text).size() - body.size()))
        << entry["name"];
    const Encoding part = body.slice(0, body.size() / 2);
    EXPECT_EQ(tokenizer.assemble(part, body).size(),
              part.size() + body.size() + tokenizer.added_tokens(true));
  });
}

TEST_F(Pipelines, OffsetsOfIllFormedTextsLieInIt) {
  for_each_case([&](const json& entry, const Tokenizer& tokenizer) {
    const std::string text = "ab\x80 c\xf0\x9f\x98 \xe4\xb8\xad\xff";
    const Encoding encoding = tokenizer.encode_body(text);
    EXPECT_EQ(encoding.ids, tokenizer.encode(text, {false, false})) << entry["name"];
    for (const ByteRange& range : encoding.offsets) {
      EXPECT_LE(range.begin, range.end) << entry["name"];
      EXPECT_LE(range.end, text.size()) << entry["name"];
    }
  });
}

TEST(SlowTokenizers, IdsAreTheReferences) {
  const json golden = read_golden("slow.json");
  for (const json& entry : golden["cases"]) {
    TemporaryDirectory folder;
    for (const auto& [name, content] : entry["files"].items()) {
      const auto& binary = entry["binary"];
      const bool is_binary = std::find(binary.begin(), binary.end(), name) != binary.end();
      folder.write(name,
                   is_binary ? from_base64(content.get<std::string>()).value() : content.get<std::string>());
    }
    folder.write("tokenizer_config.json", entry["config"].dump());
    const auto tokenizer = tokenizer_of(folder);
    for (size_t i = 0; i < entry["ids"].size(); ++i) {
      const std::string text = golden["texts"][i];
      EXPECT_EQ(tokenizer->encode(text, {true, true}), entry["ids"][i].get<std::vector<TokenId>>())
          << entry["class"] << " text " << i << ": " << text;
    }
    for (const json& pair : entry["pairs"]) {
      const std::string first = golden["texts"][pair[0].get<size_t>()],
                        second = golden["texts"][pair[1].get<size_t>()];
      EXPECT_EQ(tokenizer->encode_pair(first, second, {true, true}).ids, pair[2].get<std::vector<TokenId>>())
          << entry["class"] << first;
    }
  }
}

/// Texts that these names' own tokenizers compose first (NFC), which llama.cpp does not (README.md).
constexpr std::string_view kComposing = " qwen2 deepseek-r1-qwen qwen35 ";
constexpr size_t kDecomposedTexts[] = {18, 19, 20, 22, 44, 45, 46, 58};

class GgmlNames : public testing::Test {
 protected:
  const json golden_ = read_golden("ggml_pre.json");
};

TEST_F(GgmlNames, PretokenizersCutAsLlamaCppDoes) {
  for (const auto& [name, hashes] : golden_["names"].items()) {
    const auto tokenizer = Tokenizer::create(golden_metadata(golden_, {{"tokenizer.ggml.pre", name}}));
    for (size_t i = 0; i < hashes.size(); ++i) {
      const bool differs = kComposing.find(" " + name + " ") != std::string_view::npos &&
                           std::find(std::begin(kDecomposedTexts), std::end(kDecomposedTexts), i) !=
                               std::end(kDecomposedTexts);
      const auto ids = tokenizer->encode(golden_["texts"][i].get<std::string>(), {false, false});
      EXPECT_EQ(fmt::format("{:016x}", hash_of(ids)) == hashes[i], !differs)
          << name << " text " << i << ": " << golden_["texts"][i];
    }
  }
}

TEST_F(GgmlNames, UnigramsAreLlamaCpps) {
  const json& t5 = golden_["t5"];
  const auto tokenizer = Tokenizer::create(golden_metadata({{"metadata", t5["metadata"]}}, json::object()));
  EXPECT_EQ(tokenizer->kind(), "unigram");
  for (size_t i = 0; i < t5["ids"].size(); ++i) {
    EXPECT_EQ(tokenizer->encode(golden_["texts"][i].get<std::string>(), {false, false}),
              t5["ids"][i].get<std::vector<TokenId>>())
        << i << ": " << golden_["texts"][i];
  }
}

}  // namespace
}  // namespace wattle
