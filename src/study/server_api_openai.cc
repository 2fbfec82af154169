// OpenAI's API, which llama.cpp, vLLM, Ollama and most others speak: /v1/chat/completions, /v1/completions,
// /v1/embeddings.
#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "study/server_api.h"

namespace wattle::inline study {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kTokensOfLabel = 16, kTokensOfText = 128;
constexpr int kTopTokens = 20;  // the most that OpenAI's own server gives
// Below this the likely first tokens are those of something else than a label, and the text is read instead.
constexpr double kLeastMass = 0.5;

/// The task's own prompt where the plan has none.
std::string prompt_of(const ServerTask& task) {
  if (!task.prompt.empty()) return task.prompt;
  if (task.task == "classify" && task.answers.empty())
    return "{text}\n\nAnswer with the letter of the right choice alone.";
  if (task.task == "classify")
    return "Classify the text as one of: {labels}. Answer with the label alone.\n\nText: {text}";
  if (task.task == "summarise") return "Summarise the following text in a few sentences.\n\n{text}";
  if (task.task == "answer")
    return "Answer the question with words of the context alone, as few as will do.\n\nContext: {context}\n\n"
           "Question: {text}";
  if (task.task != "translate") return "{text}";
  if (task.to.empty()) fail("a server translates into the language that it is told; name it in `to`");
  return fmt::format("Translate the following text{} to {}. Answer with the translation alone.\n\n{{text}}",
                     task.from.empty() ? "" : " from " + task.from, task.to);
}

/// `pattern` with each "{name}" replaced, the replacements themselves left as they are.
std::string filled(const std::string& pattern, const std::map<std::string, std::string>& values) {
  std::string text;
  for (size_t at = 0; at < pattern.size();) {
    const size_t close = pattern[at] == '{' ? pattern.find('}', at) : std::string::npos;
    const auto value =
        close == std::string::npos ? values.end() : values.find(pattern.substr(at + 1, close - at - 1));
    if (value == values.end()) {
      text += pattern[at++];
    } else {
      text += value->second;
      at = close + 1;
    }
  }
  return text;
}

std::string letter(size_t place) {
  return std::string(1, static_cast<char>('A' + place));
}

std::string trimmed_lower(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (plain.empty() && byte < 0x80 && std::isalnum(byte) == 0) continue;
    plain += byte < 0x80 ? static_cast<char>(std::tolower(byte)) : c;
  }
  while (!plain.empty() && std::isspace(static_cast<unsigned char>(plain.back())) != 0) plain.pop_back();
  return plain;
}

/// Likely first tokens as probabilities of the labels that they can only begin; none where they do not tell
/// the labels apart.
std::vector<float> scores_of_labels(const std::vector<std::pair<std::string, double>>& tokens,
                                    const std::vector<std::string>& labels) {
  std::vector<double> mass(labels.size(), 0);
  double sum = 0;
  for (const auto& [token, logarithm] : tokens) {
    const std::string begun = trimmed_lower(token);
    if (begun.empty()) continue;
    size_t fitting = 0, last = 0;
    for (size_t k = 0; k < labels.size(); ++k) {
      if (!trimmed_lower(labels[k]).starts_with(begun)) continue;
      ++fitting;
      last = k;
    }
    if (fitting != 1) continue;
    mass[last] += std::exp(logarithm);
    sum += std::exp(logarithm);
  }
  if (sum < kLeastMass) return {};
  std::vector<float> scores;
  for (const double each : mass) scores.push_back(static_cast<float>(each / sum));
  return scores;
}

class OpenAiApi final : public ServerApi {
 public:
  explicit OpenAiApi(ServerTask task) : task_(std::move(task)) {
    constexpr std::array kDoes = {"classify", "generate", "summarise", "translate", "answer", "embed"};
    if (std::ranges::find(kDoes, task_.task) == kDoes.end()) refuse_task("openai", task_);
    prompt_ = prompt_of(task_);
    if (task_.task != "embed" && prompt_.find("{text}") == std::string::npos)
      fail("the prompt of a server holds no {{text}}; put it where the row's text belongs");
    labels_ = fmt::format("{}", fmt::join(task_.answers, ", "));
  }

  Call call(const Question& question) const override {
    Json body = Json::object();
    if (!task_.model.empty()) body["model"] = task_.model;
    if (task_.task == "embed") {
      body["input"] = compared_texts(question);
      return {"/v1/embeddings", std::move(body)};
    }
    body["temperature"] = 0;
    body["seed"] = 1;
    const bool classifies = task_.task == "classify";
    body["max_tokens"] = task_.max_tokens > 0 ? task_.max_tokens
                         : classifies         ? kTokensOfLabel
                                              : kTokensOfText;
    if (task_.chat) {
      body["messages"] = messages_of(question);
      if (classifies && task_.logprobs) body.update({{"logprobs", true}, {"top_logprobs", kTopTokens}});
      return {"/v1/chat/completions", std::move(body)};
    }
    std::string prompt;
    for (const auto& [text, answer] : task_.examples) prompt += asked(text, "") + answer + "\n\n";
    body["prompt"] = prompt + words_of(question);
    if (classifies && task_.logprobs) body["logprobs"] = 5;  // the most that the specification lets ask for
    return {"/v1/completions", std::move(body)};
  }

