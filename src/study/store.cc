#include "study/store.h"

#include <algorithm>
#include <cstring>

#include <sqlite3.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "meter/energy_json.h"
#include "study/published.h"
#include "study/race_json.h"

namespace wattle::inline study {
namespace {

constexpr int kApplicationId = 0x57545434;  // "WTT4": tells a store from any other SQLite file
constexpr int kEarlierIds[] = {0x57545431, 0x57545432, 0x57545433};
// Where the empty contender stands, before the first of the plan's cells.
constexpr int kPlaceOfEmpty = -1;

constexpr const char* kSchema = R"sql(
CREATE TABLE IF NOT EXISTS study (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS truth (row INTEGER PRIMARY KEY, truth TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cells (
  key TEXT PRIMARY KEY, position INTEGER, rung TEXT, kind TEXT, model TEXT, precision TEXT,
  bits_per_weight REAL, note TEXT DEFAULT '', error TEXT DEFAULT '', published TEXT);
CREATE TABLE IF NOT EXISTS windows (
  id INTEGER PRIMARY KEY, cell TEXT NOT NULL, kind TEXT NOT NULL, round INTEGER, attempt INTEGER, queries INTEGER,
  energy TEXT NOT NULL, readings TEXT NOT NULL, readings_sha256 TEXT NOT NULL, latencies_ms BLOB, queries_a_latency INTEGER, peak_memory_bytes INTEGER, outputs_sha256 TEXT, conditions TEXT,
  disturbance REAL, accepted INTEGER, remark TEXT);
CREATE INDEX IF NOT EXISTS windows_of_cell ON windows (cell, kind, round);
CREATE TABLE IF NOT EXISTS outputs (cell TEXT, row INTEGER, answer TEXT NOT NULL, scores TEXT NOT NULL,
  PRIMARY KEY (cell, row)) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS energies AS SELECT windows.id, cells.rung, cells.precision, windows.kind, round, attempt, accepted, queries,
  json_extract(energy, '$.joules') AS joules, json_extract(energy, '$.low') AS low, json_extract(energy, '$.high') AS high,
  json_extract(energy, '$.idle_joules') AS idle_joules, json_extract(energy, '$.seconds') AS seconds, json_extract(energy, '$.grade') AS grade,
  json_extract(energy, '$.source') AS source, json_extract(energy, '$.scope') AS scope, json_extract(energy, '$.systematic') AS systematic
  FROM windows JOIN cells ON cells.key = windows.cell;
)sql";

}  // namespace

/// A prepared statement that is bound from left to right and finalised at the end of its scope.
class Store::Statement {
 public:
  Statement(const Store& store, const char* sql) : store_(store) {
    if (sqlite3_prepare_v2(store.database_, sql, -1, &statement_, nullptr) != SQLITE_OK) store_.fail_here();
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  Statement& bind(int64_t value) { return check(sqlite3_bind_int64(statement_, ++place_, value)); }
  Statement& bind(int value) { return bind(static_cast<int64_t>(value)); }
  Statement& bind(double value) { return check(sqlite3_bind_double(statement_, ++place_, value)); }
  Statement& bind(const std::string& value) {
    return check(
        sqlite3_bind_text64(statement_, ++place_, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  }
  Statement& bind(const std::vector<double>& values) {
    return check(sqlite3_bind_blob64(statement_, ++place_,
                                     values.empty() ? static_cast<const void*>("") : values.data(),
                                     values.size() * sizeof(double), SQLITE_TRANSIENT));
  }
  Statement& bind_null() { return check(sqlite3_bind_null(statement_, ++place_)); }

  bool step() {
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) store_.fail_here();
    return code == SQLITE_ROW;
  }
  void run() {
    step();
    sqlite3_reset(statement_);
    place_ = 0;
  }

  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }
  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes == nullptr ? std::string() : std::string(bytes, sqlite3_column_bytes(statement_, column));
  }
  std::vector<double> reals(int column) const {
    const auto bytes = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
    std::vector<double> values(bytes / sizeof(double));
    if (!values.empty())
      std::memcpy(values.data(), sqlite3_column_blob(statement_, column), values.size() * sizeof(double));
    return values;
  }

 private:
  Statement& check(int code) {
    if (code != SQLITE_OK) store_.fail_here();
    return *this;
  }

