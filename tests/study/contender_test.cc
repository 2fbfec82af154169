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
#include <httplib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wattle/error.h>
#include <wattle/study.h>

#include "families/open_file.h"
#include "study/cascade.h"
#include "study/metering.h"
#include "study/process_tree.h"
#include "tasks/json.h"
#include "train/head.h"
#include "train/trainer.h"

// Contenders of every kind: programs that behave and that do not, servers on the loopback interface,
// cascades, and the worker's protocol around them.

namespace wattle {
namespace {

using ContenderJson = nlohmann::ordered_json;

std::string contender_refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    const std::string sentence = error.what();
    EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
    return sentence;
  }
  return "nothing was refused";
}

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

const Question kShort{"0", "a"}, kLong{"1", std::string(60, 'b')};

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

/// A server on the loopback interface that answers what it is told, and keeps what it was asked.
class LoopbackServer {
 public:
  using Handler = std::function<ContenderJson(const ContenderJson& body)>;

  explicit LoopbackServer(std::map<std::string, Handler> handlers) {
    for (auto& [path, handler] : handlers) {
      server_.Post(path, [this, handler](const httplib::Request& request, httplib::Response& response) {
        authorization_ = request.get_header_value("Authorization");
        asked_ = ContenderJson::parse(request.body);
        response.set_content(handler(asked_).dump(), "application/json");
      });
    }
    server_.Post("/broken", [](const httplib::Request&, httplib::Response& response) {
      response.status = 503;
      response.set_content("{\"error\": \"model\n loading\"}", "application/json");
    });
    server_.Post("/slow", [](const httplib::Request&, httplib::Response&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~LoopbackServer() {
    server_.stop();
    thread_.join();
  }

  std::unique_ptr<Contender> open(const std::string& api, ContenderJson more,
                                  const std::string& path = "") const {
    ContenderJson request{{"kind", "server"},
                          {"api", api},
                          {"url", "http://127.0.0.1:" + std::to_string(port_) + path},
                          {"pid", getpid()}};
    if (!more.is_null()) request.update(more);
    return open_contender(request);
  }
  const ContenderJson& asked() const { return asked_; }
  const std::string& authorization() const { return authorization_; }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  ContenderJson asked_;
  std::string authorization_;
};

ContenderJson chat_answer(const std::string& text, ContenderJson logprobs = nullptr) {
  return {{"choices",
           {{{"message", {{"role", "assistant"}, {"content", text}}},
             {"finish_reason", "stop"},
             {"logprobs", std::move(logprobs)}}}},
          {"usage", {{"prompt_tokens", 12}, {"completion_tokens", 3}}}};
}

TEST(ServerContender, ChatCompletionsClassifyInWords) {
  LoopbackServer server({{"/v1/chat/completions", [](const ContenderJson& body) {
                            const std::string text = body["messages"].back()["content"];
                            return chat_answer(text.find("awful") != std::string::npos ? " Negative."
                                                                                       : "good\n");
                          }}});
  const auto who =
      server.open("openai", {{"model", "tiny"},
                             {"labels", {"1", "0"}},
                             {"answers", {"good", "negative"}},
                             {"prompt", "One of {labels}: {text}"},
                             {"examples", ContenderJson::parse(R"([["fine {labels}", "good"]])")}});
  EXPECT_EQ(std::get<LabelAnswer>(answer_of(*who, {"0", "awful {text}"}).value).name(), "0");
  EXPECT_EQ(std::get<LabelAnswer>(answer_of(*who, {"0", "lovely"}).value).name(), "1");
  const ContenderJson messages = ContenderJson::parse(R"([
    {"role": "user", "content": "One of good, negative: fine {labels}"},
    {"role": "assistant", "content": "good"},
    {"role": "user", "content": "One of good, negative: lovely"}])");
  EXPECT_EQ(server.asked()["messages"], messages);
  EXPECT_EQ(server.asked()["model"], "tiny");
  EXPECT_EQ(server.asked()["temperature"], 0);
}

TEST(ServerContender, LikelihoodsOfLabelsWhereTheServerGivesThem) {
  ContenderJson tokens = ContenderJson::parse(
      R"([{"token": " pos", "logprob": -0.5}, {"token": "Neg", "logprob": -1.5}, {"token": "The", "logprob": -3}])");
  LoopbackServer server({{"/v1/chat/completions", [&](const ContenderJson&) {
                            return chat_answer("negative", {{"content", {{{"top_logprobs", tokens}}}}});
                          }}});
  const auto who = server.open("openai", {{"labels", {"positive", "negative"}}});
  const auto answer = std::get<LabelAnswer>(answer_of(*who, kShort).value);
  EXPECT_EQ(answer.name(), "positive");
  const double positive = std::exp(-0.5), negative = std::exp(-1.5);
  EXPECT_NEAR(answer.scores[0], positive / (positive + negative), 1e-6);
  EXPECT_EQ(answer.tokens_in, 12);
  // First tokens that both labels may begin with tell nothing: then the words count.
  const auto alike = server.open("openai", {{"labels", {"post", "positive"}}});
  EXPECT_EQ(std::get<LabelAnswer>(answer_of(*alike, kShort).value).name(), "negative");
}

TEST(ServerContender, ChatCompletionsAnswerOtherTasks) {
  LoopbackServer server({{"/v1/chat/completions", [](const ContenderJson&) { return chat_answer(" B "); }},
                         {"/v1/completions",
                          [](const ContenderJson& body) -> ContenderJson {
                            return {{"choices", {{{"text", body["prompt"]}, {"finish_reason", "length"}}}}};
                          }},
                         {"/v1/embeddings", [](const ContenderJson& body) -> ContenderJson {
                            ContenderJson data = ContenderJson::array();
                            for (size_t i = 0; i < body["input"].size(); ++i)
                              data.insert(
                                  data.begin(),
                                  ContenderJson{{"index", i}, {"embedding", {1.0, static_cast<double>(i)}}});
                            return {{"data", data}};
                          }}});
  const auto chooses = server.open("openai", ContenderJson::object());
  EXPECT_EQ(
      std::get<LabelAnswer>(answer_of(*chooses, {"0", MultipleChoice{"2+2?", {"3", "4"}}}).value).name(),
      "4");
  const auto finds = server.open("openai", {{"task", "answer"}});
  EXPECT_EQ(std::get<SpansAnswer>(answer_of(*finds, {"0", TextPair{"Who?", "B did it"}}).value).text, "B");
  EXPECT_NE(server.asked()["messages"][0]["content"].get<std::string>().find("Context: B did it"),
            std::string::npos);
  const auto plain = server.open("openai", {{"task", "generate"}, {"chat", false}, {"max_tokens", 5}});
  const auto text = std::get<TextAnswer>(answer_of(*plain, {"0", "Once"}).value);
  EXPECT_EQ(text.text, "Once");
  EXPECT_EQ(text.stop, FinishReason::kLength);
  EXPECT_EQ(server.asked()["max_tokens"], 5);
  const auto embeds = server.open("openai", {{"task", "embed"}});
  EXPECT_EQ(std::get<VectorAnswer>(answer_of(*embeds, kShort).value).embedding, (std::vector<float>{1, 0}));
  const auto scores =
      std::get<ScoresAnswer>(answer_of(*embeds, {"0", Ranking{"q", {"a", "b"}}}).value).scores;
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_NEAR(scores[0], 1 / std::sqrt(2.0), 1e-6);
  EXPECT_NEAR(scores[1], 1 / std::sqrt(5.0), 1e-6);
}

TEST(ServerContender, TextEmbeddingsInference) {
  LoopbackServer server(
      {{"/embed",
        [](const ContenderJson& body) {
          return body["inputs"].size() == 1 ? ContenderJson::parse("[[0.5, 0.25]]")
                                            : ContenderJson::parse("[[1, 0], [0, 1]]");
        }},
       {"/rerank",
        [](const ContenderJson&) {
          return ContenderJson::parse(R"([{"index": 1, "score": 0.9}, {"index": 0, "score": 0.1}])");
        }},
       {"/predict", [](const ContenderJson& body) {
          EXPECT_TRUE(body["inputs"] == "a" || body["inputs"] == ContenderJson({"p", "h"}));
          return ContenderJson::parse(R"([[{"label": "x", "score": 0.3}, {"label": "y", "score": 0.7}]])");
        }}});
  const auto embeds = server.open("tei", {{"task", "embed"}});
  EXPECT_EQ(std::get<VectorAnswer>(answer_of(*embeds, kShort).value).embedding,
            (std::vector<float>{0.5, 0.25}));
  EXPECT_EQ(std::get<ScoreAnswer>(answer_of(*embeds, {"0", TextPair{"a", "b"}}).value).score, 0);
  const auto ranks = server.open("tei", {{"task", "rank"}});
  EXPECT_EQ(std::get<ScoresAnswer>(answer_of(*ranks, {"0", Ranking{"q", {"a", "b"}}}).value).scores,
            (std::vector<double>{0.1, 0.9}));
  const auto labels = server.open("tei", {{"task", "classify"}});
  EXPECT_EQ(std::get<LabelAnswer>(answer_of(*labels, kShort).value).name(), "y");
  EXPECT_EQ(std::get<LabelAnswer>(answer_of(*labels, {"0", TextPair{"p", "h"}}).value).name(), "y");
  EXPECT_NE(contender_refusal([&] {
              server.open("tei", {{"task", "generate"}});
            }).find("does not do"),
            std::string::npos);
}

TEST(ServerContender, HuggingFacePipelines) {
  const std::map<std::string, const char*> bodies = {
      {"/classify", R"([[{"label": "x", "score": 0.3}, {"label": "y", "score": 0.7}]])"},
      {"/zero", R"({"sequence": "a", "labels": ["y", "x"], "scores": [0.8, 0.2]})"},
      {"/tag", R"([{"entity_group": "PER", "score": 0.9, "word": "Anna", "start": 8, "end": 12}])"},
      {"/answer", R"({"score": 0.9, "start": 7, "end": 11, "answer": "Anna"})"},
      {"/fill", R"([{"score": 0.9, "token": 5, "token_str": "b", "sequence": "a b"}])"},
      {"/summarise", R"([{"summary_text": "short"}])"},
      {"/generate", R"([{"generated_text": "more"}])"},
      {"/embed", R"([[0.5, 0.25]])"},
      {"/similar", R"([0.5, 0.25])"},
  };
  std::map<std::string, LoopbackServer::Handler> handlers;
  for (const auto& [path, body] : bodies)
    handlers[path] = [body = body](const ContenderJson&) { return ContenderJson::parse(body); };
  LoopbackServer server(handlers);
  const auto value = [&](const std::string& task, const Question& question, const std::string& path = "",
                         ContenderJson more = ContenderJson::object()) {
    more["task"] = task;
    const auto who = server.open("huggingface", more, path.empty() ? "/" + task : path);
    return answer_of(*who, question).value;
  };
  EXPECT_EQ(std::get<LabelAnswer>(value("classify", kShort)).name(), "y");
  EXPECT_EQ(
      std::get<LabelAnswer>(value("classify", kShort, "/zero", {{"zero_shot", true}, {"labels", {"x", "y"}}}))
          .name(),
      "y");
  EXPECT_EQ(server.asked()["parameters"]["candidate_labels"], ContenderJson({"x", "y"}));
  const auto spans = std::get<SpansAnswer>(value("tag", {"0", "Zoë met Anna"})).spans;
  EXPECT_EQ(spans.at(0).begin, 9);
  EXPECT_EQ(spans.at(0).text, "Anna");
  EXPECT_EQ(std::get<SpansAnswer>(value("answer", {"0", TextPair{"Who?", "It was Anna"}})).text, "Anna");
  EXPECT_EQ(server.asked()["inputs"], ContenderJson({{"question", "Who?"}, {"context", "It was Anna"}}));
  EXPECT_EQ(std::get<FillsAnswer>(value("fill", kShort)).masks.at(0).at(0).token, "b");
  EXPECT_EQ(std::get<TextAnswer>(value("summarise", kShort)).text, "short");
  EXPECT_EQ(std::get<TextAnswer>(value("generate", kShort)).text, "more");
  EXPECT_EQ(std::get<VectorAnswer>(value("embed", kShort)).embedding.size(), 2u);
  EXPECT_EQ(std::get<ScoresAnswer>(value("embed", {"0", Ranking{"q", {"a", "b"}}}, "/similar")).scores.size(),
            2u);
}

TEST(ServerContender, WhatGoesWrongIsOneSentence) {
  LoopbackServer server({{"/v1/embeddings", [](const ContenderJson&) {
                            return ContenderJson{{"data", 1}};
                          }}});
  const ContenderJson embeds{{"task", "embed"}};
  const auto why = [&](const std::string& path, ContenderJson more) {
    more.update(embeds);
    return contender_refusal([&] { answer_of(*server.open("huggingface", more, path), kShort); });
  };
  EXPECT_NE(why("/broken", ContenderJson::object()).find("HTTP 503"), std::string::npos);
  EXPECT_NE(why("/slow", {{"seconds_to_answer", 0.2}}).find("no whole answer"), std::string::npos);
  EXPECT_NE(why("/nowhere", ContenderJson::object()).find("HTTP 404"), std::string::npos);
  EXPECT_NE(
      contender_refusal([&] { answer_of(*server.open("openai", embeds), kShort); }).find("another shape"),
      std::string::npos);
  EXPECT_NE(contender_refusal([&] { server.open("soap", {}); }).find("openai, tei, huggingface"),
            std::string::npos);
  EXPECT_NE(contender_refusal([&] {
              server.open("openai", {{"url", "ftp://x"}});
            }).find("http://"),
            std::string::npos);
  const auto far = server.open("openai", {{"pid", 0}, {"url", "http://192.0.2.1:80/v1"}});
  EXPECT_EQ(far->elsewhere(), "http://192.0.2.1:80/v1");
}

TEST(ServerContender, TokensGoIntoTheHeader) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("wattle_token_{}", getpid());
  std::ofstream(path) << "secret\n";
  LoopbackServer server({{"/v1/chat/completions", [](const ContenderJson&) { return chat_answer("a"); }}});
  const auto who = server.open("openai", {{"labels", {"a", "b"}}, {"token_file", path.string()}});
  answer_of(*who, kShort);
  EXPECT_EQ(server.authorization(), "Bearer secret");
  std::filesystem::remove(path);
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
  EXPECT_NEAR(exact.thresholds.at(0), 0.3, 1e-9);
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
