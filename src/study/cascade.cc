#include "study/cascade.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <wattle/error.h>

#include "study/conditions.h"
#include "study/contender_kinds.h"

namespace wattle::inline study {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostStages = 5;
// Margins are at most 1: a threshold above passes every row on.
constexpr double kPassAll = 2;

}  // namespace

double margin_of(const Answer& answer) {
  const auto* label = std::get_if<LabelAnswer>(&answer.value);
  if (label == nullptr || label->scores.size() < 2) {
    fail(
        "a stage of the cascade answered {}; each stage but the last needs a label with the scores of all "
        "labels",
        label == nullptr ? "no label" : "a label without scores");
  }
  float best = -1, second = -1;
  for (const float score : label->scores) {
    if (score > best) {
      second = std::exchange(best, score);
    } else {
      second = std::max(second, score);
    }
  }
  return static_cast<double>(best) - second;
}

Cascade::Cascade(std::vector<std::unique_ptr<Contender>> stages, std::vector<double> thresholds)
    : stages_(std::move(stages)), asked_(stages_.size(), 0) {
  if (stages_.size() < 2) fail("a cascade of {} stages was asked for; give two or more", stages_.size());
  if (!thresholds.empty()) set_thresholds(std::move(thresholds));
}

void Cascade::set_thresholds(std::vector<double> thresholds) {
  if (thresholds.size() == 1) thresholds.resize(stages_.size() - 1, thresholds[0]);
  if (thresholds.size() + 1 != stages_.size()) {
    fail("a cascade of {} stages has {} thresholds; give one, or one for each stage but the last",
         stages_.size(), thresholds.size());
  }
  thresholds_ = std::move(thresholds);
}

void Cascade::prepare(std::span<const Question> questions) {
  Contender::prepare(questions);
  for (const auto& stage : stages_) stage->prepare(questions);
  std::ranges::fill(asked_, 0);
}

void Cascade::ask(size_t place, Reply& reply) {
  if (thresholds_.empty())
    fail("a cascade was asked before it had a threshold; give `threshold`, or have one chosen");
  Work work;
  for (size_t stage = 0;; ++stage) {
    reply.answer.work = {};
    stages_[stage]->ask(place, reply);
    ++asked_[stage];
    work += reply.answer.work;
    reply.stage = stage;
    if (stage + 1 == stages_.size()) break;
    reply.answer = stages_[stage]->read(place, std::move(reply));
    if (margin_of(reply.answer) >= thresholds_[stage]) break;
  }
  reply.answer.work = work;
}

Answer Cascade::read(size_t place, Reply reply) {
  if (reply.stage + 1 < stages_.size()) return std::move(reply.answer);
  return stages_.back()->read(place, std::move(reply));
}

void Cascade::expect(double seconds_a_question) {
  for (const auto& stage : stages_) stage->expect(seconds_a_question);
}

void Cascade::finish() {
  for (const auto& stage : stages_) stage->finish();
}

bool Cascade::has_work() const {
  return std::ranges::all_of(stages_, [](const auto& stage) { return stage->has_work(); });
}

std::vector<pid_t> Cascade::processes() const {
  std::vector<pid_t> all;
  for (const auto& stage : stages_) {
    for (const pid_t pid : stage->processes()) all.push_back(pid);
  }
  return all;
}

std::string Cascade::elsewhere() const {
  for (const auto& stage : stages_) {
    if (std::string place = stage->elsewhere(); !place.empty()) return place;
  }
  return {};
}

int64_t Cascade::peak_memory_bytes() const {
  // Models live in this process together; all else has processes of its own.
  int64_t here = 0, beside = 0;
  for (const auto& stage : stages_) {
    const int64_t bytes = stage->peak_memory_bytes();
    if (stage->has_work()) here = std::max(here, bytes);
    if (!stage->has_work()) beside += bytes;
  }
  return here + beside;
}

Json Cascade::description() const {
  Json stages = Json::array();
  for (const auto& stage : stages_) stages.push_back(stage->description());
  return {{"kind", "cascade"}, {"stages", std::move(stages)}, {"thresholds", thresholds_}};
}

Json Cascade::facts() const {
  std::vector<double> passed;
  for (size_t stage = 1; stage < stages_.size(); ++stage) {
    passed.push_back(asked_[0] > 0 ? static_cast<double>(asked_[stage]) / static_cast<double>(asked_[0]) : 0);
  }
  return {{"passed_on", passed}};
}

