#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include <httplib.h>
#include <unistd.h>

#include "contender_requests.h"
#include "study/contender.h"
#include "tasks/json.h"

// Servers on the loopback interface as contenders, by each of the APIs.

namespace wattle {
namespace {

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

}  // namespace
}  // namespace wattle
