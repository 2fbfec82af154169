#include "study/contender.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wattle/error.h>
#include <wattle/study.h>

#include "contender_requests.h"
#include "families/open_file.h"
#include "study/cascade.h"
#include "study/metering.h"
#include "study/process_tree.h"
#include "tasks/json.h"
#include "train/head.h"
#include "train/trainer.h"

// Contenders but for servers: programs that behave and that do not, cascades, and the worker's protocol
// around them.

namespace wattle {
namespace {

ContenderJson shell(const std::string& script, ContenderJson more = ContenderJson::object()) {
  ContenderJson request{{"kind", "command"}, {"command", {"/bin/sh", "-c", script}}};
  request.update(more);
  return request;
}

// Answers each line by the label "long" where it holds more than 40 bytes.
constexpr const char* kByLength =
    R"(echo '{"ready": true, "name": "by length"}'; while read -r line; do
       if [ ${#line} -gt 40 ]; then echo '{"label": "long", "scores": {"long": 0.75, "short": 0.25}}';
       else echo '{"label": "short"}'; fi; done)";

TEST(CommandContender, AnswersLineByLine) {
  const auto who = open_contender(shell(kByLength));
  const std::vector<Question> questions{kShort, kLong, kShort};
  who->prepare(questions);
  Reply reply;
  std::vector<std::string> labels;
  for (size_t i = 0; i < questions.size(); ++i) {
    who->ask(i, reply);
    labels.push_back(std::get<LabelAnswer>(who->read(i, reply).value).name());
  }
  who->finish();
  EXPECT_EQ(labels, (std::vector<std::string>{"short", "long", "short"}));
  EXPECT_EQ(who->description()["name"], "by length");
  EXPECT_FALSE(who->has_work());
  EXPECT_GT(who->peak_memory_bytes(), 100'000);
}

TEST(CommandContender, RunsWhereAndWithWhatItIsTold) {
  const auto folder = std::filesystem::temp_directory_path();
  const auto who = open_contender(
      shell(R"(echo '{"ready": true}'; read -r line; echo "{\"text\": \"$PWD $COLOUR $OMP_NUM_THREADS\"}")",
            {{"task", "generate"},
             {"directory", folder.string()},
             {"environment", {{"COLOUR", "blue"}, {"OMP_NUM_THREADS", "7"}}}}));
  EXPECT_EQ(std::get<TextAnswer>(answer_of(*who, kShort).value).text, folder.string() + " blue 7");
}

TEST(CommandContender, WhatGoesWrongIsOneSentence) {
  const auto why = [](const std::string& script, ContenderJson more = ContenderJson::object()) {
    return contender_refusal([&] {
      const auto who = open_contender(shell(script, std::move(more)));
      answer_of(*who, kShort);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      who->finish();
    });
  };
  const std::string ready = "echo '{\"ready\": true}'; ";
  const struct {
    std::string script;
    const char* says;
    ContenderJson more = ContenderJson::object();
  } kCases[] = {
      {"echo first >&2; echo 'no model here' >&2; exit 3",
       "exit status 3; its last words: first / no model here"},
      {"kill -9 $$", "signal 9"},
      {"exec >&-; sleep 60", "closed its output"},
      {"sleep 60", "within 0.2 s", {{"seconds_to_start", 0.2}}},
      {"echo loading...; sleep 60", "its first line"},
      {ready + "sleep 60", "gave no answer within 0.2 s", {{"seconds_to_answer", 0.2}}},
      {ready + "read -r line; exit 0", "exit status 0"},
      {ready + "read -r line; echo Paris; sleep 60", "no JSON"},
      {ready + "read -r line; echo '{\"text\": \"Paris\"}'; sleep 60", "`label`"},
      {ready + "read -r line; echo '{\"label\": \"a\", \"id\": 9}'; sleep 60", "with the id 9"},
      {ready + "read -r line; echo '{\"error\": \"too hot\"}'; sleep 60", "too hot"},
      {ready + "read -r line; echo '{\"label\": \"a\"}'; echo more; sleep 60", "one line a question"},
  };
  for (const auto& c : kCases) {
    const std::string sentence = why(c.script, c.more);
    EXPECT_NE(sentence.find(c.says), std::string::npos) << c.script << " -> " << sentence;
  }
  EXPECT_NE(contender_refusal([] {
              open_contender({{"kind", "command"}, {"command", {"no-such-program"}}});
            }).find("cannot be started"),
            std::string::npos);
  EXPECT_NE(contender_refusal([] {
              open_contender(shell("x", {{"colour", 1}}));
            }).find("`colour`"),
            std::string::npos);
  EXPECT_NE(contender_refusal([] {
              open_contender({{"kind", "wish"}});
            }).find("model, command"),
            std::string::npos);
}

TEST(CommandContender, ReadyLinesAreNotWaitedForWhereNoneIsWritten) {
  const auto who =
      open_contender(shell("while read -r line; do echo '{\"label\": \"a\"}'; done", {{"ready", false}}));
  EXPECT_EQ(std::get<LabelAnswer>(answer_of(*who, kShort).value).name(), "a");
}

TEST(CommandContender, AllThatItBeganEndsWithIt) {
  pid_t grandchild = 0;
  {
    const auto who = open_contender(shell(
        R"(sleep 600 & echo "{\"ready\": true, \"child\": $!}"; while read -r line; do echo '{"label": "a"}'; done)"));
    grandchild = who->description()["child"].get<pid_t>();
    EXPECT_EQ(kill(grandchild, 0), 0);
  }
  // It became this process's child, whose subreaper we are, and may be a zombie until it is taken in.
  bool gone = false;
  for (int i = 0; i < 200 && !gone; ++i) {
    waitpid(grandchild, nullptr, WNOHANG);
    gone = kill(grandchild, 0) != 0;
    if (!gone) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(gone);
}

TEST(CommandContender, ChattyProgramsDoNotStall) {
  // More than a pipe holds goes to its standard error, before it is ready and with each answer.
  const auto who = open_contender(shell(
      R"(noise() { i=0; while [ $i -lt 3000 ]; do echo "a line of noise, to fill the pipe $i" >&2; i=$((i+1)); done; }
              noise; echo '{"ready": true}'; while read -r line; do noise; echo '{"label": "a"}'; done)"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(std::get<LabelAnswer>(answer_of(*who, kLong).value).name(), "a");
}

TEST(ProcessTree, CountsDescendantsAndTheirTime) {
  const auto who = open_contender(shell(
      R"(sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo "{\"ready\": true}"; while read -r line; do echo "{\"label\": \"a\"}"; done'; true)"));
  const pid_t self = getpid();
  const ProcessTree tree = process_tree({&self, 1});
  EXPECT_GE(tree.pids.size(), 3u);  // this process, the shell and its shell
  const ProcessTree none = process_tree({});
  EXPECT_TRUE(none.pids.empty());
  EXPECT_GT(tree.busy_seconds, 0);
}

/// Answers in place of a stage, from a list.
class ListContender final : public Contender {
 public:
  explicit ListContender(std::vector<std::pair<int, float>> answers) : answers_(std::move(answers)) {}
  void ask(size_t place, Reply& reply) override {
    const auto [label, score] = answers_.at(place);
    LabelAnswer answer{label, {1 - score, score}, names_, {}};
    if (label == 0) answer.scores = {score, 1 - score};
    reply.answer = {answer, {.macs_fp32 = 1}, {}, {}};
    ++asked;
  }
  bool has_work() const override { return true; }
  int64_t peak_memory_bytes() const override { return 1; }
  ContenderJson description() const override { return {{"kind", "list"}}; }
  int asked = 0;

 private:
  std::vector<std::pair<int, float>> answers_;
  std::shared_ptr<const std::vector<std::string>> names_ =
      std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"no", "yes"});
};

TEST(CascadeContender, GoesOnWhereTheMarginIsSmall) {
  std::vector<std::unique_ptr<Contender>> stages;
  stages.push_back(
      std::make_unique<ListContender>(std::vector<std::pair<int, float>>{{1, 0.95F}, {1, 0.6F}, {0, 0.7F}}));
  stages.push_back(
      std::make_unique<ListContender>(std::vector<std::pair<int, float>>{{0, 1}, {0, 1}, {1, 1}}));
  auto* const second = dynamic_cast<ListContender*>(stages[1].get());
  Cascade cascade(std::move(stages), {0.5});
  const std::vector<Question> questions(3, kShort);
  cascade.prepare(questions);
  std::vector<std::string> labels;
  std::vector<double> work;
  for (size_t i = 0; i < 3; ++i) {
    Reply reply;
    cascade.ask(i, reply);
    const Answer answer = cascade.read(i, reply);
    labels.push_back(std::get<LabelAnswer>(answer.value).name());
    work.push_back(answer.work.macs_fp32);
  }
  EXPECT_EQ(labels, (std::vector<std::string>{"yes", "no", "yes"}));
  EXPECT_EQ(work, (std::vector<double>{1, 2, 2}));
  EXPECT_EQ(second->asked, 2);
  EXPECT_NEAR(cascade.facts()["passed_on"][0].get<double>(), 2.0 / 3, 1e-9);
}

TEST(CascadeContender, RefusesWhatItCannotCompare) {
  const ContenderJson text = shell("while read -r line; do echo '{\"text\": \"a\"}'; done",
                                   {{"ready", false}, {"task", "generate"}});
  const ContenderJson bare =
      shell("while read -r line; do echo '{\"label\": \"a\"}'; done", {{"ready", false}});
  const auto why = [](const ContenderJson& stages, ContenderJson more = {{"threshold", 0.5}}) {
    ContenderJson request{{"kind", "cascade"}, {"stages", stages}};
    request.update(more);
    return contender_refusal([&] { answer_of(*open_contender(request), kShort); });
  };
  EXPECT_NE(why({text, bare}).find("no label"), std::string::npos);
  EXPECT_NE(why({bare, text}).find("without scores"), std::string::npos);
  EXPECT_NE(why(ContenderJson::array({bare})).find("two or more"), std::string::npos);
  EXPECT_NE(why({bare, bare}, ContenderJson::object()).find("threshold"), std::string::npos);
  EXPECT_NE(why({bare, bare}, {{"threshold", "x"}}).find("`threshold`"), std::string::npos);
  EXPECT_NE(why({bare, {{"kind", "cascade"}}}).find("a model, a command or a server"), std::string::npos);
  EXPECT_NE(why({bare, bare}, {{"threshold", {0.1, 0.2, 0.3}}}).find("3 thresholds"), std::string::npos);
}

/// Rows whose first stage is right where its margin is above `needed`; the last stage is always right.
TEST(CascadeContender, ThresholdsAreTheCheapestThatKeepTheAccuracy) {
  StageTrial first, last;
  for (int i = 0; i < 1000; ++i) {
    first.margins.push_back(i / 1000.0);
    first.right.push_back(i >= 300 ? 1 : 0);
    last.right.push_back(1);
  }
  first.joules_a_query = 1, last.joules_a_query = 100;
  const std::vector<StageTrial> two{first, last};
  const ThresholdChoice exact = choose_thresholds(two, 1.0);
  EXPECT_NEAR(exact.thresholds.at(0), 0.2995, 1e-9) << "half way between 0.299 and 0.3";
  EXPECT_NEAR(exact.passed.at(0), 0.3, 1e-9);
  EXPECT_NEAR(exact.joules_a_query, 31, 1e-6);
  EXPECT_EQ(exact.accuracy, 1);
  const ThresholdChoice near = choose_thresholds(two, 0.99);
  EXPECT_NEAR(near.passed.at(0), 0.29, 1e-9);
  EXPECT_NEAR(near.accuracy, 0.99, 1e-9);

  // A middle stage that settles half of what the first leaves makes it cheaper.
  StageTrial middle = first;
  for (int i = 0; i < 1000; ++i) middle.right[static_cast<size_t>(i)] = i >= 150 ? 1 : 0;
  middle.joules_a_query = 10;
  const ThresholdChoice three = choose_thresholds(std::vector<StageTrial>{first, middle, last}, 0.99);
  EXPECT_EQ(three.thresholds.size(), 2u);
  EXPECT_LT(three.joules_a_query, near.joules_a_query);
  EXPECT_GE(three.accuracy, 0.99);

  // A first stage as good as the last one answers all by itself.
  StageTrial good = first;
  good.right = last.right;
  EXPECT_EQ(choose_thresholds(std::vector<StageTrial>{good, last}, 1).passed.at(0), 0);
  EXPECT_NE(contender_refusal([] { choose_thresholds(std::vector<StageTrial>(2), 1); }).find("no rows"),
            std::string::npos);
}

/// Requests to a worker and what it answers, one a line.
std::vector<ContenderJson> worker_answers(const std::vector<ContenderJson>& requests) {
  std::stringstream input, output;
  input << R"({"verb": "configure", "meter": "model", "threads": 1})" << '\n';
  for (const ContenderJson& request : requests) input << request.dump() << '\n';
  run_worker(input, output);
  std::vector<ContenderJson> answers;
  for (std::string line; std::getline(output, line);) answers.push_back(ContenderJson::parse(line));
  answers.erase(answers.begin());
  return answers;
}

const ContenderJson kRows = ContenderJson::parse(
    R"([{"text": "a", "id": 0}, {"text": "a text of more than forty bytes, to be sure", "id": 1}])");

TEST(Worker, MeasuresACommandWithItsChildren) {
  ContenderJson open = shell(kByLength);
  open["verb"] = "open";
  const auto answers = worker_answers(
      {open, {{"verb", "measure"}, {"rows", kRows}, {"window_seconds", 0.3}, {"warm_up_seconds", 0.05}}});
  ASSERT_EQ(answers.size(), 2u) << answers.back();
  EXPECT_EQ(answers[0]["description"]["name"], "by length");
  const ContenderJson& measured = answers[1];
  ASSERT_TRUE(measured.contains("window")) << measured;
  EXPECT_EQ(measured["answers"][0]["label"], "short");
  EXPECT_EQ(measured["answers"][1]["scores"]["long"], 0.75);
  EXPECT_GT(measured["window"]["joules"].get<double>(), 0);
  EXPECT_GT(measured["window"]["queries"].get<int64_t>(), 10);
  EXPECT_GE(measured["window"]["queries_a_latency"].get<int64_t>(), 1);
}

TEST(Worker, AnEmptyContenderAnswersNothing) {
  const auto answers = worker_answers(
      {{{"verb", "open"}, {"kind", "empty"}},
       {{"verb", "measure"}, {"rows", kRows}, {"window_seconds", 0.05}, {"warm_up_seconds", 0.02}}});
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1]["answers"], ContenderJson::parse("[{}, {}]"));
  // Far below 20 microseconds each: latencies are means of several.
  EXPECT_EQ(answers[1]["window"]["queries_a_latency"], 2);
}

TEST(Worker, ChoosesAThreshold) {
  // The first stage is sure of the short text alone; the second knows both.
  const ContenderJson first = shell(
      R"(while read -r line; do if [ ${#line} -gt 40 ]; then echo '{"label": "short", "scores": {"long": 0.45, "short": 0.55}}';
         else echo '{"label": "short", "scores": {"long": 0.05, "short": 0.95}}'; fi; done)",
      {{"ready", false}});
  const ContenderJson cascade{{"verb", "open"}, {"kind", "cascade"}, {"stages", {first, shell(kByLength)}}};
  const auto answers = worker_answers(
      {cascade,
       {{"verb", "choose_threshold"},
        {"rows", kRows},
        {"truths", {"short", "long"}},
        {"target", 0.99},
        {"window_seconds", 0.1}},
       {{"verb", "measure"}, {"rows", kRows}, {"window_seconds", 0.1}, {"warm_up_seconds", 0.05}}});
  ASSERT_EQ(answers.size(), 3u) << answers.back();
  EXPECT_EQ(answers[1]["passed_on"], ContenderJson({0.5})) << answers[1];
  EXPECT_EQ(answers[1]["accuracy"], 1);
  EXPECT_EQ(answers[1]["stages"]["accuracy"], ContenderJson({0.5, 1.0}));
  EXPECT_EQ(answers[1]["window"]["kind"], "threshold");
  // Both stages answered two rows at least.
  double asked = 0;
  for (const auto& joules : answers[1]["stages"]["joules_a_query"]) asked += 2 * joules.get<double>();
  EXPECT_GT(answers[1]["window"]["joules"].get<double>(), asked);
  EXPECT_EQ(answers[2]["answers"][1]["label"], "long");
  EXPECT_NEAR(answers[2]["facts"]["passed_on"][0].get<double>(), 0.5, 0.02);
}

TEST(Worker, RefusesOtherMachinesWithoutAMeterOfTheirs) {
  const auto answers = worker_answers({{{"verb", "open"},
                                        {"kind", "server"},
                                        {"api", "openai"},
                                        {"url", "http://192.0.2.1/"},
                                        {"labels", {"a", "b"}}}});
  EXPECT_NE(answers.back()["error"].get<std::string>().find("`pid` of a server"), std::string::npos);
}

/// Prints what a majority answer takes in a window and by itself; no test, for its figures are times
/// (--gtest_also_run_disabled_tests).
TEST(ContenderCost, DISABLED_MajorityInAWindowAndBare) {
  std::vector<std::string> texts;
  std::vector<int> labels;
  for (int i = 0; i < 200; ++i) {
    texts.push_back(fmt::format("row {} of some words to read", i));
    labels.push_back(i % 3 == 0 ? 1 : 0);
  }
  TrainOptions options;
  options.kind = HeadKind::kMajority;
  const std::string path = (std::filesystem::temp_directory_path() / "wattle_majority.gguf").string();
  train_on_ngrams(texts, labels, {"no", "yes"}, options).save(path);
  std::vector<Question> questions;
  for (const std::string& text : texts) questions.push_back({std::to_string(questions.size()), text});

  Metering metering({.source = "model"});
  const auto seconds_of = [&](Contender& who) {
    who.prepare(questions);
    const double expected = metering.warm_up(who, questions, 0.3);
    const Window window = metering.ask(who, questions, 1, expected).window;
    return window.energy.seconds / static_cast<double>(window.queries);
  };
  const double empty = seconds_of(*open_contender({{"kind", "empty"}}));
  const double whole = seconds_of(*open_contender({{"kind", "model"}, {"model", path}}));
  Head head = Head::load(open_model_file(path));
  Work work;
  size_t right = 0;
  constexpr size_t kCalls = 5'000'000;
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < kCalls; ++i) right += head.predict(texts[i % texts.size()], work).label == 0 ? 1 : 0;
  const double bare =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / kCalls;
  EXPECT_EQ(right, kCalls);
  fmt::print("nanoseconds a query: bare {:.0f}, in a window {:.0f}, nobody in a window {:.0f}\n", 1e9 * bare,
             1e9 * whole, 1e9 * empty);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace wattle
