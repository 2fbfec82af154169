#include "cli/row_writer.h"

#include <cstdio>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <wattle/error.h>

#include "meter/energy_json.h"

#include "tasks/json.h"

namespace wattle {
namespace {

constexpr double kWindowSeconds = 1;
constexpr std::array kPhaseNames = {"tokenize", "prefill", "decode", "post"};
static_assert(kPhaseNames.size() == kPhases.size());

/// The totals in the record of an unfinished run.
nlohmann::ordered_json totals_record(const RunTotals& totals) {
  const Work& work = totals.work;
  const Phases& phases = totals.phases;
  return {{"rows", totals.rows},
          {"truncated", totals.truncated},
          {"longest", {totals.longest.tokens, totals.longest.limit, totals.longest_id}},
          {"work",
           {work.macs_int8, work.macs_bf16, work.macs_fp32, work.weight_bytes, work.activation_bytes,
            work.tokens_in, work.tokens_out}},
          {"phases", {phases.tokenize, phases.prefill, phases.decode, phases.post}},
          {"seconds", totals.seconds},
          {"energy", energy_json(*totals.energy)}};
}

RunTotals totals_from_record(const nlohmann::json& record, const std::filesystem::path& place) {
  try {
    RunTotals totals;
    totals.rows = record.at("rows");
    totals.truncated = record.at("truncated");
    const auto& longest = record.at("longest");
    totals.longest.tokens = longest.at(0);
    totals.longest.limit = longest.at(1);
    totals.longest_id = longest.at(2);
    const auto& work = record.at("work");
    totals.work = {work.at(0), work.at(1), work.at(2), work.at(3), work.at(4), work.at(5), work.at(6)};
    const auto& phases = record.at("phases");
    totals.phases = {phases.at(0), phases.at(1), phases.at(2), phases.at(3)};
    totals.seconds = record.at("seconds");
    totals.energy = energy_from_json(record.at("energy"));
    return totals;
  } catch (const std::exception&) {
    fail("{}: its record is damaged; remove {}.json and it, or choose another name for the output",
         place.string(), place.filename().string());
  }
}

}  // namespace

std::string truncation_notice(int64_t rows, const Truncation& longest, const std::string& longest_row) {
  return fmt::format(
      "{} longer than the {} tokens that there is room for and {} cut; the longest, {}, has {}",
      rows == 1 ? "1 row was" : fmt::format("{} rows were", rows), longest.limit, rows == 1 ? "was" : "were",
      longest_row, longest.tokens);
}

nlohmann::ordered_json phases_json(const RowEnergy& energy) {
  nlohmann::ordered_json json;
  for (size_t i = 0; i < kPhaseNames.size(); ++i) json[kPhaseNames[i]] = energy.phase_joules[i];
  return json;
}

RowWriter::RowWriter(Task& task, Meter& meter, const std::string& output,
                     const nlohmann::ordered_json& identity)
    : task_(task), meter_(meter) {
  if (output.empty()) return;
  file_.emplace(output, identity);
  if (!file_->state().is_null()) totals_ = totals_from_record(file_->state(), file_->place());
  done_ = totals_.rows;
}

void RowWriter::answer(std::span<const Question> questions) {
  if (!window_) {
    window_ = meter_.begin();
    window_watch_.lap();
  }
  std::vector<Answer> answers;
  try {
    answers = task_.answer(questions);
  } catch (...) {
    forget_window();  // its joules are not those of its finished rows alone
    throw;
  }
  BatchRecord& batch = batches_.emplace_back();
  batch.stretches.assign(task_.stretches().begin(), task_.stretches().end());
  for (const Answer& answer : answers) batch.rows.push_back(answer.phases);
  questions_.insert(questions_.end(), questions.begin(), questions.end());
  std::move(answers.begin(), answers.end(), std::back_inserter(answers_));
  if (window_watch_.seconds() >= kWindowSeconds) end_window();
}

void RowWriter::end_window() {
  if (!window_) return;
  Work work;
  for (const Answer& answer : answers_) work += answer.work;
  const Energy energy = meter_.end(window_, &work);
  window_ = nullptr;
  totals_.seconds += energy.seconds;
  totals_.energy = totals_.energy ? *totals_.energy + energy : energy;
  totals_.work += work;
  const std::vector<RowEnergy> parts = divide_window(meter_, energy, batches_);
  for (size_t i = 0; i < answers_.size(); ++i) {
    write(questions_[i], answers_[i], parts[i]);
    totals_.rows += 1;
    count_truncation(questions_[i], answers_[i].truncation);
    totals_.phases.tokenize += answers_[i].phases.tokenize;
    totals_.phases.prefill += answers_[i].phases.prefill;
    totals_.phases.decode += answers_[i].phases.decode;
    totals_.phases.post += answers_[i].phases.post;
  }
  forget_window();
  // A summary is of all rows that the task has seen: such a task cannot go on in another run.
  if (file_ && task_.summary().is_null()) file_->checkpoint(totals_record(totals_));
  done_ = totals_.rows;
}

void RowWriter::forget_window() {
  window_ = nullptr;
  questions_.clear();
  answers_.clear();
  batches_.clear();
}

std::string RowWriter::keep() {
  end_window();
  if (!file_) return {};
  if (file_->state().is_null()) return "; nothing was written";
  return fmt::format("; they are kept in {}, and the same command goes on from there",
                     file_->place().string());
}

void RowWriter::count_truncation(const Question& question, const Truncation& truncation) {
  if (!truncation.happened()) return;
  totals_.truncated += 1;
  if (truncation.tokens <= totals_.longest.tokens) return;
  totals_.longest = truncation;
  totals_.longest_id = question.id;
}

void RowWriter::write(const Question& question, const Answer& answer, const RowEnergy& part) {
  const Energy& energy = part.energy;
  nlohmann::ordered_json object;
  object["id"] = nlohmann::ordered_json::parse(question.id);
  object.update(to_json(answer));
  if (answer.truncation.happened()) object["truncated"] = true;
  object["energy_joules"] = energy.joules;
  object["energy_low"] = energy.low;
  object["energy_high"] = energy.high;
  object["grade"] = name(energy.grade);
  object["energy_phases"] = phases_json(part);
  object["seconds"] = {{"tokenize", answer.phases.tokenize},
                       {"prefill", answer.phases.prefill},
                       {"decode", answer.phases.decode},
                       {"post", answer.phases.post}};
  const std::string line = object.dump() + "\n";
  if (file_) {
    file_->write(line);
  } else {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
  }
}

RunTotals RowWriter::finish() {
  end_window();
  if (file_) file_->commit();
  return totals_;
}

}  // namespace wattle
