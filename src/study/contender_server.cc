// A server as a contender: one HTTP request a question over a kept connection (docs/contenders.md).
#include <charconv>
#include <csignal>
#include <fstream>

#include <httplib.h>
#include <wattle/error.h>

#include "study/contender_kinds.h"
#include "study/process_tree.h"
#include "study/server_api.h"
#include "tasks/json.h"

namespace wattle::inline study {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kSecondsOfRequest = 60, kSecondsToConnect = 10;
constexpr size_t kLongestBody = size_t{64} << 20, kQuotedBody = 160;

/// "http://host:port" and "/path" of a URL.
struct ServerUrl {
  std::string origin, path;

  explicit ServerUrl(const std::string& url) {
    const size_t scheme = url.starts_with("http://") ? 7 : url.starts_with("https://") ? 8 : 0;
    if (scheme == 0) fail("the URL \"{}\" of a server begins with neither http:// nor https://", url);
    const size_t slash = std::min(url.find('/', scheme), url.size());
    origin = url.substr(0, slash);
    path = url.substr(slash);
    while (path.ends_with('/')) path.pop_back();
    if (slash == scheme) fail("the URL \"{}\" of a server names no host", url);
  }
};

std::string token_in(const std::string& path) {
  std::string token;
  std::ifstream file(path);
  if (!std::getline(file, token) || token.empty())
    fail("{}: holds no token for the server in its first line", path);
  return token;
}

std::string short_text(const std::string& body) {
  std::string text = body.substr(0, kQuotedBody);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

ServerTask task_of(RequestFields& fields) {
  ServerTask task;
  task.task = fields.text("task", "classify");
  task.model = fields.text("model", "");
  task.prompt = fields.text("prompt", "");
  const Json& examples = fields.value("examples");
  for (const Json& example : examples) {
    if (!example.is_array() || example.size() != 2)
      fail("an example of a server is {}, and not a text with its answer", example.dump());
    task.examples.emplace_back(example.at(0), example.at(1));
  }
  task.max_tokens = fields.count("max_tokens", 0);
  task.top = fields.count("top", 0);
  task.from = fields.text("from", "");
  task.to = fields.text("to", "");
  task.chat = fields.flag("chat", true);
  task.logprobs = fields.flag("logprobs", true);
  task.zero_shot = fields.flag("zero_shot", false);
  return task;
}

class ServerContender final : public Contender {
 public:
  explicit ServerContender(RequestFields fields)
      : url_text_(fields.need_text("url")), url_(url_text_), client_(url_.origin) {
    api_name_ = fields.need_text("api");
    pid_ = static_cast<pid_t>(fields.count("pid", 0));
    ServerTask task = task_of(fields);
    task.answers = fields.texts("answers");
    const auto labels = fields.texts("labels");
    if (task.answers.empty()) task.answers = labels;
    words_ = task.answers;
    if (!labels.empty()) labels_ = std::make_shared<const std::vector<std::string>>(labels);
    model_ = task.model;
    api_ = make_server_api(api_name_, std::move(task));
    const double seconds = fields.number("seconds_to_answer", kSecondsOfRequest);
    if (const std::string path = fields.text("token_file", ""); !path.empty())
      headers_.emplace("Authorization", "Bearer " + token_in(path));
    fields.finish();
    if (pid_ > 0 && kill(pid_, 0) != 0 && errno == ESRCH)
      fail("{}: its `pid` {} is no process that runs; start the server and give its process", url_text_,
           pid_);
    client_.set_keep_alive(true);
    client_.set_tcp_nodelay(true);
    client_.set_connection_timeout(std::chrono::milliseconds(static_cast<int64_t>(1000 * kSecondsToConnect)));
    client_.set_read_timeout(std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds)));
    client_.set_write_timeout(std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds)));
  }

  void prepare(std::span<const Question> questions) override {
    Contender::prepare(questions);
    requests_.clear();
    for (const Question& question : questions) {
      ServerApi::Call call = api_->call(question);
      httplib::Request& request = requests_.emplace_back();
      request.method = "POST";
      request.path = url_.path + call.path;
      if (request.path.empty()) request.path = "/";
      request.headers = headers_;
      request.headers.emplace("Content-Type", "application/json");
      request.body = call.body.dump(-1, ' ', false, Json::error_handler_t::replace);
    }
  }

  void ask(size_t place, Reply& reply) override {
    httplib::Request request = requests_[place];
    reply.text.clear();
    bool too_long = false;
    request.content_receiver = [&](const char* bytes, size_t count, uint64_t, uint64_t) {
      reply.text.append(bytes, count);
      too_long = reply.text.size() > kLongestBody;
      return !too_long;
    };
    const httplib::Result result = client_.send(request);
    if (too_long) fail("{}: answered more than {} MiB", url_text_, kLongestBody >> 20);
    if (!result) {
      fail("{}: gave no whole answer ({}); see that it runs, and raise `seconds_to_answer` where it is slow",
           url_text_, httplib::to_string(result.error()));
    }
    if (result->status != 200)
      fail("{}{}: answered HTTP {}: {}", url_.origin, request.path, result->status, short_text(reply.text));
  }

  Answer read(size_t place, Reply reply) override {
    const Json body = Json::parse(reply.text, nullptr, false);
    if (body.is_discarded()) fail("{}: answered no JSON: {}", url_text_, short_text(reply.text));
    std::string why;
    try {
      Answer answer = api_->answer(questions_[place], body);
      rename_labels(answer, words_, labels_);
      return answer;
    } catch (const Error& error) {
      why = error.what();
    } catch (const std::exception&) {
      why = "it has another shape";
    }
    fail("{}: its answer is none of the API {}: {}: {}", url_text_, api_name_, why, short_text(reply.text));
  }

  bool has_work() const override { return false; }
  std::vector<pid_t> processes() const override {
    return pid_ > 0 ? std::vector<pid_t>{pid_} : std::vector<pid_t>();
  }
  std::string elsewhere() const override { return pid_ > 0 ? "" : url_text_; }
  int64_t peak_memory_bytes() const override {
    return wattle::peak_memory_bytes(process_tree(processes()).pids);
  }
  Json description() const override {
    return {{"kind", "server"}, {"url", url_text_}, {"api", api_name_}, {"model", model_}};
  }

 private:
  std::string url_text_, api_name_, model_;
  ServerUrl url_;
  httplib::Client client_;
  httplib::Headers headers_;
  pid_t pid_ = 0;
  std::unique_ptr<ServerApi> api_;
  std::vector<std::string> words_;
  std::shared_ptr<const std::vector<std::string>> labels_;
  std::vector<httplib::Request> requests_;
};

}  // namespace

std::unique_ptr<Contender> open_server(const Json& request) {
  return std::make_unique<ServerContender>(RequestFields(request));
}

}  // namespace wattle::inline study
