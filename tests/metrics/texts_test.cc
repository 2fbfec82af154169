#include <cmath>

#include <gtest/gtest.h>

#include <wattle/error.h>

#include "metrics/bleu_words.h"
#include "metrics/golden.h"
#include "metrics/porter.h"
#include "metrics/rouge.h"
#include "metrics/words.h"

namespace wattle {
namespace {

TEST(Extraction, AgreesWithSquadsEvaluation) {
  const auto json = golden("extraction");
  const Pairs pairs = text_pairs(json.at("rows"));
  for (const char* name : {"exact_match", "answer_f1"}) {
    const auto metric = make_metric(name);
    const auto rows = rows_of(*metric, pairs);
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_NEAR(rows[i][0], json["rows"][i].at(name).get<double>(), kNear) << name << json["rows"][i];
    }
    EXPECT_NEAR(metric->value(rows), json.at(name).get<double>(), kNear) << name;
  }
  EXPECT_NEAR(value_of(*make_metric("no_answer_accuracy"), pairs),
              json.at("no_answer_accuracy").get<double>(), kNear);
}

TEST(Extraction, NoAnswerAccuracyNeedsAQuestionWithoutOne) {
  const auto metric = make_metric("no_answer_accuracy");
  EXPECT_THROW(value_of(*metric, {{text_answer("x"), TextsTruth{{"x"}}}}), Error);
}

TEST(Extraction, TakesTheBestSpan) {
  Answer answer;
  answer.value = SpansAnswer{{}, "the tower"};
  EXPECT_EQ(make_metric("exact_match")->row(answer, TextsTruth{{"Tower."}}), RowScore{1});
  answer.value = SpansAnswer{};  // named entities
  EXPECT_THROW(make_metric("exact_match")->row(answer, TextsTruth{{"Tower."}}), Error);
}

TEST(Texts, RowsAgreeWithRougeScoreAndSacrebleu) {
  const auto json = golden("texts");
  const Pairs pairs = text_pairs(json.at("rows"));
  for (const auto& [name, first] : json["rows"][0].at("scores").items()) {
    const auto metric = make_metric(name);
    for (size_t i = 0; i < pairs.size(); ++i) {
      const auto& row = json["rows"][i];
      const double ours = value_of(*metric, {pairs[i]});
      EXPECT_NEAR(ours, row["scores"].at(name).get<double>(), 1e-10) << name << row;
    }
  }
}

TEST(Texts, CorporaAgreeWithSacrebleu) {
  const auto json = golden("texts");
  for (const auto& [rows, corpus] : {std::pair{"rows", "corpus"}, {"few", "corpus_of_few"}}) {
    const Pairs pairs = text_pairs(json.at(rows));
    for (const auto& [name, value] : json.at(corpus).items()) {
      EXPECT_NEAR(value_of(*make_metric(name), pairs), value.get<double>(), 1e-10) << corpus << " " << name;
    }
  }
}

TEST(Texts, WordsAreThoseOfSacrebleu) {
  const auto json = golden("texts");
  for (const auto& line : json.at("words")) {
    const std::string text = line[0];
    EXPECT_EQ(nlohmann::json(words_13a(text)), line[1]) << text;
    EXPECT_EQ(nlohmann::json(words_zh(text)), line[2]) << text;
    EXPECT_EQ(nlohmann::json(words_char(text)), line[3]) << text;
  }
}

TEST(Texts, StemsAreThoseOfNltk) {
  const auto json = golden("stems");
  for (const auto& [word, stem] : json.items()) {
    EXPECT_EQ(porter_stem(word), stem.get<std::string>()) << word;
  }
}

TEST(Texts, WordsFollowPython) {
  EXPECT_EQ(trimmed(" \u3000a b\x1f\n"), "a b");
  EXPECT_EQ(trimmed(" \n"), "");
  EXPECT_EQ(lowered("ΣΑΣ ΣΑΣ"), "σας σας");
  EXPECT_EQ(lowered("ẞÄİ"), "ßäi\u0307");
  EXPECT_EQ(words_of_summary("\u212A-9 é1", false), (Words{"k", "9", "1"}));  // the Kelvin sign
}

TEST(Texts, RougeOfWorkedExamples) {
  // Lin 2004, section 3.
  const std::string reference = "police killed the gunman";
  EXPECT_DOUBLE_EQ(rouge_l("police kill the gunman", reference), 0.75);
  EXPECT_DOUBLE_EQ(rouge_l("the gunman kill police", reference), 0.5);
  EXPECT_DOUBLE_EQ(rouge_n("the gunman kill police", reference, 2), 1.0 / 3);
  EXPECT_DOUBLE_EQ(rouge_l("police kill the gunman", reference, true), 1);
}

TEST(Captions, AgreeWithCocosEvaluation) {
  const auto json = golden("captions");
  const Pairs pairs = text_pairs(json.at("rows"));
  std::vector<Truth> truths;
  for (const auto& [answer, truth] : pairs) truths.push_back(truth);
  const auto cider = make_metric("cider_d", {}, truths);
  const auto rows = rows_of(*cider, pairs);
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_NEAR(rows[i][0], json["rows"][i].at("cider_d").get<double>(), 1e-10) << json["rows"][i];
  }
  EXPECT_NEAR(cider->value(rows), json.at("cider_d").get<double>(), 1e-10);
  EXPECT_NEAR(value_of(*make_metric("coco_bleu_4"), pairs), json.at("coco_bleu_4").get<double>(), kNear);
}

