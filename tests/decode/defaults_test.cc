#include "decode/defaults.h"

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "file/readers.h"
#include "file/temporary_directory.h"

namespace wattle {
namespace {

using Ids = std::vector<TokenId>;

constexpr int64_t kVocabulary = 60000;

class DefaultsTest : public ::testing::Test {
 protected:
  ModelFile::Contents read(const std::string& generation_config, const std::string& config = "{}") {
    folder_.write("config.json", config);
    std::filesystem::remove(folder_.path() / "generation_config.json");
    if (!generation_config.empty()) folder_.write("generation_config.json", generation_config);
    ModelFile::Contents contents;
    read_generation_config(folder_.path(), contents);
    return contents;
  }
  GenerationDefaults defaults(const std::string& generation_config, const std::string& config = "{}",
                              const std::string& task = {}) {
    return generation_defaults(read(generation_config, config).metadata, nullptr, kVocabulary, task);
  }

  TemporaryDirectory folder_;
};

// bart-large-cnn keeps its defaults in config.json, and those of a task apart.
constexpr const char* kBart = R"({"bos_token_id": 0, "decoder_start_token_id": 2, "early_stopping": true,
  "eos_token_id": 2, "force_bos_token_to_be_generated": true, "forced_bos_token_id": 0,
  "forced_eos_token_id": 2, "length_penalty": 2.0, "max_length": 142, "min_length": 56,
  "no_repeat_ngram_size": 3, "num_beams": 4, "prefix": " ",
  "task_specific_params": {"summarization": {"early_stopping": "never", "length_penalty": 0.5, "max_length": 70,
                                             "prefix": "summarize: "}}})";

TEST_F(DefaultsTest, OlderModelsKeepThemInTheirConfig) {
  const GenerationDefaults d = defaults("", kBart);
  EXPECT_EQ(d.decoder_start, 2);
  EXPECT_EQ(d.options.early_stopping, EarlyStopping::kYes);
  EXPECT_EQ(d.options.end_tokens, Ids{2});
  EXPECT_EQ(d.options.forced_bos, 0);
  EXPECT_EQ(d.options.forced_eos, Ids{2});
  EXPECT_EQ(d.options.length_penalty, 2.0);
  EXPECT_EQ(d.options.max_length, 142);
  EXPECT_EQ(d.options.min_length, 56);
  EXPECT_EQ(d.options.no_repeat_ngram, 3);
  EXPECT_EQ(d.options.beams, 4);
  EXPECT_FALSE(d.sampler);

  const GenerationDefaults task = defaults("", kBart, "summarization");
  EXPECT_EQ(task.options.early_stopping, EarlyStopping::kNever);
  EXPECT_EQ(task.options.length_penalty, 0.5);
  EXPECT_EQ(task.options.max_length, 70);
  EXPECT_EQ(task.options.min_length, 56);
  EXPECT_EQ(task.prefix, "summarize: ");
}

TEST_F(DefaultsTest, TheirOwnFileOutweighsTheConfig) {
  const GenerationDefaults d = defaults(
      R"({"eos_token_id": [128001, 5, 128009, 7], "num_beams": null, "max_length": 20, "do_sample": true,
          "temperature": 0.6, "top_p": 0.9, "bad_words_ids": [[3, 4], [5]], "forced_decoder_ids": [[1, null], [2, 9]],
          "suppress_tokens": [1, 2], "begin_suppress_tokens": [220], "sequence_bias": [[[4, 5], -2.5]],
          "early_stopping": "never", "repetition_penalty": 1.1, "encoder_no_repeat_ngram_size": 2,
          "min_new_tokens": 3, "max_new_tokens": 9})",
      kBart);
  EXPECT_EQ(d.options.end_tokens, (Ids{5, 7})) << "sorted, without those beyond the vocabulary";
  EXPECT_FALSE(d.options.beams) << "the config's are not looked at";
  EXPECT_EQ(d.options.max_length, 20);
  EXPECT_EQ(d.options.max_tokens, 9);
  EXPECT_EQ(d.options.min_tokens, 3);
  EXPECT_EQ(d.decoder_start, 2) << "which this file does not name";
  ASSERT_TRUE(d.sampler);
  EXPECT_NEAR(d.sampler->temperature, 0.6, 1e-6);
  EXPECT_NEAR(d.sampler->top_p, 0.9, 1e-6);
  EXPECT_EQ(d.sampler->top_k, 50);
  EXPECT_EQ(d.options.bad_words, (std::vector<Ids>{{3, 4}, {5}}));
  ASSERT_EQ(d.options.forced_tokens->size(), 1u);
  EXPECT_EQ(d.options.forced_tokens->front().position, 2);
  EXPECT_EQ(d.options.forced_tokens->front().token, 9);
  EXPECT_EQ(d.options.suppress, (Ids{1, 2}));
  EXPECT_EQ(d.options.begin_suppress, Ids{220});
  ASSERT_EQ(d.options.sequence_bias.size(), 1u);
  EXPECT_EQ(d.options.sequence_bias[0].tokens, (Ids{4, 5}));
  EXPECT_EQ(d.options.sequence_bias[0].bias, -2.5f);
  EXPECT_EQ(d.options.early_stopping, EarlyStopping::kNever);
  EXPECT_FLOAT_EQ(static_cast<float>(*d.options.repetition_penalty), 1.1f);
  EXPECT_EQ(d.options.encoder_no_repeat_ngram, 2);
}

