// The serving side of a cell: the hidden verb `worker`. One JSON request a line, one JSON answer a line:
//   open     loads a model (measured) and says what it is
//   measure  warms up, answers rows one at a time for a window's length
//   train    trains a head and saves it
//   convert  writes a model at another precision
// A request that fails is answered by {"error": sentence}, and the process ends.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <numeric>
#include <optional>
#include <thread>

#include <wattle/error.h>

#include "base/cpu.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "base/threads.h"
#include "families/open_file.h"
#include "meter/energy_json.h"
#include "models/convert.h"
#include "study/conditions.h"
#include "study/window_json.h"
#include "tasks/json.h"
#include "tasks/task.h"
#include "train/embedder.h"
#include "train/trainer.h"

namespace wattle {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

// A rule answers 100,000 rows a second; the latencies of the first so many tell what all would.
constexpr int64_t kMostLatencies = 10'000;
// A window goes on until its edges and the steps of the meter leave less than this open, or for so long.
constexpr double kResolution = 0.01, kLongestWindow = 300;
// Idle is measured for this long at least, after the team's threads have parked.
constexpr double kIdleSeconds = 1, kParkSeconds = 0.1;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

class Worker {
 public:
  Json answer(const Json& request);

 private:
  /// Whether a window that began with `moment` tells enough of its energy.
  bool fine_enough(const Work& work, double seconds) const;
  /// What the machine draws with the model loaded and the threads parked; once a process.
  void measure_idle();

  /// Energy, conditions and peak memory of what `body` does; body returns its work record, or null when the
  /// engine's record does not cover it (reading files, LIBLINEAR, XGBoost): then the processor time counts.
  Window measured(const std::string& kind, const std::function<const Work*()>& body);

  Json configure(const Json& request);
  Json open(const Json& request);
  Json measure(const Json& request);
  Json train(const Json& request);
  Json convert_model(const Json& request);

  void warm_up(const std::vector<Question>& questions, double limit_seconds);
  /// The data's name in place of the word that a model is to say for it.
  void rename_label(Answer& answer) const;
  double answer_question(const Question& question, Work& work, Answer& answer);

