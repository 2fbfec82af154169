#include "tasks/json.h"

#include <gtest/gtest.h>
#include <wattle/error.h>

// Typed questions and answers go through JSON and come back as they were; what is wrong is refused in one
// sentence.

namespace wattle {
namespace {

using Json = nlohmann::ordered_json;

std::string refusal_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

Question read_question(Json json) {
  return question_from_json(json, {}, 3, "row 3");
}

TEST(Json, QuestionsOfEveryKindComeBack) {
  const char* const kQuestions[] = {
      R"({"text": "Zürich is \"fine\"", "id": 7})",
      R"({"text": "a", "text_pair": "b", "id": "x-1"})",
      R"({"query": "trees", "documents": ["oak", "car"], "id": 3})",
      R"({"question": "2 + 2?", "choices": ["3", "4"], "id": 3})",
      R"({"messages": [{"role": "user", "content": "hello"}], "id": 3})",
      R"({"ids": [1, 2, 3], "type_ids": [0, 0, 1], "decoder_ids": [0], "id": 3})",
  };
  for (const char* text : kQuestions) {
    const Json json = Json::parse(text);
    EXPECT_EQ(question_to_json(read_question(json)), json) << text;
  }
  EXPECT_TRUE(std::holds_alternative<Ranking>(read_question(Json::parse(kQuestions[2])).content));
  EXPECT_TRUE(std::holds_alternative<MultipleChoice>(read_question(Json::parse(kQuestions[3])).content));
}

TEST(Json, QuestionsThatAreWrongAreRefused) {
  const auto why = [](const char* text) { return refusal_of([&] { read_question(Json::parse(text)); }); };
  EXPECT_NE(why(R"({"query": "a", "documents": []})").find("`documents`"), std::string::npos);
  EXPECT_NE(why(R"({"query": "a", "documents": ["a", 1]})").find("`documents`"), std::string::npos);
  EXPECT_NE(why(R"({"query": 1, "documents": ["a"]})").find("'query'"), std::string::npos);
  EXPECT_NE(why(R"({"question": "a", "choices": ["only"]})").find("at least 2"), std::string::npos);
  EXPECT_NE(why(R"({"question": "a", "choices": ["x", "x"]})").find("twice"), std::string::npos);
}

TEST(Json, AnswersOfEveryTaskComeBack) {
  const std::pair<const char*, const char*> kAnswers[] = {
      {"classify", R"({"label": "b", "scores": {"a": 0.25, "b": 0.75}, "tokens_in": 4})"},
      {"classify", R"({"score": -1.5})"},
      {"embed", R"({"embedding": [0.5, -0.25], "tokens_in": 3})"},
      {"rank", R"({"scores": [0.5, 7.0, -2.0]})"},
      {"tag", R"({"spans": [{"label": "PER", "text": "Ö", "score": 0.5, "begin": 2, "end": 4,
                 "begin_code_point": 2, "end_code_point": 3}]})"},
      {"answer", R"({"text": "", "spans": []})"},
      {"fill", R"({"masks": [[{"token": "a", "id": 5, "score": 0.5, "text": "a b"}], []]})"},
      {"generate", R"({"text": "x", "tokens_in": 3, "tokens_out": 1, "stop": "length"})"},
      {"summarise", R"({"ids": [4, 5], "tokens_in": 3, "tokens_out": 2, "stop": "end"})"},
      {"perplexity", R"({"perplexity": 12.5, "bits_per_byte": 1.25, "tokens": 80, "windows": 2})"},
      {"tokenize", R"({"ids": [4, 5]})"},
  };
  for (const auto& [task, text] : kAnswers) {
    const Json json = Json::parse(text);
    EXPECT_EQ(to_json(answer_from_json(json, task)), json) << text;
  }
}

TEST(Json, AnswersOfOtherProgramsMayLeaveOut) {
  const Answer label = answer_from_json(Json::parse(R"({"label": "b"})"), "classify");
  EXPECT_EQ(std::get<LabelAnswer>(label.value).name(), "b");
  EXPECT_TRUE(std::get<LabelAnswer>(label.value).scores.empty());
  const Answer text = answer_from_json(Json::parse(R"({"text": "x"})"), "generate");
  EXPECT_EQ(std::get<TextAnswer>(text.value).text, "x");

  const Question question{"0", "Zoë met Anna"};
  const Json by_code_points =
      Json::parse(R"({"spans": [{"label": "PER", "begin_code_point": 8, "end_code_point": 12}]})");
  const Answer spans = answer_from_json(by_code_points, "tag", &question);
  const Span& span = std::get<SpansAnswer>(spans.value).spans.at(0);
  EXPECT_EQ(span.text, "Anna");
  EXPECT_EQ(span.begin, 9);
  EXPECT_EQ(span.end, 13);
  EXPECT_EQ(span.begin_code_point, 8);

  const Question asked{"0", TextPair{"Who?", "It was Anna"}};
  const Json found = Json::parse(R"({"spans": [{"begin": 7, "end": 11, "score": 0.5}]})");
  EXPECT_EQ(std::get<SpansAnswer>(answer_from_json(found, "answer", &asked).value).text, "Anna");
}

TEST(Json, AnswersThatAreWrongAreRefused) {
  const Question text{"0", "abc"}, ranking{"0", Ranking{"q", {"a", "b"}}};
  const struct {
    const char *task, *json, *says;
    const Question* question = nullptr;
  } kCases[] = {
      {"classify", R"({"text": "b"})", "`label`"},
      {"classify", R"([1])", "not an object"},
      {"classify", R"({"label": 1})", "`label` is 1"},
      {"classify", R"({"label": "c", "scores": {"a": 1.0}})", "none of those"},
      {"classify", R"({"label": "a", "scores": {"a": 1.5}})", "from 0 to 1"},
      {"classify", R"({"label": "a", "scores": {"a": "x"}})", "finite number"},
      {"classify", R"({"label": "a", "colour": 1})", "`colour`"},
      {"classify", R"({})", "`label`"},
      {"embed", R"({"embedding": []})", "empty"},
      {"embed", R"({"embedding": [1, null]})", "finite"},
      {"rank", R"({"scores": [1]})", "1 scores for 2", &ranking},
      {"rank", R"({"score": 1})", "no `scores`", &ranking},
      {"rank", R"({"scores": [1]})", "none to rank", &text},
      {"tag", R"({"spans": [{"begin": 0, "end": 9}]})", "no part", &text},
      {"tag", R"({"spans": [{"begin": 2, "end": 1}]})", "no part"},
      {"tag", R"({"spans": [{"begin_code_point": 0, "end_code_point": 9}]})", "beyond", &text},
      {"tag", R"({"spans": [{"begin_code_point": 0, "end_code_point": 1}]})", "neither"},
      {"fill", R"({"masks": [{"token": "a"}]})", "list of fillings"},
      {"fill", R"({"masks": [[{"token": "a"}]]})", "`score`"},
      {"generate", R"({"text": "x", "stop": "bored"})", "bored"},
      {"generate", R"({"text": "x", "tokens_out": -1})", "whole number"},
      {"perplexity", R"({"perplexity": 0.5})", "below 1"},
      {"logits", R"({"logits": [1]})", "not read"},
  };
  for (const auto& c : kCases) {
    const std::string why = refusal_of([&] { answer_from_json(Json::parse(c.json), c.task, c.question); });
    EXPECT_NE(why.find(c.says), std::string::npos) << c.json << " -> " << why;
    EXPECT_EQ(why.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace wattle
