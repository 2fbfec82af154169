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
      {"merge of an overwritten token", "bpe", {{"tokenizer.ggml.tokens", duplicate}}, "the vocabulary lacks"},
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
