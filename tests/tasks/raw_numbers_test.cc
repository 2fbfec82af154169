// The tasks `hidden` and `logits`, from rows of ids to JSON, against the reference libraries' numbers.
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "families/golden_case.h"
#include "tasks/json.h"
#include "tasks/task.h"

namespace wattle {
namespace {

const std::filesystem::path kCases = std::filesystem::path(WATTLE_SOURCE_DIR) / "tests/golden/families";

/// Numbers of nested lists, in order.
void flatten(const nlohmann::ordered_json& json, std::vector<double>& numbers) {
  if (!json.is_array()) return numbers.push_back(json.get<double>());
  for (const auto& item : json) flatten(item, numbers);
}

/// What the task writes for a sequence of a case, read back.
nlohmann::ordered_json ask(Task& task, const golden::Sequence& sequence, bool decoder) {
  nlohmann::ordered_json row{{"ids", sequence.ids}};
  if (!sequence.type_ids.empty()) row["type_ids"] = sequence.type_ids;
  if (decoder && !sequence.decoder_ids.empty()) row["decoder_ids"] = sequence.decoder_ids;
  const Question question = question_from_json(row, {}, 0, "a row");
  return nlohmann::ordered_json::parse(to_json(task.answer({&question, 1}).front()).dump());
}

void expect_near(const nlohmann::ordered_json& json, ConstMatrixView expected, const std::string& what) {
  std::vector<double> numbers;
  flatten(json, numbers);
  ASSERT_EQ(numbers.size(), static_cast<size_t>(expected.rows * expected.columns)) << what;
  double largest = 0, worst = 0;
  for (int64_t i = 0; i < expected.rows; ++i) {
    for (int64_t j = 0; j < expected.columns; ++j) {
      const double value = expected.row(i)[static_cast<size_t>(j)];
      largest = std::max(largest, std::abs(value));
      worst = std::max(worst, std::abs(value - numbers[static_cast<size_t>(i * expected.columns + j)]));
    }
  }
  EXPECT_LE(worst, 1e-4 * largest) << what;
}

TEST(RawNumbers, AreThoseOfTheReference) {
  struct Asked {
    const char *name, *task, *kind, *key;
  };
  const Asked cases[] = {{"bert/base", "hidden", "hidden", "hidden"},
                         {"bert/sequence_classification", "logits", "logits", "logits"},
                         {"bert/token_classification", "logits", "logits", "logits"},
                         {"bert/question_answering", "logits", "start_logits", "start_logits"},
                         {"bert/question_answering", "logits", "end_logits", "end_logits"},
                         {"gpt2/base", "logits", "logits", "logits"},
                         {"t5/base", "logits", "logits", "logits"},
                         {"t5/base", "hidden", "encoder_hidden", "hidden"}};
  for (const Asked& asked : cases) {
    const golden::Case golden(kCases / (std::string(asked.name) + ".json"));
    const auto folder = golden.write_folder();
    LoadOptions exact;
    exact.cache_format = Format::kF32;
    const auto task = Task::create(folder->path().string(), {.task = asked.task}, exact);
    const bool logits = std::string(asked.task) == "logits";
    ASSERT_TRUE(golden.has(asked.kind)) << asked.name;
    for (const golden::Output* output : golden.outputs(asked.kind)) {
      const auto json = ask(*task, golden.sequences()[output->sequence], logits);
      ASSERT_TRUE(json.contains(asked.key)) << asked.name << json;
      expect_near(json[asked.key], output->values, std::string(asked.name) + " " + asked.kind);
    }
  }
}

TEST(RawNumbers, DecoderIdsGoToEncoderDecodersAlone) {
  LoadOptions exact;
  exact.cache_format = Format::kF32;
  const golden::Case t5(kCases / "t5/base.json"), gpt2(kCases / "gpt2/base.json");
  const auto t5_folder = t5.write_folder(), gpt2_folder = gpt2.write_folder();
  const auto translator = Task::create(t5_folder->path().string(), {.task = "logits"}, exact);
  const auto decoder = Task::create(gpt2_folder->path().string(), {.task = "logits"}, exact);
  const Question without{"0", TokenIds{{1, 2}, {}, {}}}, with{"0", TokenIds{{1, 2}, {}, {1}}},
      beyond{"0", TokenIds{{1, 2}, {}, {1 << 20}}}, typed{"0", TokenIds{{1, 2}, {0, 1}, {}}};
  EXPECT_THROW(translator->answer({&without, 1}), Error);
  EXPECT_THROW(translator->answer({&beyond, 1}), Error);
  EXPECT_NO_THROW(translator->answer({&with, 1}));
  EXPECT_NO_THROW(decoder->answer({&without, 1}));
  EXPECT_THROW(decoder->answer({&with, 1}), Error);
  EXPECT_THROW(decoder->answer({&typed, 1}), Error);
}

}  // namespace
}  // namespace wattle