  std::unique_ptr<Meter> meter_;
  std::shared_ptr<const Meter::Moment> begin_;  ///< of the window that runs
  std::optional<Energy> idle_;
  std::unique_ptr<Task> task_;
  bool empty_ = false;
  std::vector<std::string> answers_, labels_;  ///< what the task says for label 0, 1, ..., and their names
};

Window Worker::measured(const std::string& kind, const std::function<const Work*()>& body) {
  Window window;
  window.kind = kind;
  const Conditions conditions;
  begin_ = meter_->begin();
  const Work* work = body();
  window.energy = meter_->end_settled(begin_, work);
  begin_.reset();
  const Conditions::Report report = conditions.since_begin();
  window.conditions = report.json.dump();
  window.disturbance = report.disturbance;
  window.peak_memory_bytes = peak_memory_bytes();
  return window;
}

bool Worker::fine_enough(const Work& work, double seconds) const {
  const int repetitions = meter_->repetitions(seconds);
  if (seconds >= kLongestWindow || repetitions <= 1) return true;
  const Energy energy = meter_->end(begin_, &work);
  // A window shorter than two refreshes of its meter may be invalid for that alone (100 of them are enough).
  if (!energy.invalid.empty()) return repetitions <= 50;
  return energy.resolution <= kResolution * energy.joules;
}

void Worker::measure_idle() {
  if (idle_ || meter_->grade() == Grade::kModelled) return;  // a model knows idle by itself
  std::this_thread::sleep_for(std::chrono::duration<double>(kParkSeconds));
  idle_ = meter_->measure_idle(kIdleSeconds);
}

Json Worker::configure(const Json& request) {
  if (const std::string isa = request.value("isa", ""); !isa.empty()) force_isa(isa_from_name(isa));
  if (const int wanted = request.value("threads", 0); wanted > 0) set_threads(wanted);
  MeterOptions options;
  options.source = request.value("meter", "");
  meter_ = Meter::open(options);
  return {{"machine", describe_machine()}, {"notice", meter_->notice()}};
}

Json Worker::open(const Json& request) {
  TaskOptions options;
  options.task = request.value("task", "classify");
  empty_ = request.value("kind", "model") == "empty";
  if (empty_)
    return {{"window", to_json(measured("load", [] { return nullptr; }))},
            {"description", {{"kind", "empty"}}}};
  answers_ = request.value("answers", std::vector<std::string>());
  labels_ = request.value("labels", answers_);
  options.base = request.value("base", "");
  // A plan gives the same prompts on every day: chat templates that write the date write this one.
  options.now = std::chrono::local_days(std::chrono::year(2025) / 1 / 1);
  if (request.contains("prompt")) {
    options.labels = answers_;
    options.prompt_template = request.at("prompt");
    for (const auto& example : request.value("examples", Json::array()))
      options.examples.emplace_back(example.at(0), example.at(1));
  }
  LoadOptions load;
  if (request.contains("precision")) load.take(Precision::parse(request.at("precision").get<std::string>()));
  const Window window = measured("load", [&] {
    task_ = Task::create(request.at("model"), options, load);
    return nullptr;
  });
  return {{"window", to_json(window)}, {"description", task_->description()}};
}

void Worker::rename_label(Answer& answer) const {
  auto* labelled = std::get_if<LabelAnswer>(&answer.value);
  if (labelled == nullptr || labels_ == answers_ || *labelled->names != answers_) return;
  labelled->names = std::make_shared<const std::vector<std::string>>(labels_);
}

double Worker::answer_question(const Question& question, Work& work, Answer& answer) {
  if (empty_) {
    answer.value = std::monostate();
    return 1e-9;
  }
  const auto begin = Clock::now();
  answer = std::move(task_->answer({&question, 1}).at(0));
  const double seconds = seconds_since(begin);
  work += answer.work;
  return seconds;
}

/// Answers the rows over and over until the time of the last three stretches varies by less than 3 %, or the
/// limit.
void Worker::warm_up(const std::vector<Question>& questions, double limit_seconds) {
  constexpr double kStretchSeconds = 0.1, kVariation = 0.03;
  const auto begin = Clock::now();
  std::vector<double> rates;
  Answer answer;
  Work work;
  size_t next = 0;
  while (seconds_since(begin) < limit_seconds) {
    throw_if_interrupted();
    const auto stretch = Clock::now();
    double texts = 0;
    for (; seconds_since(stretch) < kStretchSeconds; next = (next + 1) % questions.size()) {
      answer_question(questions[next], work, answer);
      // Rows differ in length; the time per byte is what settles.
      texts += 20 + static_cast<double>(size_of(questions[next]));
    }
    rates.push_back(seconds_since(stretch) / texts);
    if (rates.size() < 3) continue;
    const std::span<const double> last(rates.end() - 3, 3);
    const double mean = std::accumulate(last.begin(), last.end(), 0.0) / 3;
    double squares = 0;
    for (const double rate : last) squares += (rate - mean) * (rate - mean);
    if (std::sqrt(squares / 2) < kVariation * mean) return;
  }
}

Json Worker::measure(const Json& request) {
  if (task_ == nullptr && !empty_)
    fail("a worker was asked to measure before it opened a model; send `open` first");
  std::vector<Question> questions;
  for (Json row : request.at("rows"))
    questions.push_back(
        question_from_json(row, {}, questions.size(), fmt::format("row {}", questions.size())));
  if (questions.empty()) fail("a window of no rows was asked for; give the study evaluation rows");
  double window_seconds = request.at("window_seconds");
  measure_idle();
  warm_up(questions, request.at("warm_up_seconds"));

  std::vector<Answer> first_pass;
  std::vector<double> latencies;
  int64_t queries = 0;
  Work work;
  Window window = measured("queries", [&] {
    const auto begin = Clock::now();
    Answer answer;
    // Whole passes, so that every row counts alike. Where the meter is slow a window takes longer.
    do {
      if (queries > 0 && seconds_since(begin) >= window_seconds) window_seconds *= 1.5;
      for (const Question& question : questions) {
        throw_if_interrupted();
        const double milliseconds = 1000 * answer_question(question, work, answer);
        if (static_cast<int64_t>(latencies.size()) < kMostLatencies) latencies.push_back(milliseconds);
        ++queries;
        if (first_pass.size() < questions.size()) first_pass.push_back(std::move(answer));
      }
    } while (seconds_since(begin) < window_seconds || !fine_enough(work, seconds_since(begin)));
    return &work;
  });
  window.queries = queries;
  window.latencies_ms = std::move(latencies);
  Json answers = Json::array();
  Sha256 outputs;
  for (Answer& first : first_pass) {
    rename_label(first);
    answers.push_back(to_json(first));
    outputs.add(answers.back().dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  window.outputs_sha256 = outputs.hex();
  Json answer = {{"window", to_json(window)}, {"answers", std::move(answers)}};
  if (idle_) answer["idle"] = energy_json(*idle_);
  return answer;
}

Json Worker::train(const Json& request) {
  const auto texts = request.at("texts").get<std::vector<std::string>>();
  const auto labels = request.at("labels").get<std::vector<int>>();
  const auto names = request.at("label_names").get<std::vector<std::string>>();
  const std::string base_path = request.value("base", "");
  TrainOptions options;
  options.kind = head_kind_from_name(request.at("kind").get<std::string>());
  options.seed = request.at("seed");
  std::optional<Head> head;
  const Window window = measured("train", [&]() -> const Work* {
    if (base_path.empty()) {
      head.emplace(train_on_ngrams(texts, labels, names, options));
      return nullptr;
    }
    const auto model = Model::open(base_path);
    Embedder embedder(*model);
    Matrix embeddings(static_cast<int64_t>(texts.size()), embedder.width());
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    embedder.embed(views, embeddings);
    head.emplace(train_on_embeddings(embeddings.view(),
                                     {base_path, fingerprint(model->file()), embedder.width()}, labels, names,
                                     options));
    return nullptr;
  });
  TrainingRecord& record = head->training();
  record.seconds = window.energy.seconds;
  record.joules = window.energy.joules;
  record.joules_low = window.energy.low;
  record.joules_high = window.energy.high;
  record.grade = name(window.energy.grade);
  head->save(request.at("path").get<std::string>());
  return {{"window", to_json(window)}};
}

Json Worker::convert_model(const Json& request) {
  const Window window = measured("convert", [&] {
    const ModelFile file = open_model_file(request.at("model").get<std::string>());
    convert(file, request.at("path").get<std::string>(),
            Precision::parse(request.at("precision").get<std::string>()));
    return nullptr;
  });
  return {{"window", to_json(window)}};
}

Json Worker::answer(const Json& request) {
  const std::string verb = request.at("verb");
  if (verb == "configure") return configure(request);
  if (meter_ == nullptr) fail("a worker was asked to {} before `configure`", verb);
  if (verb == "open") return open(request);
  if (verb == "measure") return measure(request);
  if (verb == "train") return train(request);
  if (verb == "convert") return convert_model(request);
  fail("a worker does not know the request \"{}\"; it knows configure, open, measure, train, convert", verb);
}

}  // namespace

int run_worker(std::istream& input, std::ostream& output) {
  Worker worker;
  for (std::string line; std::getline(input, line);) {
    std::string sentence;
    try {
      // Model files are untrusted: a name in them may be no UTF-8.
      output << worker.answer(Json::parse(line)).dump(-1, ' ', false, Json::error_handler_t::replace)
             << std::endl;
      continue;
    } catch (const std::bad_alloc&) {
      sentence = "not enough memory; use a smaller model or a lower precision";
    } catch (const std::exception& error) {
      sentence = error.what();
    }
    output << Json{{"error", sentence}}.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
    return 2;
  }
  return 0;
}

}  // namespace wattle
