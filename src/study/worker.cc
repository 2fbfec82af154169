// The serving side of a cell: the hidden verb `worker`. One JSON request a line, one JSON answer a line:
//   open              starts a contender (measured) and says what it is
//   measure           warms up, has rows answered one at a time for a window's length
//   choose_threshold  of a cascade, on rows whose labels are known
//   train             trains a head and saves it
//   convert           writes a model at another precision
// A request that fails is answered by {"error": sentence}, and the process ends.
#include <algorithm>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>

#include <wattle/error.h>

#include "base/cpu.h"
#include "base/sha256.h"
#include "base/threads.h"
#include "families/open_file.h"
#include "meter/energy_json.h"
#include "models/convert.h"
#include "study/cascade.h"
#include "study/conditions.h"
#include "study/metering.h"
#include "study/window_json.h"
#include "tasks/json.h"
#include "train/embedder.h"
#include "train/trainer.h"

namespace wattle::inline study {
namespace {

using Json = nlohmann::ordered_json;

class Worker {
 public:
  Json answer(const Json& request);

 private:
  Json configure(const Json& request);
  Json open(const Json& request);
  Json measure(const Json& request);
  Json choose_threshold(const Json& request);
  Json train(const Json& request);
  Json convert_model(const Json& request);

  /// The contender with the rows of a request prepared in questions_, warmed up.
  void make_ready(Contender& who, const Json& request);
  /// One stage of a cascade on rows whose labels are known.
  StageTrial try_stage(Contender& stage, const Json& request, bool last);

