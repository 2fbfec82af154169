#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <numeric>
#include <set>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/output_file.h"
#include "models/shapes.h"
#include "study/cells.h"
#include "study/race_json.h"
#include "study/scoring.h"
#include "study/store.h"
#include "study/window_json.h"
#include "study/worker_process.h"
#include "tasks/json.h"

namespace wattle::inline study {
namespace {

std::string label_of(const CellResult& cell) {
  return cell.precision.empty() ? cell.rung : cell.rung + " " + cell.precision;
}

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

/// Two studies in one directory would spoil each other's measurements.
class DirectoryLock {
 public:
  explicit DirectoryLock(const fs::path& directory) {
    const fs::path path = directory / "lock";
    file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file_ < 0) fail("{}: cannot be written; give another directory with --out", directory.string());
    if (flock(file_, LOCK_EX | LOCK_NB) != 0) {
      close(file_);
      fail("{}: another `wattle study` runs in this directory; wait for it or give another --out",
           directory.string());
    }
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock() { close(file_); }

 private:
  int file_ = -1;
};

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// As the worker reads its rows.
Json questions_json(const std::vector<Question>& questions) {
  Json rows = Json::array();
  for (const Question& question : questions) rows.push_back(question_to_json(question));
  return rows;
}

std::vector<double> percents_of(const Json& shares) {
  std::vector<double> percents;
  for (const Json& share : shares) percents.push_back(100 * share.get<double>());
  return percents;
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

fs::path made(const fs::path& directory) {
  std::error_code code;
  fs::create_directories(directory / "prepared", code);
  if (code)
    fail("{}: cannot be made ({}); give another directory with --out", directory.string(), code.message());
  return directory;
}

/// Whether a preparation's record is there and has the raw samples that earlier versions did not keep. What
/// cannot be read at all is said later.
bool is_record_of_now(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return false;
  const auto record = nlohmann::json::parse(file, nullptr, false);
  return !record.is_object() || record.value("window", record).contains("readings");
}

class Runner {
 public:
  Runner(const Plan& plan, const StudyOptions& options)
      : plan_(plan),
        options_(options),
        lock_(made(options.directory)),
        data_(read_data(plan, options.resolve_data)),
        scorer_(plan_task(plan), plan.metrics, data_.labels(), data_.truths),
        store_(fresh(options.directory / "study.db", options.restart), Store::Mode::kReadWrite) {}

  Results run();

 private:
  static fs::path fresh(const fs::path& path, bool restart) {
    if (restart) fs::remove(path), fs::remove(path.string() + "-journal");
    return path;
  }

  void begin();
  void set_cells();
  void prepare(Preparation& preparation);
  void prepare_all();
  void run_round(int round);
  void run_race();
  Results measured_so_far(bool all_metrics) const;
  void show() const;
  void run_window(Cell& cell, int round);
  std::vector<Window> measure_until_quiet(WorkerProcess& worker, const Cell& cell, int round, Json& answers);
  std::vector<Output> score(const Cell& cell, const std::vector<int64_t>& rows, const Json& answers);
  void add_rows(const Preparation& preparation, Json& request) const;
  void take_threshold(const Preparation& preparation, const nlohmann::json& choice);
  std::vector<std::pair<Cell*, int>> users_of(const Preparation& preparation);
  void keep_window(const Preparation& preparation, Window window, int more = 0);
  bool needs_more_rounds();
  void give_up(Cell& cell, const std::string& sentence);
  Json configure(WorkerProcess& worker, const std::string& meter);
  void report(const std::string& what);
  double seconds_left() const;

  /// `meter`: of a contender that has its own; empty: the plan's.
  std::unique_ptr<WorkerProcess> new_worker(const std::string& meter = "") {
    auto worker = std::make_unique<WorkerProcess>(
        std::vector<std::string>{options_.program.string(), "worker"}, options_.directory / "worker.log");
    configure(*worker, meter.empty() ? plan_.meter : meter);
    return worker;
  }
  void notice(const std::string& line) const {
    if (options_.notice) options_.notice(line);
  }

  const Plan& plan_;
  const StudyOptions& options_;
  DirectoryLock lock_;
  StudyData data_;
  Scorer scorer_;
  Store store_;
  CellPlan work_;
  Cell empty_ = empty_cell();
  std::vector<std::vector<int64_t>> parts_;
  std::map<std::string, std::vector<double>> seconds_of_;  ///< by cell: each round so far
  std::map<std::string, bool> wanted_;                     ///< cells that the current extra round measures
  Race race_;
  bool said_meter_notice_ = false;
  int done_ = 0, total_ = 0;
};

void Runner::begin() {
  const std::string yaml = to_yaml(plan_), before = store_.text("plan");
  if (!before.empty() && (before != yaml || store_.text("data") != data_.sha256)) {
    fail("{}: holds a study of {}; give another --out, or --restart to measure everything again",
         options_.directory.string(), before != yaml ? "another plan" : "other data");
  }
  if (before.empty()) {
    store_.set_text("data", data_.sha256);
    store_.set_text("began", now_utc());
    store_.set_text("labels", text_of(data_.labels()));
    store_.set_text("train_rows", std::to_string(data_.train.rows.size()));
    std::vector<std::string> truths;
    for (const Truth& truth : data_.truths) truths.push_back(text_of(truth_json(truth)));
    store_.set_truths(truths);
    store_.set_text("plan", yaml);
  }
  for (const std::string& remark : data_.remarks) notice(remark);
  work_ = plan_cells(plan_, data_, options_);
  parts_ = deal_rows(data_.questions, plan_.rounds);
  set_cells();
  show();
}

void Runner::set_cells() {
  std::vector<CellResult> results;
  for (const Cell& cell : work_.cells) results.push_back(cell.result);
  store_.set_cells(results, &empty_.result);
}

Json Runner::configure(WorkerProcess& worker, const std::string& meter) {
  const Json answer = worker.ask(
      {{"verb", "configure"}, {"threads", plan_.threads}, {"isa", options_.isa}, {"meter", meter}}, 60);
  if (store_.text("machine").empty()) store_.set_text("machine", answer.at("machine").dump());
  const std::string line = answer.at("notice");
  if (!line.empty() && !said_meter_notice_) notice(line);
  said_meter_notice_ = true;
  return answer;
}

/// What a worker needs of the training rows beside the preparation's own request.
void Runner::add_rows(const Preparation& preparation, Json& request) const {
  std::vector<std::string> texts, truths;
  std::vector<Question> questions;
  for (const size_t row : preparation.rows) {
    questions.push_back(data_.train.rows[row]);
    if (data_.columns.empty()) texts.push_back(questions.back().text());
    if (preparation.kind == "threshold")
      truths.push_back(data_.labels()[static_cast<size_t>(data_.train.labels[row])]);
  }
  if (preparation.kind == "train" && data_.columns.empty()) request["texts"] = std::move(texts);
  if (preparation.kind == "train" && !data_.columns.empty()) request["rows"] = questions_json(questions);
  if (preparation.kind != "threshold") return;
  request["rows"] = questions_json(questions);
  request["truths"] = std::move(truths);
  request["warm_up_seconds"] = plan_.warm_up_seconds;
}

/// The cells that a preparation is for, each with its place among their preparations of that kind.
std::vector<std::pair<Cell*, int>> Runner::users_of(const Preparation& preparation) {
  std::vector<std::pair<Cell*, int>> users;
  for (Cell& cell : work_.cells) {
    const std::set<size_t> needs(cell.needs.begin(), cell.needs.end());
    int nth = 0;
    for (const size_t place : needs) {
      const Preparation& needed = work_.preparations[place];
      if (&needed == &preparation) users.emplace_back(&cell, nth);
      nth += needed.kind == preparation.kind ? 1 : 0;
    }
  }
  return users;
}

void Runner::take_threshold(const Preparation& preparation, const nlohmann::json& choice) {
  for (const auto& [cell, nth] : users_of(preparation)) {
    cell->open["threshold"] = choice.at("threshold");
    cell->result.note =
        fmt::format("hands on where the margin is below {:.3g}, of {} training rows held out {:.0f} %",
                    fmt::join(choice.at("threshold").get<std::vector<double>>(), ", "),
                    preparation.rows.size(), fmt::join(percents_of(choice.at("passed_on")), " %, "));
  }
}

/// A window of a preparation, once in each cell that it is for; `more`: windows of the same before it.
void Runner::keep_window(const Preparation& preparation, Window window, int more) {
  window.kind = preparation.kind;
  for (const auto& [cell, nth] : users_of(preparation)) {
    window.round = nth + more;
    if (!store_.has_window(cell->result.key, window.kind, window.round))
      store_.add_window(cell->result.key, window, {});
  }
}

void Runner::prepare(Preparation& preparation) {
  const bool has_file = preparation.kind != "threshold";
  const fs::path record = preparation.path.string() + ".json";
  if ((has_file && !fs::exists(preparation.path)) || !is_record_of_now(record)) {
    Json request = preparation.request;
    add_rows(preparation, request);
    const auto worker = new_worker();
    nlohmann::json load;
    if (!preparation.open.is_null())
      load = worker->ask(preparation.open, plan_.time_limit_seconds).at("window");
    nlohmann::json answer = worker->ask(request, plan_.time_limit_seconds);
    if (!load.is_null()) answer["load"] = std::move(load);
    OutputFile file(record);
    file.write(has_file ? answer.at("window").dump() : answer.dump());
    file.commit();
  }
  std::ifstream file(record);
  const auto kept = nlohmann::json::parse(file);
  if (has_file) return keep_window(preparation, window_from_json(kept));
  take_threshold(preparation, kept);
  keep_window(preparation, window_from_json(kept.at("load")));
  keep_window(preparation, window_from_json(kept.at("window")), 1);
}

void Runner::prepare_all() {
  for (size_t place = 0; place < work_.preparations.size(); ++place) {
    report(work_.preparations[place].what);
    std::string sentence;
    try {
      prepare(work_.preparations[place]);
    } catch (const Error& error) {
      if (error.exit_status() == 130) throw;
      sentence = error.what();
    } catch (const nlohmann::json::exception& error) {
      sentence = fmt::format("{}.json is damaged; remove it and run the study again",
                             work_.preparations[place].path.string());
    }
    ++done_;
    if (sentence.empty()) continue;
    for (Cell& cell : work_.cells) {
      if (std::count(cell.needs.begin(), cell.needs.end(), place) > 0 && cell.result.error.empty())
        give_up(cell, sentence);
    }
  }
  for (Cell& cell : work_.cells) {
    if (!cell.result.error.empty()) {
      store_.set_description(cell.result);
      continue;
    }
    try {
      describe_weights(cell);
      store_.set_description(cell.result);
    } catch (const Error& error) {
      give_up(cell, error.what());
    }
  }
  set_cells();
}

void Runner::give_up(Cell& cell, const std::string& sentence) {
  cell.result.error = sentence;
  store_.set_description(cell.result);
  show();
  notice(fmt::format("{}: {}", label_of(cell.result), sentence));
}

std::vector<Window> Runner::measure_until_quiet(WorkerProcess& worker, const Cell& cell, int round,
                                                Json& answers) {
  const std::vector<int64_t>& part = parts_[static_cast<size_t>(round) % parts_.size()];
  std::vector<Question> questions;
  for (const int64_t row : part) questions.push_back(data_.questions[static_cast<size_t>(row)]);
  const Json rows = questions_json(questions);
  std::vector<Window> windows;
  for (int attempt = 0; attempt < plan_.attempts; ++attempt) {
    const auto answer = worker.ask({{"verb", "measure"},
                                    {"rows", rows},
                                    {"window_seconds", plan_.window_seconds},
                                    {"warm_up_seconds", attempt == 0 ? plan_.warm_up_seconds : 0}},
                                   plan_.time_limit_seconds);
    Window window = window_from_json(answer.at("window"));
    answers = answer.at("answers");
    window.round = round;
    window.attempt = attempt;
    const std::string& invalid = window.energy.invalid;
    window.accepted = invalid.empty() && window.disturbance <= plan_.disturbance;
    if (!window.accepted) {
      window.remark = !invalid.empty() ? fmt::format("the energy is not to be believed: {}", invalid)
                                       : fmt::format("others took {:.0f} % of the processors' time",
                                                     100 * window.disturbance);
      // Where windows are not repeated a marked one is no news: the report counts them.
      if (plan_.attempts > 1 || !invalid.empty()) {
        notice(fmt::format(
            "{}, round {}: {}; {}", label_of(cell.result), round + 1, window.remark,
            attempt + 1 < plan_.attempts ? "measured again" : "the quietest window is kept and marked"));
      }
    }
    windows.push_back(std::move(window));
    if (windows.back().accepted) return windows;
  }
  const auto best = std::min_element(windows.begin(), windows.end(), [](const Window& a, const Window& b) {
    return std::pair(!a.energy.invalid.empty(), a.disturbance) <
           std::pair(!b.energy.invalid.empty(), b.disturbance);
  });
  if (!best->energy.invalid.empty()) {
    fail("no window of {} attempts has an energy to believe: {}; `wattle doctor` tells what the meter reads",
         plan_.attempts, best->energy.invalid);
  }
  best->accepted = true;
  return windows;
}

std::vector<Output> Runner::score(const Cell& cell, const std::vector<int64_t>& rows, const Json& answers) {
  std::vector<Output> outputs;
  // What pseudo-random weights answer says nothing.
  if (&cell == &empty_ || is_shape(cell.weights.string())) return outputs;
  if (answers.size() != rows.size())
    fail("the worker answered {} of {} rows; please report this", answers.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i)
    outputs.push_back(scorer_.score(rows[i], answers[i], &data_.questions[static_cast<size_t>(rows[i])]));
  return outputs;
}

void Runner::run_window(Cell& cell, int round) {
  report(fmt::format("round {}, {}", round + 1, label_of(cell.result)));
  const auto begin = Clock::now();
  const auto worker = new_worker(cell.rung == nullptr ? "" : cell.rung->meter);
  Window load = window_from_json(worker->ask(cell.open, plan_.time_limit_seconds).at("window"));
  load.round = round;
  Json answers;
  const std::vector<Window> windows = measure_until_quiet(*worker, cell, round, answers);
  const std::vector<Output> outputs =
      score(cell, parts_[static_cast<size_t>(round) % parts_.size()], answers);
  store_.add_window(cell.result.key, load);
  for (const Window& window : windows) store_.add_window(cell.result.key, window, outputs, plan_.metrics);
  seconds_of_[cell.result.key].push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  show();
}

void Runner::run_round(int round) {
  const auto n_cells = static_cast<int64_t>(work_.cells.size());
  for (const int64_t place : order_of_round(n_cells + 1, plan_.seed, round)) {
    Cell& cell = place == n_cells ? empty_ : work_.cells[static_cast<size_t>(place)];
    if (!cell.result.error.empty() || race_.stopped.contains(cell.result.key)) continue;
    if (!options_.race && round >= plan_.rounds && !wanted_[cell.result.key]) continue;
    const std::vector<int> finished = store_.finished_rounds(cell.result.key);
    if (std::count(finished.begin(), finished.end(), round) == 0) {
      try {
        run_window(cell, round);
      } catch (const Error& error) {
        if (error.exit_status() == 130) throw;
        give_up(cell, error.what());
      }
    }
    ++done_;
  }
}

/// Between rounds the metric that decides is enough: the others' intervals take time.
Results Runner::measured_so_far(bool all_metrics) const {
  Results results = store_.read();
  if (!all_metrics) results.plan.metrics.resize(1);
  summarise(results);
  return results;
}

void Runner::show() const {
  if (options_.measured) options_.measured(measured_so_far(false));
}

/// Rounds until the rules see no need of another one, or time is up. What was looked at is kept with every
/// round, so that a race that goes on decides as one that was never interrupted.
void Runner::run_race() {
  const RaceRules& rules = *options_.race;
  if (const std::string before = store_.text("race"); !before.empty())
    race_ = race_from_json(nlohmann::json::parse(before));
  if (race_.rules != rules.name) race_.stopped.clear();
  if (race_.rules != rules.name || race_.out_of_time) {
    race_.ended.clear();
    race_.decided = race_.out_of_time = false;
  }
  race_.rules = rules.name;
  const auto began = Clock::now();
  while (race_.ended.empty()) {
    const auto began_round = Clock::now();
    done_ = 0;
    total_ = static_cast<int>(work_.cells.size() + 1 - race_.stopped.size());
    store_.set_text("complete", "0");
    run_round(race_.rounds);
    ++race_.rounds;
    rules.look(measured_so_far(false), race_);
    const std::chrono::duration<double> passed = Clock::now() - began, last = Clock::now() - began_round;
    if (race_.ended.empty() && (passed + last).count() > rules.seconds) {
      race_.out_of_time = true;
      race_.ended = "The time limit ended the race; the same command goes on with it.";
    }
    store_.set_text("race", text_of(race_json(race_)));
    show();
  }
}

/// Marks the cells whose energy still varies too much between windows.
bool Runner::needs_more_rounds() {
  const Results results = measured_so_far(false);
  wanted_.clear();
  for (const CellResult& cell : results.cells) {
    if (cell.error.empty() && cell.wh_per_1000 && !(cell.wh_statistical <= plan_.interval))
      wanted_[cell.key] = true;
  }
  total_ += static_cast<int>(wanted_.size());
  return !wanted_.empty();
}

double Runner::seconds_left() const {
  double known = 0, cells_known = 0;
  for (const auto& [key, seconds] : seconds_of_) {
    known += std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(seconds.size());
    ++cells_known;
  }
  // Before half of the cells ran once, a guess would mislead: they differ by orders of magnitude.
  if (2 * cells_known < static_cast<double>(work_.cells.size())) return -1;
  return known / cells_known * (total_ - done_);
}

void Runner::report(const std::string& what) {
  throw_if_interrupted();
  if (options_.progress) options_.progress({what, done_, total_, seconds_left()});
}

Results Runner::run() {
  begin();
  total_ = static_cast<int>(work_.preparations.size() +
                            (work_.cells.size() + 1) * static_cast<size_t>(plan_.rounds));
  prepare_all();
  if (options_.race) {
    run_race();
  } else {
    store_.set_text("race", "");  // every cell is measured in full now
    for (int round = 0; round < plan_.rounds; ++round) run_round(round);
    for (int round = plan_.rounds; round < plan_.max_rounds && needs_more_rounds(); ++round) run_round(round);
  }
  store_.set_text("complete", "1");
  const Results results = measured_so_far(true);
  store_.publish(results);
  return results;
}

}  // namespace

Results run_study(const Plan& plan, const StudyOptions& options) {
  return Runner(plan, options).run();
}

}  // namespace wattle::inline study
