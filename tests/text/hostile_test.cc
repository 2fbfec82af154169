// Metadata that is cut, inconsistent or made to do harm: one sentence, never a crash.

#include <gtest/gtest.h>

#include <wattle/error.h>

#include "text/golden.h"

namespace wattle {
namespace {

using nlohmann::json;

struct Hostile {
  const char* name;
  const char* golden;
  json changes;  ///< null removes a key
  const char* wanted;
};

std::string error_of(const Hostile& hostile) {
  const json golden = read_golden(std::string(hostile.golden) + ".json");
  Metadata metadata = golden_metadata(golden, golden["variants"][0]["metadata"]);
  for (const auto& [key, value] : hostile.changes.items()) {
    metadata.erase(key);
    if (!value.is_null()) set_all({{key, value}}, metadata);
  }
  try {
    Tokenizer::create(metadata);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

json tokens_of(const char* golden, size_t changed, const std::string& text) {
  json tokens = read_golden(std::string(golden) + ".json")["metadata"]["tokenizer.ggml.tokens"];
  tokens[changed] = text;
  return tokens;
}

TEST(HostileTokenizer, IsRefusedInOneSentence) {
  const json other_token = tokens_of("bpe", 300, "zzzzz");
  const json duplicate = tokens_of("bpe", 300, tokens_of("bpe", 301, "unused")[300 + 2]);
  const json bad_byte = tokens_of("sentencepiece", 40, "<0xZZ>");
  const std::vector<Hostile> all = {
      {"no model", "bpe", {{"tokenizer.ggml.model", nullptr}}, "tokenizer.ggml.model"},
      {"unknown model", "bpe", {{"tokenizer.ggml.model", "rwkv"}}, "\"rwkv\" is not known"},
      {"model of another type", "bpe", {{"tokenizer.ggml.model", 7}}, "tokenizer.ggml.model"},
      {"no tokens", "bpe", {{"tokenizer.ggml.tokens", nullptr}}, "no tokens"},
      {"no tokens", "wordpiece", {{"tokenizer.ggml.tokens", nullptr}}, "no tokens"},
      {"fewer types",
       "bpe",
       {{"tokenizer.ggml.token_type", {1, 1}}},
       "2 entries in tokenizer.ggml.token_type"},
      {"unknown type",
       "bpe",
       {{"tokenizer.ggml.tokens", {"a", "b"}}, {"tokenizer.ggml.token_type", {1, 99}}},
       "type 99"},
      {"eos beyond",
       "bpe",
       {{"tokenizer.ggml.eos_token_id", 1000000}, {"tokenizer.ggml.add_eos_token", true}},
       "eos_token_id is 1000000"},
      {"no merges", "bpe", {{"tokenizer.ggml.merges", nullptr}}, "no merges"},
      {"merge without space", "bpe", {{"tokenizer.ggml.merges", {"ab"}}}, "merge 0 is not two texts"},
      {"merge of one text", "bpe", {{"tokenizer.ggml.merges", {"ab "}}}, "merge 0 is not two texts"},
      {"merge of nothing", "bpe", {{"tokenizer.ggml.merges", {""}}}, "merge 0 is not two texts"},
      {"merge of unknown tokens", "bpe", {{"tokenizer.ggml.merges", {"qqqq zzzz"}}}, "the vocabulary lacks"},
      {"merge that makes no token", "bpe", {{"tokenizer.ggml.tokens", other_token}}, "the vocabulary lacks"},
      {"merge of an overwritten token",
       "bpe",
       {{"tokenizer.ggml.tokens", duplicate}},
       "the vocabulary lacks"},
      {"unknown pre", "bpe", {{"tokenizer.ggml.pre", "martian"}}, "\"martian\""},
      {"no scores", "sentencepiece", {{"tokenizer.ggml.scores", nullptr}}, "0 scores"},
      {"fewer scores", "sentencepiece", {{"tokenizer.ggml.scores", {0.5, 0.25}}}, "2 scores"},
      {"byte token of another form",
       "sentencepiece",
       {{"tokenizer.ggml.tokens", bad_byte}},
       "not of the form <0x0A>"},
      {"no unknown token",
       "wordpiece",
       {{"tokenizer.ggml.tokens", {"\u2581a", "b"}},
        {"tokenizer.ggml.token_type", {1, 1}},
        {"tokenizer.ggml.unknown_token_id", nullptr},
        {"tokenizer.ggml.cls_token_id", nullptr},
        {"tokenizer.ggml.seperator_token_id", nullptr},
        {"tokenizer.ggml.padding_token_id", nullptr},
        {"tokenizer.ggml.mask_token_id", nullptr}},
       "unknown token"},
  };
  for (const Hostile& hostile : all) {
    const std::string error = error_of(hostile);
    EXPECT_NE(error.find(hostile.wanted), std::string::npos) << hostile.name << ": " << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << hostile.name;
  }
}

TEST(HostileTokenizer, ScoresThatAreNotNumbersAreRefused) {
  const json golden = read_golden("sentencepiece.json");
  Metadata metadata = golden_metadata(golden, golden["variants"][0]["metadata"]);
  std::vector<double> scores(golden["metadata"]["tokenizer.ggml.scores"].size(), -1.0);
  scores[7] = std::numeric_limits<double>::quiet_NaN();
  metadata.set("tokenizer.ggml.scores", Value::of(scores));
  EXPECT_THROW(Tokenizer::create(metadata), Error);
}

/// Of two tokens with one text the lower is found, and both are decoded.
TEST(Tokenizer, TokensWithOneTextAreBothDecoded) {
  const json golden = read_golden("bpe.json");
  Metadata metadata = golden_metadata(golden, golden["variants"][0]["metadata"]);
  auto tokens = golden["metadata"]["tokenizer.ggml.tokens"].get<std::vector<std::string>>();
  auto types = golden["metadata"]["tokenizer.ggml.token_type"].get<std::vector<int64_t>>();
  const auto ids = Tokenizer::create(metadata)->encode("Hello");
  for (const TokenId id : ids) {
    tokens.push_back(tokens[static_cast<size_t>(id)]);
    types.push_back(1);
  }
  metadata.set("tokenizer.ggml.tokens", Value::of(tokens));
  metadata.set("tokenizer.ggml.token_type", Value::of(types));
  const auto tokenizer = Tokenizer::create(metadata);
  EXPECT_EQ(tokenizer->encode("Hello"), ids);
  std::vector<TokenId> higher;
  for (size_t i = 0; i < ids.size(); ++i)
    higher.push_back(static_cast<TokenId>(tokens.size() - ids.size() + i));
  EXPECT_EQ(tokenizer->decode(higher), "Hello");
}

TEST(Tokenizer, AMissingPretokenizerIsANotice) {
  const json golden = read_golden("bpe.json");
  Metadata metadata = golden_metadata(golden, golden["variants"][0]["metadata"]);
  EXPECT_TRUE(Tokenizer::create(metadata)->notes().empty());
  const auto ids = Tokenizer::create(metadata)->encode("Hello, World!");
  metadata.erase("tokenizer.ggml.pre");
  const auto tokenizer = Tokenizer::create(metadata);
  ASSERT_EQ(tokenizer->notes().size(), 1U);
  EXPECT_NE(tokenizer->notes()[0].find("tokenizer.ggml.pre"), std::string::npos);
  EXPECT_EQ(tokenizer->encode("Hello, World!"), ids);
}

TEST(Tokenizer, SpecialIdsBeyondTheVocabularyAreIgnoredWhereUnused) {
  const json golden = read_golden("bpe.json");
  Metadata metadata = golden_metadata(golden, golden["variants"][0]["metadata"]);
  metadata.set("tokenizer.ggml.bos_token_id", Value::of(int64_t{1'000'000}));
  metadata.set("tokenizer.ggml.padding_token_id", Value::of(int64_t{-1}, ValueType::kI32));
  const auto tokenizer = Tokenizer::create(metadata);
  EXPECT_FALSE(tokenizer->special().bos);
  EXPECT_FALSE(tokenizer->special().pad);
  EXPECT_FALSE(tokenizer->encode("Hello").empty());
}

/// Steps of tokenizer.json that are unknown, or made to do harm.
TEST(HostileTokenizer, StepsAreRefusedInOneSentence) {
  const json golden = read_golden("bpe.json");
  Metadata metadata = golden_metadata(golden, golden["variants"][0]["metadata"]);
  json nested = {{"type", "NFC"}};
  for (int i = 0; i < 20; ++i) nested = {{"type", "Sequence"}, {"normalizers", json::array({nested})}};
  const auto split = [](const std::string& pattern) {
    return json{
        {"pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}}}};
  };
  const auto single = [](json part) {
    return json{
        {"post_processor", {{"type", "TemplateProcessing"}, {"single", json::array({std::move(part)})}}}};
  };
  const std::vector<std::pair<json, const char*>> all = {
      {{{"normalizer", {{"type", "Martian"}}}}, "normalizer Martian is not known"},
      {{{"pre_tokenizer", {{"type", "Martian"}}}}, "pre-tokenizer Martian is not known"},
      {{{"post_processor", {{"type", "Martian"}}}}, "post-processor Martian is not known"},
      {{{"decoder", {{"type", "Martian"}}}}, "decoder Martian is not known"},
      {{{"model", {{"type", "Martian"}}}}, "of the kind Martian is not known"},
      {{{"model", {{"type", "BPE"}, {"dropout", 0.1}}}}, "dropout 0.1"},
      {{{"model", {{"type", "BPE"}, {"unk_token", "<none>"}}}}, "\"<none>\" is not in it"},
      {{{"normalizer", nested}}, "nested too deep"},
      {{{"normalizer", {{"type", "Replace"}, {"content", "x"}}}}, "neither a text nor a regular expression"},
      {{{"normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "!!"}}}}, "is not base64"},
      {{{"normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "//8AAAAA"}}}}, "is cut"},
      {split("("), "does not compile"},
      {split("[a-z&&[^b]]"), "an intersection of classes"},
      {split("(?R)"), "a recursion"},
      {split(std::string(100'000, 'a')), "longer than"},
      {single({{"SpecialToken", {{"id", "x"}, {"type_id", 0}}}}), "whose ids are not given"},
      {single({{"Sequence", {{"id", "B"}, {"type_id", 0}}}}), "has two"},
      {{{"added_tokens", json::array({{{"id", 99999}, {"content", "x"}}})}}, "beyond the"},
  };
  for (const auto& [change, wanted] : all) {
    json steps = {{"model", {{"type", "BPE"}}}};
    steps.update(change);
    metadata.set("tokenizer.wattle.pipeline", Value::of(steps.dump()));
    try {
      Tokenizer::create(metadata);
      ADD_FAILURE() << wanted << ": no error";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(wanted), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  // One that takes too many steps ends with a sentence.
  json slow = split("(a+)+$");
  slow["model"] = {{"type", "BPE"}};
  metadata.set("tokenizer.wattle.pipeline", Value::of(slow.dump()));
  EXPECT_THROW(Tokenizer::create(metadata)->encode(std::string(60, 'a') + "b"), Error);
}

/// Merging is O(n log n) and cutting a text into words linear: megabytes without a break take no noticeable
/// time.
TEST(HostileTokenizer, LongTextsWithoutBreaksAreTokenised) {
  for (const char* kind : {"wordpiece", "bpe", "sentencepiece"}) {
    const json golden = read_golden(std::string(kind) + ".json");
    for (const json& variant : golden["variants"]) {
      const auto tokenizer = Tokenizer::create(golden_metadata(golden, variant["metadata"]));
      const size_t length = 1 << 18;
      for (const char* unit :
           {"a", " ", "\n", "1", "!", "\u4e2d", "<", "\u0301", "\u0301\u0323", "ab", "\xff"}) {
        std::string text;
        while (text.size() < length) text += unit;
        const auto ids = tokenizer->encode(text, {false, false});
        EXPECT_LE(ids.size(), 3 * length + 1) << kind << ' ' << unit;
      }
    }
  }
}

}  // namespace
}  // namespace wattle