namespace {

/// Thresholds worth trying for one stage: 0, one between each two neighbours of the margins that occur (or of
/// so many quantiles of them), and one that passes all. Half way, because the stage that is used in the end
/// was trained on more rows: where it is sure its margins are about those of the copy, not the same.
std::vector<double> candidates_of(std::vector<double> margins, size_t most) {
  std::sort(margins.begin(), margins.end());
  margins.erase(std::unique(margins.begin(), margins.end()), margins.end());
  std::vector<double> candidates{0};
  const size_t count = std::min(most, margins.size());
  for (size_t i = 0; i < count; ++i) {
    const size_t place = i * margins.size() / count;
    if (place > 0) candidates.push_back((margins[place - 1] + margins[place]) / 2);
  }
  candidates.push_back(kPassAll);
  return candidates;
}

/// What the cascade with these thresholds would do.
ThresholdChoice trial(std::span<const StageTrial> stages, std::span<const double> thresholds) {
  const size_t rows = stages[0].right.size();
  std::vector<double> asked(stages.size(), 0);
  double right = 0;
  for (size_t row = 0; row < rows; ++row) {
    size_t stage = 0;
    while (stage + 1 < stages.size() && stages[stage].margins[row] < thresholds[stage]) ++asked[stage++];
    ++asked[stage];
    right += stages[stage].right[row] != 0 ? 1 : 0;
  }
  ThresholdChoice choice;
  choice.thresholds.assign(thresholds.begin(), thresholds.end());
  choice.accuracy = right / static_cast<double>(rows);
  for (size_t stage = 0; stage < stages.size(); ++stage) {
    choice.joules_a_query += asked[stage] / static_cast<double>(rows) * stages[stage].joules_a_query;
    if (stage > 0) choice.passed.push_back(asked[stage] / static_cast<double>(rows));
  }
  return choice;
}

}  // namespace

ThresholdChoice choose_thresholds(std::span<const StageTrial> stages, double target) {
  if (stages.size() < 2 || stages.size() > kMostStages)
    fail("thresholds of {} stages cannot be chosen; give a cascade of two to {}", stages.size(), kMostStages);
  const std::vector<char>& last = stages.back().right;
  if (last.empty()) fail("a threshold is to be chosen on no rows; give the cascade training rows");
  const double last_accuracy =
      static_cast<double>(std::ranges::count_if(last, [](char right) { return right != 0; })) /
      static_cast<double>(last.size());
  // Tries in all stay below some ten thousand.
  constexpr size_t kMost[] = {2000, 99, 19, 8};
  std::vector<std::vector<double>> candidates;
  for (size_t stage = 0; stage + 1 < stages.size(); ++stage)
    candidates.push_back(candidates_of(stages[stage].margins, kMost[stages.size() - 2]));
  ThresholdChoice best;
  best.joules_a_query = std::numeric_limits<double>::infinity();
  std::vector<size_t> places(candidates.size(), 0);
  std::vector<double> thresholds(candidates.size());
  for (;;) {
    for (size_t i = 0; i < places.size(); ++i) thresholds[i] = candidates[i][places[i]];
    ThresholdChoice choice = trial(stages, thresholds);
    if (choice.accuracy >= target * last_accuracy && choice.joules_a_query < best.joules_a_query)
      best = std::move(choice);
    size_t digit = 0;
    while (digit < places.size() && ++places[digit] == candidates[digit].size()) places[digit++] = 0;
    if (digit == places.size()) break;
  }
  best.last_accuracy = last_accuracy;
  return best;
}

std::unique_ptr<Contender> open_cascade(const Json& request) {
  RequestFields fields(request);
  const Json& list = fields.value("stages");
  const Json& given = fields.value("threshold");
  std::vector<double> thresholds;
  for (const Json& threshold : given.is_array() || given.is_null() ? given : Json::array({given})) {
    if (!threshold.is_number() || !(threshold.get<double>() >= 0))
      fail("`threshold` of a cascade holds {}; give a margin of probabilities, 0 to 1", threshold.dump());
    thresholds.push_back(threshold.get<double>());
  }
  fields.finish();
  if (!list.is_array()) fail("a cascade needs `stages`, a list of contenders");
  std::vector<std::unique_ptr<Contender>> stages;
  for (const Json& stage : list) {
    if (!stage.is_object() || stage.value("kind", "model") == "cascade" ||
        stage.value("kind", "model") == "empty")
      fail("a cascade's stage is {}; give a model, a command or a server", stage.dump());
    stages.push_back(open_contender(stage));
  }
  return std::make_unique<Cascade>(std::move(stages), std::move(thresholds));
}

}  // namespace wattle::inline study
