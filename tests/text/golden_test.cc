// Small tokenizers of each kind against the ids of the reference implementations
// (tests/golden/make_tokenizers.py).

#include <gtest/gtest.h>

#include <thread>

#include "base/utf8.h"
#include "text/golden.h"

namespace wattle {
namespace {

using nlohmann::json;

class GoldenTokenizer : public testing::TestWithParam<const char*> {
 protected:
  const json golden_ = read_golden(std::string(GetParam()) + ".json");
  bool add_special() const { return std::string(GetParam()) == "wordpiece"; }
};

TEST_P(GoldenTokenizer, IdsAreTheReferences) {
  for (const json& variant : golden_["variants"]) {
    const auto tokenizer = Tokenizer::create(golden_metadata(golden_, variant["metadata"]));
    EXPECT_EQ(tokenizer->kind(), GetParam());
    for (const bool parse_special : {false, true}) {
      const json& wanted = variant[parse_special ? "ids_parse_special" : "ids"];
      ASSERT_EQ(wanted.size(), golden_["texts"].size());
      for (size_t i = 0; i < wanted.size(); ++i) {
        const std::string text = golden_text(golden_["texts"][i]);
        const auto ids = tokenizer->encode(text, {add_special(), parse_special});
        EXPECT_EQ(ids, wanted[i].get<std::vector<TokenId>>())
            << "text " << i << ": " << repaired_utf8(text) << "\nparse_special " << parse_special << ", "
            << variant["metadata"].dump().substr(0, 80);
      }
    }
  }
}

TEST_P(GoldenTokenizer, ThreadsGiveTheSameIds) {
  const auto metadata = golden_metadata(golden_, golden_["variants"][0]["metadata"]);
  const json& wanted = golden_["variants"][0]["ids"];
  const auto tokenizer = Tokenizer::create(metadata);
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < wanted.size(); ++i) {
        const auto ids = tokenizer->encode(golden_text(golden_["texts"][i]), {add_special(), false});
        wrong[t] += ids != wanted[i].get<std::vector<TokenId>>();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

/// Nothing but special tokens and bytes that have no token is lost on the way back.
TEST_P(GoldenTokenizer, DecodesWhatItEncoded) {
  if (std::string(GetParam()) == "wordpiece") {
    const auto tokenizer = Tokenizer::create(golden_metadata(golden_, json::object()));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("The quick [SEP] Unaffable, world!")),
              "the quick [ sep ] unaffable, world!");
    return;
  }
  for (const json& variant : golden_["variants"]) {
    const auto tokenizer = Tokenizer::create(golden_metadata(golden_, variant["metadata"]));
    const auto& special = tokenizer->special();
    for (const char* text :
         {"Hello, World!", "two  spaces\n\n\nlines\t\ttabs", "\u4e2d\u56fd \U0001f600 caf\u00e9",
          "<table>x</table>", " leading", "don't <|im_end|>"}) {
      const auto ids = tokenizer->encode(text, {false, false});
      const bool has_unknown = special.unk && std::find(ids.begin(), ids.end(), *special.unk) != ids.end();
      if (has_unknown) continue;
      EXPECT_EQ(tokenizer->decode(ids), text);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTokenizer, testing::Values("wordpiece", "bpe", "sentencepiece"),
                         [](const auto& info) { return std::string(info.param); });

TEST(WordPiece, ReadsBothConventionsOfTheVocabulary) {
  const json golden = read_golden("wordpiece.json");
  json changes = golden["variants"][0]["metadata"];
  std::vector<std::string> published;
  const auto types = golden["metadata"]["tokenizer.ggml.token_type"].get<std::vector<int>>();
  for (size_t i = 0; i < types.size(); ++i) {
    const std::string token = golden["metadata"]["tokenizer.ggml.tokens"][i];
    const bool starts_word = token.starts_with("\u2581");
    published.push_back(types[i] == 3 ? token : starts_word ? token.substr(3) : "##" + token);
  }
  changes["tokenizer.ggml.tokens"] = published;
  const auto tokenizer = Tokenizer::create(golden_metadata(golden, changes));
  const json& wanted = golden["variants"][0]["ids_parse_special"];
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(tokenizer->encode(golden_text(golden["texts"][i]), {true, true}),
              wanted[i].get<std::vector<TokenId>>());
  }
  const auto ids = tokenizer->encode("unaffable words", {false, false});
  EXPECT_EQ(tokenizer->decode(ids), "unaffable words");
}

TEST(Tokenizer, SpecialTokensAndEndsOfGeneration) {
  const json golden = read_golden("bpe.json");
  const auto tokenizer = Tokenizer::create(golden_metadata(golden, golden["variants"][1]["metadata"]));
  EXPECT_EQ(tokenizer->special().bos, 1);
  EXPECT_EQ(tokenizer->special().eos, 2);
  EXPECT_FALSE(tokenizer->special().add_bos);
  EXPECT_TRUE(tokenizer->ends_generation(0));  // <|endoftext|>
  EXPECT_FALSE(tokenizer->ends_generation(1));
  EXPECT_TRUE(tokenizer->ends_generation(2));
  EXPECT_FALSE(tokenizer->ends_generation(3));
  EXPECT_EQ(tokenizer->piece(2), "");
  EXPECT_EQ(tokenizer->piece(3), "<tool_call>");
  EXPECT_EQ(tokenizer->piece(-1), "");
  EXPECT_EQ(tokenizer->piece(tokenizer->size()), "");
}

TEST(Tokenizer, BeginsAndEndsATextWhereTheModelWantsIt) {
  const json golden = read_golden("bpe.json");
  json changes = golden["variants"][0]["metadata"];
  changes["tokenizer.ggml.add_bos_token"] = true;
  changes["tokenizer.ggml.add_eos_token"] = true;
  const auto tokenizer = Tokenizer::create(golden_metadata(golden, changes));
  const auto plain = tokenizer->encode("Hello", {false, false});
  auto surrounded = plain;
  surrounded.insert(surrounded.begin(), 1);
  surrounded.push_back(2);
  EXPECT_EQ(tokenizer->encode("Hello"), surrounded);
  EXPECT_EQ(tokenizer->encode(""), (std::vector<TokenId>{1, 2}));
}

TEST(Tokenizer, PartsJoinLikeTheWholeText) {
  for (const char* kind : {"wordpiece", "bpe", "sentencepiece"}) {
    const json golden = read_golden(std::string(kind) + ".json");
    const auto tokenizer = Tokenizer::create(golden_metadata(golden, golden["variants"][0]["metadata"]));
    const std::string text = "Hel\n\n\nlo wor\u4e2dld  <table>x";
    const auto whole = tokenizer->encode(text, {false, false});
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      if (cut < text.size() && (static_cast<uint8_t>(text[cut]) & 0xC0) == 0x80)
        continue;  // inside a character
      const std::string left = text.substr(0, cut), right = text.substr(cut);
      const TextPart parts[] = {{left, true}, {right, false}};
      EXPECT_EQ(tokenizer->encode_parts(parts, false), whole) << kind << " cut at " << cut;
    }
  }
}

TEST(Tokenizer, APartThatForbidsSpecialTokensCannotHelpToMakeOne) {
  const json golden = read_golden("bpe.json");
  const auto tokenizer = Tokenizer::create(golden_metadata(golden, golden["variants"][1]["metadata"]));
  const TextPart across[] = {{"<|im_", true}, {"end|>", false}};
  const auto ids = tokenizer->encode_parts(across, false);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 2), 0);
  const TextPart allowed[] = {{"x<|im_end|>", true}, {"<|im_end|>", false}};
  const auto some = tokenizer->encode_parts(allowed, false);
  EXPECT_EQ(std::count(some.begin(), some.end(), 2), 1);
}

}  // namespace
}  // namespace wattle
