#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "file/metadata.h"

namespace wattle::inline families {

/// Reads a model's config.json into metadata under GGUF's keys, and remembers what was read: what nobody
/// asked for is announced. Errors name the file, the key and what is known.
class ConfigReader {
 public:
  /// `config` is the whole file, or its text part.
  ConfigReader(const JsonView& config, std::string architecture, Metadata& metadata);

  const JsonView& json() const { return config_; }
  const std::string& origin() const { return config_.origin(); }

  /// The value, which is also set as <arch>.TO. Without a fallback: Error when the file lacks it. Integers
  /// are 0 to 2^32 - 1.
  int64_t integer(const std::string& from, std::string_view to);
  int64_t integer(const std::string& from, std::string_view to, int64_t fallback);
  /// Set only where the file has it.
  void integer_if_there(const std::string& from, std::string_view to);
  double number(const std::string& from, std::string_view to);
  double number(const std::string& from, std::string_view to, double fallback);
  bool flag(const std::string& from, std::string_view to, bool fallback);
  std::string word(const std::string& from, std::string_view to, const std::string& fallback);

  // The value alone.
  int64_t integer_of(const std::string& from, int64_t fallback);
  double number_of(const std::string& from, double fallback);
  bool flag_of(const std::string& from, bool fallback);
  std::string word_of(const std::string& from, const std::string& fallback);
  /// Whether the file has a value that is not null.
  bool has(const std::string& from) const { return config_.find(from) != nullptr; }
  JsonView child(const std::string& from);

  /// Error unless the file lacks the key or has this value: how else the family could compute is not known.
  void expect(const std::string& from, const nlohmann::json& value);
  /// The activation function, checked, as <arch>.hidden_activation.
  void activation(const std::string& from, const std::string& fallback);
  /// Keys that do not touch what is computed here.
  void ignore(std::initializer_list<const char*> keys);

  void set(std::string_view to, Value value);
  /// A key that is not the architecture's own ("tokenizer.ggml.token_type_count").
  void set_global(const std::string& key, Value value) { metadata_.set(key, std::move(value)); }
  /// A vector that the configuration stands for and GGUF keeps as a tensor (rope_freqs.weight).
  void add_tensor(std::string name, std::vector<float> values) {
    made_.emplace_back(std::move(name), std::move(values));
  }
  const std::vector<std::pair<std::string, std::vector<float>>>& made_tensors() const { return made_; }
  /// Whether the output matrix is the token embedding (tie_word_embeddings).
  void tied(bool fallback) { tied_ = flag_of("tie_word_embeddings", fallback); }
  bool is_tied() const { return tied_; }

  /// Keys that were asked for, whether the file has them or not.
  const std::set<std::string>& read() const { return read_; }
  /// Keys of the file that nobody read, without those that only training or other libraries read.
  std::vector<std::string> unread() const;

 private:
  JsonView config_;
  std::string architecture_;
  Metadata& metadata_;
  std::set<std::string> read_, ignored_;
  std::vector<std::pair<std::string, std::vector<float>>> made_;
  bool tied_ = false;
};

}  // namespace wattle::inline families