TEST(Captions, WordsAreThoseOfThePtbTokenizer) {
  const auto json = golden("captions");
  for (const auto& line : json.at("words")) {
    EXPECT_EQ(nlohmann::json(words_of_caption(line[0].get<std::string>())), line[1]) << line[0];
  }
}

double right(const char* metric, std::string answer, std::vector<std::string> texts) {
  return make_metric(metric)->row(text_answer(std::move(answer)), TextsTruth{std::move(texts)}).at(0);
}

TEST(Generation, ExactTextTrims) {
  EXPECT_EQ(right("exact_text", " B\n", {"A", "B "}), 1);
  EXPECT_EQ(right("exact_text", "b", {"B"}), 0);
  EXPECT_EQ(right("exact_text", "", {""}), 1);
}

TEST(Generation, PatternsAreSearchedAndTheirStepsLimited) {
  EXPECT_EQ(right("regular_expression", "The answer is (B).", {R"(answer is \(([A-D])\))"}), 1);
  EXPECT_EQ(right("regular_expression", "It is C", {"^C", "B$"}), 0);
  EXPECT_EQ(right("regular_expression", "schön", {"^sch.n$"}), 1);
  EXPECT_EQ(right("regular_expression", "broken \xff", {"broken"}), 1);
  EXPECT_THROW(right("regular_expression", "x", {"(x"}), Error);
  EXPECT_THROW(right("regular_expression", std::string(40, 'a') + "!", {"^(a+)+$"}), Error);
}

TEST(Generation, TheLastNumberIsTheAnswer) {
  EXPECT_EQ(right("last_number", "3 + 4 = 7. So 1,234.50 dollars.", {"#### 1234.5"}), 1);
  EXPECT_EQ(right("last_number", "it is -5", {"-5"}), 1);
  EXPECT_EQ(right("last_number", "10-5", {"-5"}), 0);
  EXPECT_EQ(right("last_number", "10-5", {"5"}), 1);
  EXPECT_EQ(right("last_number", "$.5", {"0.5"}), 1);
  EXPECT_EQ(right("last_number", "12.", {"#### 12"}), 1);
  EXPECT_EQ(right("last_number", "1.2.3", {"3"}), 0);
  EXPECT_EQ(right("last_number", "none", {"3"}), 0);
  EXPECT_THROW(right("last_number", "3", {"three"}), Error);
}

TEST(Perplexity, WeighsTokensAndBytes) {
  // Texts of 2 tokens at 1/4 and 6 tokens at 1/2 each: 2 * 2 + 6 * 1 bits over 8 tokens and 20 bytes.
  Answer short_text, long_text;
  short_text.value = PerplexityAnswer{4, 4.0 / 5, 2, 1};
  long_text.value = PerplexityAnswer{2, 6.0 / 15, 6, 1};
  const Pairs pairs = {{short_text, {}}, {long_text, {}}};
  for (const char* name : {"perplexity", "pseudo_perplexity"}) {
    const auto metric = make_metric(name);
    EXPECT_NEAR(value_of(*metric, pairs), std::exp2(10.0 / 8), kNear);
    EXPECT_FALSE(metric->greater_is_better());
  }
  EXPECT_NEAR(value_of(*make_metric("bits_per_byte"), pairs), 10.0 / 20, kNear);
  Answer infinite;
  infinite.value = PerplexityAnswer{INFINITY, {}, 2, 1};
  EXPECT_THROW(make_metric("perplexity")->row(infinite, {}), Error);
  EXPECT_THROW(make_metric("bits_per_byte")->row(infinite, {}), Error);
}

}  // namespace
}  // namespace wattle
