// Shapes with a head do the task of the head, with the tokenizer that counts their tokens.
#include <gtest/gtest.h>
#include <wattle/error.h>

#include "base/memory.h"
#include "models/model.h"
#include "models/shapes.h"
#include "tasks/task.h"

namespace wattle {
namespace {

Answer answer_of_shape(const std::string& model, const std::string& task, const Question& question) {
  TaskOptions options;
  options.task = task;
  return Task::create(model, options)->answer({&question, 1}).at(0);
}

TEST(ShapeHeads, OfSequencesGiveLabels) {
  const Answer answer =
      answer_of_shape("shape:bert-tiny+sequence=bad,good@Q8_0", "classify", {"0", "a fine day"});
  const auto& label = std::get<LabelAnswer>(answer.value);
  EXPECT_EQ(*label.names, (std::vector<std::string>{"bad", "good"}));
  EXPECT_GT(answer.work.macs_int8, 0);
}

TEST(ShapeHeads, OfTokensGiveSpansOfWholeCharacters) {
  const std::string text = "Ada Lövelåce lived in Ŀondoñ, 中文字 too.";
  const Answer answer = answer_of_shape("shape:bert-tiny+token=O,B-PER,I-PER", "tag", {"0", text});
  for (const Span& span : std::get<SpansAnswer>(answer.value).spans) {
    EXPECT_EQ(span.text,
              text.substr(static_cast<size_t>(span.begin), static_cast<size_t>(span.end - span.begin)));
    for (const int64_t edge : {span.begin, span.end}) {
      const bool inside = edge < static_cast<int64_t>(text.size()) &&
                          (static_cast<unsigned char>(text[static_cast<size_t>(edge)]) & 0xC0) == 0x80;
      EXPECT_FALSE(inside) << edge;
    }
  }
}

TEST(ShapeHeads, OfSpansAnswerFromTheContext) {
  const std::string context =
      "The tower was finished in 1889 by Gustave Eiffel, who lived in Paris at that time.";
  const Answer answer =
      answer_of_shape("shape:roberta-base+span@Q4_0", "answer", {"0", TextPair{"Who built it?", context}});
  const auto& spans = std::get<SpansAnswer>(answer.value);
  ASSERT_FALSE(spans.spans.empty());
  EXPECT_NE(context.find(spans.spans[0].text), std::string::npos);
}

TEST(ShapeHeads, OfMasksFillThem) {
  for (const char* model : {"shape:bert-tiny+masked", "shape:distilbert-base-uncased+masked@Q8_0",
                            "shape:albert-base-v2+masked@Q8_0", "shape:deberta-base+masked@Q8_0"}) {
    const Answer answer = answer_of_shape(model, "fill", {"0", "The capital of [MASK] is Paris."});
    const auto& fills = std::get<FillsAnswer>(answer.value);
    ASSERT_EQ(fills.masks.size(), 1u) << model;
    EXPECT_EQ(fills.masks[0].size(), 5u) << model;
  }
}

// A tokenizer counts the tokens of a text alike, whatever it is asked for.
TEST(ShapeHeads, TokensAreCountedAlike) {
  const auto model = Model::open("shape:bert-tiny+span");
  const Tokenizer& tokenizer = model->tokenizer();
  const std::string text = "nine bytes and more";
  EXPECT_EQ(tokenizer.encode(text), tokenizer.encode_pair(text, std::nullopt).ids);
  const Encoding pair = tokenizer.encode_pair("Who?", text);
  EXPECT_EQ(pair.size(), 1 + 1 + 1 + 5 + 1u);
  EXPECT_EQ(pair.type_ids.back(), 1);
  EXPECT_EQ(pair.offsets[3], (ByteRange{0, 4}));
  EXPECT_EQ(pair.offsets[7], (ByteRange{16, 19}));
}

TEST(ShapeHeads, AreRefusedByName) {
  for (const char* model : {"shape:bert-tiny+box", "shape:bert-tiny+sequence",
                            "shape:bert-tiny+token=", "shape:bert-tiny+token=0", "shape:bert-tiny+token=A,,B",
                            "shape:bert-tiny+span=2", "shape:bert-tiny+token=99999"}) {
    EXPECT_THROW(shape_file(model), Error) << model;
  }
  EXPECT_EQ(shape_file("shape:bert-tiny+token=7").need("token_cls.weight").rows(), 7);
}

TEST(ShapeHeads, AModelTooLargeForTheMemoryIsRefused) {
  const auto available = available_memory();
  if (!available || *available > 40'000'000'000) GTEST_SKIP() << "this machine has room for flan-t5-xxl";
  try {
    Model::open("shape:flan-t5-xxl@F32");
    FAIL() << "it was loaded";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("GB of memory left; choose a smaller precision"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace wattle