  const Store& store_;
  sqlite3_stmt* statement_ = nullptr;
  int place_ = 0;
};

void Store::fail_here() const {
  const std::string why = database_ == nullptr ? "no memory" : sqlite3_errmsg(database_);
  if (why.find("full") != std::string::npos) {
    fail("{}: the disk is full; make room and run the study again, it goes on where it stopped",
         path_.string());
  }
  fail("{}: the study's store cannot be used ({}); check the path and its permissions", path_.string(), why);
}

Store::Store(const std::filesystem::path& path, Mode mode) : path_(path) {
  const bool read_only = mode == Mode::kReadOnly;
  if (read_only && !std::filesystem::exists(path)) {
    fail("{}: there is no study; run `wattle study PLAN --out DIR` first", path.string());
  }
  const int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  try {
    if (sqlite3_open_v2(path.c_str(), &database_, flags, nullptr) != SQLITE_OK) fail_here();
    sqlite3_busy_timeout(database_, 10'000);
    Statement id(*this, "PRAGMA application_id");
    Statement tables(*this, "SELECT count(*) FROM sqlite_master");
    id.step(), tables.step();
    if (std::ranges::find(kEarlierIds, id.integer(0)) != std::end(kEarlierIds)) {
      fail(
          "{}: an earlier version wrote this study, with less of each window than is needed now; run it "
          "again "
          "with --restart or in another directory",
          path.string());
    }
    if (id.integer(0) != kApplicationId && (tables.integer(0) > 0 || read_only)) {
      fail("{}: this SQLite file is not a study; give the directory that `wattle study` wrote",
           path.string());
    }
    if (!read_only)
      execute(std::string(kSchema) + "PRAGMA application_id = " + std::to_string(kApplicationId));
  } catch (...) {
    sqlite3_close(database_);
    throw;
  }
}

Store::~Store() {
  sqlite3_close(database_);
}

void Store::execute(const std::string& sql) const {
  if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail_here();
}

void Store::transaction(const std::function<void()>& body) const {
  execute("BEGIN IMMEDIATE");
  try {
    body();
    execute("COMMIT");
  } catch (...) {
    sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

std::string Store::text(const std::string& name) const {
  Statement select(*this, "SELECT value FROM study WHERE name = ?");
  return select.bind(name).step() ? select.text(0) : std::string();
}

void Store::set_text(const std::string& name, const std::string& value) {
  Statement(*this, "INSERT OR REPLACE INTO study VALUES (?, ?)").bind(name).bind(value).run();
}

void Store::set_truths(const std::vector<std::string>& truths) {
  transaction([&] {
    execute("DELETE FROM truth");
    Statement insert(*this, "INSERT INTO truth VALUES (?, ?)");
    for (size_t row = 0; row < truths.size(); ++row)
      insert.bind(static_cast<int64_t>(row)).bind(truths[row]).run();
  });
}

void Store::set_cells(const std::vector<CellResult>& cells, const CellResult* empty) {
  transaction([&] {
    execute("UPDATE cells SET position = NULL");
    Statement upsert(
        *this,
        "INSERT INTO cells (key, position, rung, kind, model, precision) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
        "ON CONFLICT (key) DO UPDATE SET position = ?2, rung = ?3, kind = ?4, model = ?5, precision = ?6");
    const auto put = [&](const CellResult& cell, int position) {
      upsert.bind(cell.key).bind(position);
      upsert.bind(cell.rung).bind(cell.kind).bind(cell.model).bind(cell.precision).run();
    };
    int position = 0;
    for (const CellResult& cell : cells) put(cell, position++);
    if (empty != nullptr) put(*empty, kPlaceOfEmpty);
  });
}

void Store::set_description(const CellResult& cell) {
  Statement update(*this, "UPDATE cells SET bits_per_weight = ?, note = ?, error = ? WHERE key = ?");
  cell.bits_per_weight ? update.bind(*cell.bits_per_weight) : update.bind_null();
  update.bind(cell.note).bind(cell.error).bind(cell.key).run();
}

void Store::add_window(const std::string& cell, const Window& window, const std::vector<Output>& outputs,
                       const std::vector<std::string>& metrics) {
  transaction([&] {
    Statement insert(
        *this,
        "INSERT INTO windows (cell, kind, round, attempt, queries, energy, readings, readings_sha256, "
        "latencies_ms, queries_a_latency, peak_memory_bytes, outputs_sha256, conditions, disturbance, "
        "accepted, "
        "remark) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    insert.bind(cell).bind(window.kind).bind(window.round).bind(window.attempt).bind(window.queries);
    insert.bind(energy_json(window.energy).dump()).bind(window.readings).bind(window.readings_sha256);
    insert.bind(window.latencies_ms)
        .bind(window.queries_a_latency)
        .bind(window.peak_memory_bytes)
        .bind(window.outputs_sha256)
        .bind(window.conditions);
    insert.bind(window.disturbance).bind(static_cast<int>(window.accepted)).bind(window.remark).run();
    Statement insert_output(*this, "INSERT OR IGNORE INTO outputs VALUES (?, ?, ?, ?)");
    for (const Output& output : outputs) {
      nlohmann::ordered_json scores = nlohmann::ordered_json::object();
      for (size_t i = 0; i < output.scores.size(); ++i) scores[metrics.at(i)] = output.scores[i];
      insert_output.bind(cell).bind(output.row).bind(output.answer).bind(scores.dump()).run();
    }
  });
}

void Store::publish(const Results& results) {
  transaction([&] {
    Statement update(*this, "UPDATE cells SET published = ? WHERE key = ?");
    for (const CellResult& cell : results.cells)
      update.bind(published_figures(cell).dump()).bind(cell.key).run();
    if (results.empty) update.bind(published_figures(*results.empty).dump()).bind(results.empty->key).run();
  });
}

void Store::read_windows(CellResult& cell) const {
  Statement select(
      *this,
      "SELECT kind, round, attempt, queries, energy, latencies_ms, peak_memory_bytes, outputs_sha256, "
      "conditions, disturbance, accepted, remark, queries_a_latency, readings, readings_sha256 FROM windows "
      "WHERE cell = ? ORDER BY id");
  select.bind(cell.key);
  while (select.step()) {
    Window window;
    window.kind = select.text(0);
    window.round = static_cast<int>(select.integer(1));
    window.attempt = static_cast<int>(select.integer(2));
    window.queries = select.integer(3);
    window.energy = energy_from_json(nlohmann::json::parse(select.text(4)));
    window.latencies_ms = select.reals(5);
    window.peak_memory_bytes = select.integer(6);
    window.outputs_sha256 = select.text(7);
    window.conditions = select.text(8);
    window.disturbance = select.real(9);
    window.accepted = select.integer(10) != 0;
    window.remark = select.text(11);
    window.queries_a_latency = select.integer(12);
    window.readings = select.text(13);
    window.readings_sha256 = select.text(14);
    cell.samples.push_back(std::move(window));
  }
}

void Store::read_outputs(CellResult& cell, const Results& results) const {
  Statement select(*this, "SELECT row, answer, scores FROM outputs WHERE cell = ? ORDER BY row");
  select.bind(cell.key);
  while (select.step()) {
    const int64_t row = select.integer(0);
    if (row < 0 || row >= static_cast<int64_t>(results.truths.size())) {
      fail("{}: an answer to row {} has no such row; run the study again in a new directory", path_.string(),
           row);
    }
    Output& output = cell.outputs.emplace_back();
    output.row = row;
    output.answer = select.text(1);
    const auto scores = nlohmann::json::parse(select.text(2));
    for (const std::string& metric : results.plan.metrics)
      output.scores.push_back(scores.value(metric, std::vector<double>()));
  }
}

Results Store::read() const {
  Results results;
  results.plan = parse_plan(text("plan"), path_.string());
  results.machine = text("machine");
  results.began = text("began");
  results.complete = text("complete") == "1";
  results.train_rows = std::strtoll(text("train_rows").c_str(), nullptr, 10);
  try {
    const std::string labels = text("labels");
    if (!labels.empty()) results.labels = nlohmann::json::parse(labels).get<std::vector<std::string>>();
    if (const std::string race = text("race"); !race.empty())
      results.race = race_from_json(nlohmann::json::parse(race));
    Statement truth(*this, "SELECT truth FROM truth ORDER BY row");
    while (truth.step()) results.truths.push_back(truth.text(0));
    Statement cells(*this,
                    "SELECT key, rung, kind, model, precision, bits_per_weight, note, error, published, "
                    "position FROM cells "
                    "WHERE position IS NOT NULL ORDER BY position");
    while (cells.step()) {
      CellResult& cell =
          cells.integer(9) == kPlaceOfEmpty ? results.empty.emplace() : results.cells.emplace_back();
      cell.key = cells.text(0), cell.rung = cells.text(1), cell.kind = cells.text(2),
      cell.model = cells.text(3);
      cell.precision = cells.text(4);
      if (!cells.is_null(5)) cell.bits_per_weight = cells.real(5);
      cell.note = cells.text(6), cell.error = cells.text(7);
      if (!cells.is_null(8)) take_published_figures(nlohmann::ordered_json::parse(cells.text(8)), cell);
      read_windows(cell);
      read_outputs(cell, results);
    }
  } catch (const nlohmann::json::exception& error) {
    fail("{}: the store is damaged ({}); run the study again in a new directory", path_.string(),
         error.what());
  }
  return results;
}

bool Store::has_window(const std::string& cell, const std::string& kind, int round) const {
  Statement select(
      *this, "SELECT 1 FROM windows WHERE cell = ? AND kind = ? AND round = ? AND accepted = 1 LIMIT 1");
  return select.bind(cell).bind(kind).bind(round).step();
}

std::vector<int> Store::finished_rounds(const std::string& cell) const {
  Statement select(*this,
                   "SELECT DISTINCT round FROM windows WHERE cell = ? AND kind = 'queries' AND accepted = 1 "
                   "ORDER BY round");
  select.bind(cell);
  std::vector<int> rounds;
  while (select.step()) rounds.push_back(static_cast<int>(select.integer(0)));
  return rounds;
}

Results load_results(const std::filesystem::path& path) {
  const Store store(std::filesystem::is_directory(path) ? path / "study.db" : path, Store::Mode::kReadOnly);
  return store.read();
}

}  // namespace wattle::inline study