  std::optional<Metering> metering_;
  std::unique_ptr<Contender> who_;
  std::vector<Question> questions_;
  double seconds_a_question_ = 0;  ///< as the last warm-up found; 0: there was none
};

Json Worker::configure(const Json& request) {
  if (const std::string isa = request.value("isa", ""); !isa.empty()) force_isa(isa_from_name(isa));
  if (const int wanted = request.value("threads", 0); wanted > 0) set_threads(wanted);
  MeterOptions options;
  options.source = request.value("meter", "");
  metering_.emplace(options);
  return {{"machine", describe_machine()}, {"notice", metering_->meter().notice()}};
}

Json Worker::open(const Json& request) {
  const Window window = metering_->measure("load", [&] { who_ = open_contender(request); });
  metering_->check_place(*who_);
  seconds_a_question_ = 0;
  return {{"window", to_json(window)}, {"description", who_->description()}};
}

std::vector<Question> questions_of(const Json& rows) {
  std::vector<Question> questions;
  for (Json row : rows) {
    questions.push_back(
        question_from_json(row, {}, questions.size(), fmt::format("row {} of a window", questions.size())));
  }
  if (questions.empty()) fail("a window of no rows was asked for; give the study evaluation rows");
  return questions;
}

void Worker::make_ready(Contender& who, const Json& request) {
  questions_ = questions_of(request.at("rows"));
  who.prepare(questions_);
  metering_->measure_idle();
  const double limit = request.value("warm_up_seconds", 0.0);
  if (limit > 0 || seconds_a_question_ == 0) seconds_a_question_ = metering_->warm_up(who, questions_, limit);
}

Json Worker::measure(const Json& request) {
  if (who_ == nullptr) fail("a worker was asked to measure before it opened a model; send `open` first");
  make_ready(*who_, request);
  AskedWindow asked = metering_->ask(*who_, questions_, request.at("window_seconds"), seconds_a_question_);
  Json answers = Json::array();
  Sha256 outputs;
  for (size_t place = 0; place < asked.replies.size(); ++place) {
    const Answer answer = who_->read(place, std::move(asked.replies[place]));
    Json json = to_json(answer);
    outputs.add(json.dump());
    answers.push_back(std::move(json));
  }
  asked.window.outputs_sha256 = outputs.hex();
  Json answer = {{"window", to_json(asked.window)}, {"answers", std::move(answers)}};
  if (metering_->idle()) answer["idle"] = energy_json(*metering_->idle());
  if (Json facts = who_->facts(); !facts.is_null()) answer["facts"] = std::move(facts);
  return answer;
}

StageTrial Worker::try_stage(Contender& stage, const Json& request, bool last) {
  seconds_a_question_ = 0;
  make_ready(stage, request);
  AskedWindow asked =
      metering_->ask(stage, questions_, request.value("window_seconds", 1.0), seconds_a_question_);
  const Energy& energy = asked.window.energy;
  if (!energy.invalid.empty())
    fail("the energy of a stage of the cascade is not to be believed: {}", energy.invalid);
  const auto truths = request.at("truths").get<std::vector<std::string>>();
  if (truths.size() != questions_.size())
    fail("{} rows have {} truths; give one a row", questions_.size(), truths.size());
  StageTrial trial;
  trial.joules_a_query = energy.joules / static_cast<double>(asked.window.queries);
  for (size_t place = 0; place < truths.size(); ++place) {
    const Answer answer = stage.read(place, std::move(asked.replies[place]));
    const auto* label = std::get_if<LabelAnswer>(&answer.value);
    if (label == nullptr) fail("a stage of the cascade gave no label; a cascade is of classifiers");
    trial.right.push_back(label->name() == truths[place] ? 1 : 0);
    if (!last) trial.margins.push_back(margin_of(answer));
  }
  return trial;
}

Json Worker::choose_threshold(const Json& request) {
  auto* cascade = dynamic_cast<Cascade*>(who_.get());
  if (cascade == nullptr) fail("a threshold is chosen for a cascade; open one first");
  std::vector<StageTrial> trials;
  ThresholdChoice choice;
  metering_->measure_idle();  // where it is measured at all, the machine waits: no part of choosing
  const auto choose = [&] {
    for (const auto& stage : cascade->stages())
      trials.push_back(try_stage(*stage, request, stage == cascade->stages().back()));
    choice = choose_thresholds(trials, request.value("target", 0.99));
  };
  const Window window = metering_->measure("threshold", choose, cascade->processes());
  cascade->set_thresholds(choice.thresholds);
  seconds_a_question_ = 0;
  std::vector<double> joules, accuracies;
  for (const StageTrial& trial : trials) {
    joules.push_back(trial.joules_a_query);
    accuracies.push_back(static_cast<double>(std::count(trial.right.begin(), trial.right.end(), 1)) /
                         static_cast<double>(trial.right.size()));
  }
  return {{"threshold", choice.thresholds},
          {"passed_on", choice.passed},
          {"accuracy", choice.accuracy},
          {"joules_a_query", choice.joules_a_query},
          {"stages", {{"accuracy", accuracies}, {"joules_a_query", joules}}},
          {"window", to_json(window)}};
}

Head train_on_model(const std::string& path, const std::vector<std::string>& texts,
                    const std::vector<int>& labels, const std::vector<std::string>& names,
                    const TrainOptions& options) {
  const auto model = Model::open(path);
  Embedder embedder(*model);
  Matrix embeddings(static_cast<int64_t>(texts.size()), embedder.width());
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  embedder.embed(views, embeddings);
  return train_on_embeddings(embeddings.view(), {path, fingerprint(model->file()), embedder.width()}, labels,
                             names, options);
}

/// A request has `texts`, or the `columns` of a table and its `rows`, and `labels` or `numbers` of them. The
/// rows are read here, outside of what is measured.
std::function<Head()> training_of(const Json& request) {
  auto labels = request.at("labels").get<std::vector<int>>();
  auto names = request.at("label_names").get<std::vector<std::string>>();
  TrainOptions options;
  options.kind = head_kind_from_name(request.at("kind").get<std::string>(), "kind");
  options.seed = request.at("seed");
  if (!request.contains("columns")) {
    return [texts = request.at("texts").get<std::vector<std::string>>(), base = request.value("base", ""),
            labels, names, options] {
      if (base.empty()) return train_on_ngrams(texts, labels, names, options);
      return train_on_model(base, texts, labels, names, options);
    };
  }
  options.costs = kTableCosts;
  TableData table{request.at("columns"), {}, request.at("categories")};
  for (const Question& row : questions_of(request.at("rows"))) table.rows.push_back(row.table_row());
  if (!request.contains("numbers"))
    return [table, labels, names, options] { return train_on_table(table, labels, names, options); };
  return [table, numbers = request.at("numbers").get<std::vector<float>>(), options] {
    return train_numbers_on_table(table, numbers, options);
  };
}

Json Worker::train(const Json& request) {
  const std::function<Head()> training = training_of(request);
  std::optional<Head> head;
  const Window window = metering_->measure("train", [&] { head.emplace(training()); });
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
  const Window window = metering_->measure("convert", [&] {
    const ModelFile file = open_model_file(request.at("model").get<std::string>());
    convert(file, request.at("path").get<std::string>(),
            Precision::parse(request.at("precision").get<std::string>()));
  });
  return {{"window", to_json(window)}};
}

Json Worker::answer(const Json& request) {
  const std::string verb = request.at("verb");
  if (verb == "configure") return configure(request);
  if (!metering_) fail("a worker was asked to {} before `configure`", verb);
  if (verb == "open") return open(request);
  if (verb == "measure") return measure(request);
  if (verb == "choose_threshold") return choose_threshold(request);
  if (verb == "train") return train(request);
  if (verb == "convert") return convert_model(request);
  fail(
      "a worker does not know the request \"{}\"; it knows configure, open, measure, choose_threshold, "
      "train, convert",
      verb);
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

}  // namespace wattle::inline study
