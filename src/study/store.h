#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <wattle/study.h>

struct sqlite3;

namespace wattle::inline study {

/// The SQLite file of a study (schema in store.cc). Every call is one transaction, so that a process ended at
/// any moment leaves whole windows behind.
class Store {
 public:
  /// Opens or makes `path`. Error when it is not a store of this program or cannot be written.
  enum class Mode { kReadWrite, kReadOnly };
  Store(const std::filesystem::path& path, Mode mode);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();

  /// A named text of the study: "plan", "machine", "began", "labels", "train_rows", "race", "complete". Empty
  /// when not set.
  std::string text(const std::string& name) const;
  void set_text(const std::string& name, const std::string& value);

  /// Of every evaluation row, as JSON.
  void set_truths(const std::vector<std::string>& truths);
  /// Sets which cells the study has now, in order, and its empty contender, where it has one; what is known
  /// of others stays in the file unseen.
  void set_cells(const std::vector<CellResult>& cells, const CellResult* empty = nullptr);
  /// Bits per weight, note, error of one cell.
  void set_description(const CellResult& cell);
  /// A window and the first answers to rows, together; `metrics` are those of the outputs' scores.
  void add_window(const std::string& cell, const Window& window, const std::vector<Output>& outputs = {},
                  const std::vector<std::string>& metrics = {});
  /// Figures as published, for `report --verify`.
  void publish(const Results& results);

  /// Everything, with the figures as published (none for cells that never were).
  Results read() const;
  bool has_window(const std::string& cell, const std::string& kind, int round) const;
  /// Rounds of a cell that have an accepted window of queries.
  std::vector<int> finished_rounds(const std::string& cell) const;

 private:
  class Statement;
  void execute(const std::string& sql) const;
  void transaction(const std::function<void()>& body) const;
  [[noreturn]] void fail_here() const;
  void read_windows(CellResult& cell) const;
  void read_outputs(CellResult& cell, const Results& results) const;

  std::filesystem::path path_;
  sqlite3* database_ = nullptr;
};

}  // namespace wattle::inline study