TEST_F(DefaultsTest, GgufNamesItsEnds) {
  Metadata metadata;
  metadata.set("tokenizer.ggml.eos_token_id", Value::of(int64_t{9}));
  metadata.set("tokenizer.ggml.eot_token_id", Value::of(int64_t{4}));
  metadata.set("tokenizer.ggml.eom_token_id", Value::of(int64_t{6}));
  metadata.set("wattle.generation.eos_token_id", Value::of(std::vector<int64_t>{4, 12, 99}));
  EXPECT_EQ(end_tokens(metadata, nullptr, 50), (Ids{4, 6, 9, 12}));
  EXPECT_EQ(end_tokens(Metadata(), nullptr, 50), Ids());
}

TEST_F(DefaultsTest, WhatIsNotKnownIsSaid) {
  const auto notes = read(R"({"diversity_penalty": 0.5, "num_beam_groups": 1, "renormalize_logits": false,
                              "force_words_ids": [], "guidance_scale": 1.0, "penalty_alpha": 0.6})")
                         .notes;
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("diversity_penalty, penalty_alpha not known"), std::string::npos) << notes[0];
  EXPECT_TRUE(read("{}", kBart).notes.empty());
}

TEST_F(DefaultsTest, DamagedValuesAreRefused) {
  for (const char* text :
       {R"({"eos_token_id": "two"})", R"({"eos_token_id": [1, -4]})", R"({"eos_token_id": 1e30})",
        R"({"num_beams": -1})", R"({"num_beams": "four"})", R"({"early_stopping": "soon"})",
        R"({"bad_words_ids": 4})", R"({"bad_words_ids": [4]})", R"({"bad_words_ids": [[4, "x"]]})",
        R"({"sequence_bias": [[1, 2, 3]]})", R"({"sequence_bias": {"a": 1}})",
        R"({"max_length": 99999999999})", R"({"suppress_tokens": [[1]]})", R"([])",
        R"({"task_specific_params": 7})"}) {
    EXPECT_THROW(read("", text), Error) << text;
  }
  const auto damaged = [](const char* key, Value value) {
    Metadata metadata;
    metadata.set(std::string("wattle.generation.") + key, std::move(value));
    EXPECT_THROW(generation_defaults(metadata, nullptr, kVocabulary), Error) << key;
  };
  damaged("bad_words_ids", Value::of(std::vector<int64_t>{3, 1, 2}));
  damaged("bad_words_ids", Value::of(std::vector<int64_t>{-1}));
  damaged("bad_words_ids", Value::of(std::vector<int64_t>{0}));
  damaged("forced_decoder_ids", Value::of(std::vector<int64_t>{1, 1}));
  damaged("sequence_bias", Value::of(std::vector<double>{1}));
  damaged("num_beams", Value::of(int64_t{100000}));
  damaged("suppress_tokens", Value::of(std::vector<int64_t>{kVocabulary}));
  damaged("early_stopping", Value::of(std::string("soon")));
}

}  // namespace
}  // namespace wattle
