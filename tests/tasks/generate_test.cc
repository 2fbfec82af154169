#include <string>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "decode/golden_generations.h"
#include "tasks/task.h"

// Texts of models without a tokenizer: ids in, ids out, as the reference library generates them.

namespace wattle {
namespace {

std::unique_ptr<Task> task_of(const std::filesystem::path& folder, const TaskOptions& options) {
  LoadOptions load;
  load.cache_format = Format::kF32;
  load.context = 64;
  return Task::create(folder.string(), options, load);
}

class GenerateIds : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(GenerateIds, AsTheReference) {
  const golden::Case golden(GetParam());
  // The golden texts were made without the defaults that the folder would give.
  const nlohmann::json none = {{"forced_bos_token_id", nullptr}, {"forced_eos_token_id", nullptr}};
  golden::Changes changes;
  changes.config = changes.generation_config = none;
  const auto folder = golden.write_folder(changes);
  for (const golden::Generation& text : golden.generations()) {
    TaskOptions options;
    options.task = "generate";
    options.generation = golden::options_of(text);
    options.max_tokens = text.max_new_tokens;
    options.generation.ignore_end = text.eos.empty();
    TokenIds ids{text.ids, {}, {}};
    if (text.decoder_start) ids.decoder_ids = {*text.decoder_start};
    const std::vector<Question> questions(2, Question{"1", ids});
    const auto task = task_of(folder->path(), options);
    for (const Answer& answer : task->answer(questions)) {
      const auto& value = std::get<TextAnswer>(answer.value);
      EXPECT_EQ(value.ids, golden::wanted(text)) << golden.label() << ", " << text.num_beams << " beams";
      EXPECT_FALSE(value.text);
      EXPECT_EQ(value.tokens_in, static_cast<int64_t>(text.ids.size()));
      EXPECT_EQ(answer.work.tokens_out, static_cast<int64_t>(value.ids->size()));
      EXPECT_GT(answer.work.macs_fp32 + answer.work.macs_int8 + answer.work.macs_bf16, 0);
    }
  }
}

std::vector<std::filesystem::path> some_cases() {
  std::vector<std::filesystem::path> files = golden::cases_that_generate();
  std::erase_if(files, [](const std::filesystem::path& file) {
    const std::string family = file.parent_path().filename().string();
    return family != "llama" && family != "t5" && family != "bart";
  });
  return files;
}

INSTANTIATE_TEST_SUITE_P(Cases, GenerateIds, testing::ValuesIn(some_cases()), golden::case_name);

TEST(Generate, AnEncoderDecoderSaysWhatItCannotRead) {
  for (const auto& file : some_cases()) {
    if (file.parent_path().filename() != "t5") continue;
    const golden::Case golden(file);
    const auto folder = golden.write_folder();
    const auto task = task_of(folder->path(), {.task = "generate", .max_tokens = 8});
    const auto refusal = [&](TokenIds ids) {
      const Question question{"1", std::move(ids)};
      try {
        task->answer({&question, 1});
      } catch (const Error& error) {
        return std::string(error.what());
      }
      return std::string();
    };
    EXPECT_NE(refusal({{5, 6}, {0, 0}, {0}}).find("type ids"), std::string::npos);
    EXPECT_NE(refusal({{5, 1 << 20}, {}, {0}}).find("vocabulary"), std::string::npos);
    EXPECT_EQ(refusal({{5, 6}, {}, {0}}), "") << "after an error the task goes on";
    EXPECT_EQ(refusal({{5, 6}, {}, {}}), "") << "the model says what an answer begins with";
  }
}

}  // namespace
}  // namespace wattle
