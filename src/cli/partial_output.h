#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace wattle {

/// Lines that are kept while they are written, and that appear whole under their name at the end. Until then
/// they lie in NAME.partial, beside a record (NAME.partial.json) of what wrote them and of how far it came;
/// the same work goes on from there after Ctrl-C or a crash. Only one process at a time may write them.
class PartialOutput {
 public:
  /// `identity` says what the lines follow from, a text by key; the same work has the same. Error when there
  /// are lines of other work (naming the keys that differ), when the lines are fewer than the record says,
  /// and when the file cannot be written.
  PartialOutput(const std::filesystem::path& name, const nlohmann::ordered_json& identity);
  PartialOutput(const PartialOutput&) = delete;
  PartialOutput& operator=(const PartialOutput&) = delete;
  /// Leaves what checkpoint() kept; nothing when there was none.
  ~PartialOutput();

  /// What checkpoint() was given last, by this process or an earlier one; null at the beginning.
  const nlohmann::json& state() const { return state_; }
  std::filesystem::path place() const { return partial_; }

  void write(std::string_view line);
  /// The lines until now are kept, with `state`, which is not null: on the disk when this returns.
  void checkpoint(const nlohmann::json& state);
  /// Puts the lines under their name and removes the record.
  void commit();

 private:
  void open();
  /// Error when the lines that are there are not the beginning of this work.
  void resume();
  void begin();
  void flush();
  void save();
  void remove() const;
  [[noreturn]] void fail_to_write(int code) const;

  std::filesystem::path name_, partial_, record_;
  nlohmann::json identity_, state_;
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  uint64_t bytes_ = 0;  ///< written until now
};

}  // namespace wattle
