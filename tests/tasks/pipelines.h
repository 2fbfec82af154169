#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "families/golden_case.h"
#include "tasks/json.h"
#include "tasks/task.h"

/// Tasks against the reference library's pipelines (tests/golden/tasks, made by make_tasks.py).
namespace wattle::pipelines {

using Json = nlohmann::json;

inline const std::filesystem::path kGolden = std::filesystem::path(WATTLE_SOURCE_DIR) / "tests/golden";
inline constexpr double kTolerance = 1e-4;

/// A tiny model of the families' cases with a tokenizer.
class Folder {
 public:
  explicit Folder(const Json& about, const golden::Changes& more = {})
      : case_(kGolden / "families" / (about["case"].get<std::string>() + ".json")) {
    golden::Changes changes = more;
    changes.config = about["config"];
    if (!more.config.is_null()) changes.config.update(more.config);
    folder_ = case_.write_folder(changes);
    folder_->write("tokenizer.json", about["tokenizer"].dump());
    folder_->write("tokenizer_config.json", about["tokenizer_config"].dump());
  }
  std::string path() const { return folder_->path().string(); }
  void write(const std::filesystem::path& name, std::string_view bytes) const { folder_->write(name, bytes); }

 private:
  golden::Case case_;
  std::unique_ptr<TemporaryDirectory> folder_;
};

inline Json cases_of(const std::string& task) {
  std::ifstream file(kGolden / "tasks" / (task + ".json"));
  return Json::parse(file);
}

inline std::unique_ptr<Task> task_of(const Folder& folder, const std::string& name,
                                     const HeadOptions& options = {}) {
  TaskOptions task;
  task.task = name;
  task.head = options;
  return Task::create(folder.path(), task);
}

inline Question question_of(Json row) {
  nlohmann::ordered_json ordered = nlohmann::ordered_json::parse(row.dump());
  return question_from_json(ordered, {}, 0, "a row");
}

/// The answer to a question alone, which a batch does not change.
inline Answer ask(Task& task, const Question& question) {
  const std::vector<Question> questions(2, question);
  const std::vector<Answer> answers = task.answer(questions);
  EXPECT_EQ(to_json(answers[0]).dump(), to_json(answers[1]).dump());
  const Answer alone = task.answer({&question, 1}).front();
  EXPECT_EQ(to_json(answers[0]).dump(), to_json(alone).dump());
  EXPECT_GT(alone.work.tokens_in, 0);
  return alone;
}

inline std::string refusal(const std::function<void()>& what) {
  try {
    what();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 2);
    return error.what();
  }
  return "no error";
}

}  // namespace wattle::pipelines
