// A foreign program as a contender: questions as JSON lines to its standard input, answers as JSON lines from
// its standard output (docs/contenders.md).
#include <cmath>
#include <optional>

#include <sys/prctl.h>
#include <wattle/error.h>

#include "base/threads.h"
#include "study/contender_kinds.h"
#include "study/line_process.h"
#include "study/process_tree.h"
#include "tasks/json.h"

namespace wattle::inline study {
namespace {

using Json = nlohmann::ordered_json;
using Outcome = LineProcess::Outcome;

constexpr double kSecondsToStart = 600, kSecondsToAnswer = 60;
constexpr size_t kMostQuoted = 120;

std::string excerpt_of(std::string_view line) {
  std::string text(line.substr(0, line.find('\n')));
  if (text.size() > kMostQuoted) text = text.substr(0, kMostQuoted) + "...";
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

LineCommand command_of(RequestFields& fields) {
  LineCommand command;
  command.words = fields.texts("command");
  if (command.words.empty()) fail("a contender of the kind command needs `command`, a list of words");
  command.directory = fields.text("directory", "");
  // The plan's threads, by the name that OpenMP, BLAS libraries and PyTorch read.
  command.environment["OMP_NUM_THREADS"] = std::to_string(threads());
  const Json& more = fields.value("environment");
  if (!more.is_null() && !more.is_object())
    fail("`environment` of a command is {}, and not names with their values", more.dump());
  for (const auto& [name, value] : more.items()) {
    if (!value.is_string() || name.empty() || name.find('=') != std::string::npos)
      fail("`environment` of a command gives \"{}\" the value {}; give a name without '=' a text", name,
           value.dump());
    command.environment[name] = value.get<std::string>();
  }
  return command;
}

class CommandContender final : public Contender {
 public:
  explicit CommandContender(RequestFields fields)
      : task_(fields.text("task", "classify")),
        name_(fmt::format("{}", fmt::join(fields.texts("command"), " "))),
        seconds_(fields.number("seconds_to_answer", kSecondsToAnswer)),
        command_(command_of(fields)) {
    const bool ready = fields.flag("ready", true);
    const double seconds_to_start = fields.number("seconds_to_start", kSecondsToStart);
    words_ = fields.texts("answers");
    if (const auto labels = fields.texts("labels"); !labels.empty())
      labels_ = std::make_shared<const std::vector<std::string>>(labels);
    fields.finish();
    // What a program leaves behind stays a descendant, and is counted and ended.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    process_.emplace(command_);
    if (ready) await_ready(seconds_to_start);
  }

  void prepare(std::span<const Question> questions) override {
    Contender::prepare(questions);
    lines_.clear();
    for (const Question& question : questions)
      lines_.push_back(question_to_json(question).dump(-1, ' ', false, Json::error_handler_t::replace) +
                       "\n");
  }

  void ask(size_t place, Reply& reply) override {
    check(process_->send(lines_[place], seconds_), seconds_, "took no question");
    check(process_->receive(reply.text, seconds_), seconds_, "gave no answer");
  }

  Answer read(size_t place, Reply reply) override {
    const Question& question = questions_[place];
    Json json = Json::parse(reply.text, nullptr, false);
    if (json.is_discarded())
      say("answered {} to the question {}, which is no JSON", excerpt_of(reply.text), question.id);
    if (json.is_object() && json.contains("error"))
      say("answered the error {} to the question {}", json["error"].dump(), question.id);
    if (json.is_object() && json.contains("id") && json["id"].dump() != question.id)
      say("answered {} with the id {} to the question {}", excerpt_of(reply.text), json["id"].dump(),
          question.id);
    if (json.is_object()) json.erase("id");
    try {
      Answer answer = answer_from_json(json, task_, &question);
      rename_labels(answer, words_, labels_);
      return answer;
    } catch (const Error& error) {
      say("answered wrongly to the question {}: {}", question.id, error.what());
    }
  }

  void finish() override {
    const std::string_view more = process_->unread();
    if (!more.empty()) say("wrote {} after its answer; it is to write one line a question", excerpt_of(more));
  }

  bool has_work() const override { return false; }
  int64_t peak_memory_bytes() const override {
    const pid_t root = process_->pid();
    return wattle::peak_memory_bytes(process_tree({&root, 1}).pids);
  }
  Json description() const override {
    Json json{{"kind", "command"}, {"command", command_.words}};
    json.update(said_);
    return json;
  }

 private:
  /// The program's own description from its first line.
  void await_ready(double seconds) {
    std::string line;
    check(process_->receive(line, seconds), seconds,
          "did not write {\"ready\": true} (where it never does, say `ready: false`)");
    said_ = Json::parse(line, nullptr, false);
    if (!said_.is_object() || !said_.contains("ready") || said_["ready"] != true)
      say("began with {}; its first line is to be {{\"ready\": true}}, and nothing else but answers goes to "
          "its "
          "standard output",
          excerpt_of(line));
    said_.erase("ready");
  }

  void check(Outcome outcome, double seconds, std::string_view what) {
    switch (outcome) {
      case Outcome::kDone:
        return;
      case Outcome::kLate:
        say("{} within {} s", what, seconds);
      case Outcome::kEnded:
        say("{}", process_->ending());
      case Outcome::kTooLong:
        say("wrote a line of more than a gigabyte");
    }
  }

  template <typename... Values>
  [[noreturn]] void say(fmt::format_string<Values...> sentence, Values&&... values) {
    const std::string words = process_->last_words();
    fail("the command `{}` {}{}", name_, fmt::format(sentence, std::forward<Values>(values)...),
         words.empty() ? "" : "; its last words: " + words);
  }

  std::string task_, name_;
  double seconds_;
  LineCommand command_;
  std::optional<LineProcess> process_;
  std::vector<std::string> words_;
  std::shared_ptr<const std::vector<std::string>> labels_;
  std::vector<std::string> lines_;  ///< one a question, with its end
  Json said_ = Json::object();
};

}  // namespace

std::unique_ptr<Contender> open_command(const Json& request) {
  return std::make_unique<CommandContender>(RequestFields(request));
}

}  // namespace wattle::inline study
