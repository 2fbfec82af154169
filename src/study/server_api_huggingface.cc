// Hugging Face inference endpoints: the JSON of transformers' pipelines behind one URL.
#include <algorithm>

#include <wattle/error.h>

#include "study/server_api.h"
#include "tasks/json.h"

namespace wattle::inline study {
namespace {

using Json = nlohmann::ordered_json;

/// The one result in the lists that a pipeline may put around it.
const Json& only(const Json& body) {
  const Json* inner = &body;
  while (inner->is_array() && inner->size() == 1) inner = &inner->at(0);
  return *inner;
}

/// The text under the key that each pipeline has of its own.
std::string text_in(const Json& body) {
  const Json& result = only(body);
  for (const char* key : {"generated_text", "summary_text", "translation_text"}) {
    if (result.is_object() && result.contains(key)) return result.at(key);
  }
  fail("there is no `generated_text`, `summary_text` or `translation_text`");
}

/// Entities or the answer of a pipeline in the words of answer_from_json(): its places are code points.
Json span_of(const Json& entry) {
  Json span{{"score", entry.at("score")},
            {"begin_code_point", entry.at("start")},
            {"end_code_point", entry.at("end")}};
  for (const char* key : {"entity_group", "entity"}) {
    if (entry.contains(key)) span["label"] = entry.at(key);
  }
  return span;
}

Json masks_of(const Json& body) {
  Json masks = Json::array();
  const bool several = !body.empty() && body.at(0).is_array();
  for (const Json& mask : several ? body : Json::array({body})) {
    Json& fills = masks.emplace_back(Json::array());
    for (const Json& entry : mask) {
      fills.push_back({{"token", entry.at("token_str")},
                       {"id", entry.at("token")},
                       {"score", entry.at("score")},
                       {"text", entry.at("sequence")}});
    }
  }
  return masks;
}

/// {"labels": [...], "scores": [...]} of the zero-shot pipeline as [{"label", "score"}, ...].
Json pairs_of_zero_shot(const Json& body) {
  const Json& result = only(body);
  if (!result.is_object() || !result.contains("labels")) return body;
  Json pairs = Json::array();
  for (size_t i = 0; i < result.at("labels").size(); ++i)
    pairs.push_back({{"label", result.at("labels")[i]}, {"score", result.at("scores").at(i)}});
  return pairs;
}

class HuggingFaceApi final : public ServerApi {
 public:
  explicit HuggingFaceApi(ServerTask task) : task_(std::move(task)) {
    constexpr std::string_view kDoes[] = {"classify", "embed",     "tag",       "answer",
                                          "fill",     "summarise", "translate", "generate"};
    if (std::ranges::find(kDoes, task_.task) == std::end(kDoes)) refuse_task("huggingface", task_);
    if (task_.zero_shot && task_.answers.empty())
      fail("a zero-shot pipeline is given its labels; name them in `labels`");
  }

  Call call(const Question& question) const override {
    Json body{{"inputs", inputs_of(question)}};
    Json parameters = Json::object();
    if (task_.task == "classify" && task_.zero_shot) parameters["candidate_labels"] = task_.answers;
    if (task_.task == "classify" && !task_.zero_shot) parameters["top_k"] = nullptr;
    if (task_.task == "tag") parameters["aggregation_strategy"] = "simple";
    if (task_.task == "generate") parameters.update({{"return_full_text", false}, {"do_sample", false}});
    if (task_.max_tokens > 0) parameters["max_new_tokens"] = task_.max_tokens;
    if (task_.top > 0) parameters["top_k"] = task_.top;
    if (!task_.from.empty()) parameters["src_lang"] = task_.from;
    if (!task_.to.empty()) parameters["tgt_lang"] = task_.to;
    if (!parameters.empty()) body["parameters"] = std::move(parameters);
    return {"", std::move(body)};
  }

  Answer answer(const Question& question, const Json& body) const override {
    const std::string& task = task_.task;
    Answer answer;
    if (task == "embed") return answer_of_vectors(question, body);
    if (task == "classify") {
      answer.value = label_of_pipeline(pairs_of_zero_shot(body));
      return answer;
    }
    if (task == "tag") {
      const Json& list = body.size() == 1 && body.at(0).is_array() ? body.at(0) : body;
      Json spans = Json::array();
      for (const Json& entry : list) spans.push_back(span_of(entry));
      return answer_from_json({{"spans", std::move(spans)}}, task, &question);
    }
    if (task == "answer") {
      const Json& result = only(body);
      const Json spans = Json::array({span_of(result)});
      return answer_from_json({{"text", result.at("answer")}, {"spans", spans}}, task, &question);
    }
    if (task == "fill") return answer_from_json({{"masks", masks_of(body)}}, task, &question);
    return answer_from_json({{"text", text_in(body)}}, task, &question);
  }

 private:
  Json inputs_of(const Question& question) const {
    const auto* pair = std::get_if<TextPair>(&question.content);
    if (task_.task == "answer" && pair != nullptr)
      return {{"question", pair->first}, {"context", pair->second}};
    if (task_.task == "classify" && pair != nullptr)
      return {{"text", pair->first}, {"text_pair", pair->second}};
    if (task_.task != "embed") return question.text();
    const std::vector<std::string> texts = compared_texts(question);
    if (texts.size() == 1) return texts[0];
    return {{"source_sentence", texts[0]},
            {"sentences", std::vector<std::string>(texts.begin() + 1, texts.end())}};
  }

  /// Similarities, or the one vector; a vector a token is no embedding of a text.
  static Answer answer_of_vectors(const Question& question, const Json& body) {
    Answer answer;
    if (compared_texts(question).size() > 1) {
      answer.value = answer_by_scores(question, body.get<std::vector<double>>());
      return answer;
    }
    const Json* inner = &body;
    while (inner->is_array() && inner->size() == 1 && inner->at(0).is_array()) inner = &inner->at(0);
    if (inner->is_array() && !inner->empty() && inner->at(0).is_array())
      fail("there is a vector for each token; serve a model that pools them");
    answer.value = VectorAnswer{inner->get<std::vector<float>>()};
    return answer;
  }

  ServerTask task_;
};

}  // namespace

std::unique_ptr<ServerApi> make_huggingface_api(ServerTask task) {
  return std::make_unique<HuggingFaceApi>(std::move(task));
}

}  // namespace wattle::inline study