  Answer answer(const Question& question, const Json& body) const override {
    if (task_.task == "embed") return answer_by_embeddings(question, embeddings_of(body));
    const Json& choice = body.at("choices").at(0);
    const Json& said = task_.chat ? choice.at("message").at("content") : choice.at("text");
    std::string text = said.is_null() ? std::string() : said.get<std::string>();
    const Json usage = body.value("usage", Json::object());
    const int64_t tokens_in = usage.value("prompt_tokens", int64_t{0});
    Answer answer;
    if (task_.task == "classify") {
      answer.value = label_of(question, choice, text, tokens_in);
    } else if (task_.task == "answer") {
      const size_t begin = text.find_first_not_of(" \t\r\n"), end = text.find_last_not_of(" \t\r\n");
      answer.value = SpansAnswer{{}, begin == std::string::npos ? "" : text.substr(begin, end - begin + 1)};
    } else {
      const std::string reason =
          choice.value("finish_reason", Json()).is_string() ? choice["finish_reason"] : "";
      answer.value = TextAnswer{std::move(text),
                                {},
                                tokens_in,
                                usage.value("completion_tokens", int64_t{0}),
                                reason == "length" ? FinishReason::kLength : FinishReason::kEnd};
    }
    return answer;
  }

 private:
  std::string asked(const std::string& text, const std::string& context) const {
    return filled(prompt_, {{"text", text}, {"labels", labels_}, {"context", context}});
  }

  std::string words_of(const Question& question) const {
    if (const auto* pair = std::get_if<TextPair>(&question.content)) {
      if (prompt_.find("{context}") != std::string::npos) return asked(pair->first, pair->second);
      return asked(pair->first + "\n" + pair->second, "");
    }
    const auto* choice = std::get_if<MultipleChoice>(&question.content);
    if (choice == nullptr) return asked(question.text(), "");
    if (choice->choices.size() > 26) fail("row {}: has more than 26 choices, one a letter", question.id);
    std::string text = choice->question;
    for (size_t k = 0; k < choice->choices.size(); ++k) text += "\n" + letter(k) + ". " + choice->choices[k];
    return asked(text, "");
  }

  Json messages_of(const Question& question) const {
    Json messages = Json::array();
    if (const Conversation* conversation = question.conversation()) {
      for (const ChatMessage& message : conversation->messages)
        messages.push_back({{"role", message.role}, {"content", message.content}});
      return messages;
    }
    for (const auto& [text, answer] : task_.examples) {
      messages.push_back({{"role", "user"}, {"content", asked(text, "")}});
      messages.push_back({{"role", "assistant"}, {"content", answer}});
    }
    messages.push_back({{"role", "user"}, {"content", words_of(question)}});
    return messages;
  }

  static std::vector<std::vector<float>> embeddings_of(const Json& body) {
    const Json& data = body.at("data");
    std::vector<std::vector<float>> embeddings(data.size());
    for (size_t i = 0; i < data.size(); ++i)
      embeddings.at(data[i].value("index", i)) = data[i].at("embedding").get<std::vector<float>>();
    return embeddings;
  }

  /// The likely first tokens, as chat completions and plain ones give them; none where the server does not.
  static std::vector<std::pair<std::string, double>> first_tokens(const Json& choice) {
    std::vector<std::pair<std::string, double>> tokens;
    const auto found = choice.find("logprobs");
    if (found == choice.end() || !found->is_object()) return tokens;
    if (const auto content = found->find("content"); content != found->end() && !content->empty()) {
      for (const Json& token : content->at(0).value("top_logprobs", Json::array()))
        tokens.emplace_back(token.at("token"), token.at("logprob"));
    } else if (const auto top = found->find("top_logprobs"); top != found->end() && !top->empty()) {
      for (const auto& [token, logarithm] : top->at(0).items()) tokens.emplace_back(token, logarithm);
    }
    return tokens;
  }

  LabelAnswer label_of(const Question& question, const Json& choice, const std::string& text,
                       int64_t tokens_in) const {
    const auto* asked = std::get_if<MultipleChoice>(&question.content);
    std::vector<std::string> said = task_.answers;
    if (asked != nullptr) {
      said.clear();
      for (size_t k = 0; k < asked->choices.size(); ++k) said.push_back(letter(k));
    }
    if (said.empty()) fail("a server classifies by the labels that it is told; give `labels`");
    LabelAnswer answer = label_in_words(text, said);
    if (std::vector<float> scores = scores_of_labels(first_tokens(choice), said); !scores.empty()) {
      answer.label = static_cast<int>(std::ranges::max_element(scores) - scores.begin());
      answer.scores = std::move(scores);
      answer.names = std::make_shared<const std::vector<std::string>>(said);
    }
    if (asked != nullptr && answer.names->size() == said.size())
      answer.names = std::make_shared<const std::vector<std::string>>(asked->choices);
    answer.tokens_in = tokens_in;
    return answer;
  }

  ServerTask task_;
  std::string prompt_, labels_;
};

}  // namespace

std::unique_ptr<ServerApi> make_openai_api(ServerTask task) {
  return std::make_unique<OpenAiApi>(std::move(task));
}

}  // namespace wattle::inline study
