#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "study/contender_kinds.h"

namespace wattle::inline study {

/// What a server is asked to do, as a plan states it.
struct ServerTask {
  std::string task;                  ///< one of task_names()
  std::string model;                 ///< the name that is sent; may be empty
  std::vector<std::string> answers;  ///< classify in words: what stands for each label
  std::string prompt;                ///< with "{text}" and "{labels}"; empty: the task's own
  std::vector<std::pair<std::string, std::string>> examples;
  int64_t max_tokens = 0, top = 0;
  std::string from, to;
  bool chat = true;        ///< OpenAI: chat completions, else plain ones
  bool logprobs = true;    ///< OpenAI: labels by likelihood where the server gives it
  bool zero_shot = false;  ///< Hugging Face: the pipeline is given the labels
};

/// How the questions of a task are put to a server and how its answers are read. Knows no HTTP.
class ServerApi {
 public:
  virtual ~ServerApi() = default;

  struct Call {
    std::string path;  ///< behind the server's URL
    nlohmann::ordered_json body;
  };
  /// Error for a question that the API has no way to ask.
  virtual Call call(const Question& question) const = 0;
  /// Error in one sentence for a body of another shape, also as nlohmann's exceptions.
  virtual Answer answer(const Question& question, const nlohmann::ordered_json& body) const = 0;
};

/// `name` is openai, tei or huggingface. Error for another, and for a task that the API does not do.
std::unique_ptr<ServerApi> make_server_api(std::string_view name, ServerTask task);

std::unique_ptr<ServerApi> make_openai_api(ServerTask task);
std::unique_ptr<ServerApi> make_tei_api(ServerTask task);
std::unique_ptr<ServerApi> make_huggingface_api(ServerTask task);

/// The texts that a ranking, a choice or a pair compares: the first one with all others.
std::vector<std::string> compared_texts(const Question& question);
/// [{"label", "score"}, ...] as a label with its scores; the lists of a batch of one are opened.
LabelAnswer label_of_pipeline(const nlohmann::ordered_json& body);
/// An answer of embeddings in the order of what was sent: the vector, or what a comparison wants.
Answer answer_by_embeddings(const Question& question, std::vector<std::vector<float>> embeddings);
[[noreturn]] void refuse_task(std::string_view api, const ServerTask& task);

}  // namespace wattle::inline study
