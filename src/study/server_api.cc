#include "study/server_api.h"

#include <algorithm>

#include <wattle/error.h>

namespace wattle::inline study {

using Json = nlohmann::ordered_json;

std::unique_ptr<ServerApi> make_server_api(std::string_view name, ServerTask task) {
  if (name == "openai") return make_openai_api(std::move(task));
  if (name == "tei") return make_tei_api(std::move(task));
  if (name == "huggingface") return make_huggingface_api(std::move(task));
  fail("the API \"{}\" of a server is not known; one of openai, tei, huggingface", name);
}

void refuse_task(std::string_view api, const ServerTask& task) {
  fail("a server with the API {} does not do the task {}; docs/contenders.md has the table of what each does",
       api, task.task);
}

std::vector<std::string> compared_texts(const Question& question) {
  std::vector<std::string> texts;
  if (const auto* ranking = std::get_if<Ranking>(&question.content)) {
    texts = ranking->documents;
    texts.insert(texts.begin(), ranking->query);
  } else if (const auto* choice = std::get_if<MultipleChoice>(&question.content)) {
    texts = choice->choices;
    texts.insert(texts.begin(), choice->question);
  } else if (const auto* pair = std::get_if<TextPair>(&question.content)) {
    texts = {pair->first, pair->second};
  } else {
    texts = {question.text()};
  }
  return texts;
}

LabelAnswer label_of_pipeline(const Json& body) {
  const Json* list = &body;
  while (list->is_array() && list->size() == 1 && list->at(0).is_array()) list = &list->at(0);
  std::vector<std::string> names;
  LabelAnswer answer;
  for (const Json& entry : *list) {
    names.push_back(entry.at("label"));
    answer.scores.push_back(entry.at("score"));
  }
  if (names.empty()) fail("the list of labels is empty");
  answer.label = static_cast<int>(std::ranges::max_element(answer.scores) - answer.scores.begin());
  answer.names = std::make_shared<const std::vector<std::string>>(std::move(names));
  return answer;
}

Answer answer_by_embeddings(const Question& question, std::vector<std::vector<float>> embeddings) {
  const size_t wanted = compared_texts(question).size();
  if (embeddings.size() != wanted) fail("there are {} embeddings of {} texts", embeddings.size(), wanted);
  Answer answer;
  if (wanted == 1) {
    answer.value = VectorAnswer{std::move(embeddings[0])};
    return answer;
  }
  std::vector<double> scores;
  for (size_t i = 1; i < wanted; ++i) scores.push_back(cosine(embeddings[0], embeddings[i]));
  answer.value = answer_by_scores(question, std::move(scores));
  return answer;
}

namespace {

/// Text Embeddings Inference: /embed, /rerank, /predict.
class TeiApi final : public ServerApi {
 public:
  explicit TeiApi(ServerTask task) : task_(std::move(task)) {
    if (task_.task != "embed" && task_.task != "rank" && task_.task != "classify") refuse_task("tei", task_);
  }

  Call call(const Question& question) const override {
    const auto texts = compared_texts(question);
    if (task_.task == "embed") return {"/embed", {{"inputs", texts}, {"truncate", true}}};
    if (task_.task == "classify") {
      const Json inputs = texts.size() == 1 ? Json(texts[0]) : Json(texts);
      return {"/predict", {{"inputs", inputs}, {"truncate", true}}};
    }
    if (texts.size() < 2) fail("row {}: has nothing to rank; give a query with documents", question.id);
    return {"/rerank",
            {{"query", texts[0]},
             {"texts", std::vector<std::string>(texts.begin() + 1, texts.end())},
             {"truncate", true}}};
  }

  Answer answer(const Question& question, const Json& body) const override {
    Answer answer;
    if (task_.task == "embed")
      return answer_by_embeddings(question, body.get<std::vector<std::vector<float>>>());
    if (task_.task == "classify") {
      answer.value = label_of_pipeline(body);
      return answer;
    }
    std::vector<double> scores(compared_texts(question).size() - 1);
    if (body.size() != scores.size()) fail("there are {} scores of {} texts", body.size(), scores.size());
    for (const Json& entry : body) scores.at(entry.at("index").get<size_t>()) = entry.at("score");
    answer.value = answer_by_scores(question, std::move(scores));
    return answer;
  }

 private:
  ServerTask task_;
};

}  // namespace

std::unique_ptr<ServerApi> make_tei_api(ServerTask task) {
  return std::make_unique<TeiApi>(std::move(task));
}

}  // namespace wattle::inline study
