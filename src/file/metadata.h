#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace wattle::inline file {

/// Types of GGUF metadata values, with the specification's numbers.
enum class ValueType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// "u8", ..., "string", "array", "f64".
std::string_view name(ValueType type);

/// One metadata value, with the type it had in the file so that writing gives the same bytes.
/// Integers are widened to int64 (u64 beyond that range is refused on reading), floats to double.
struct Value {
  using Scalar = std::variant<int64_t, double, bool, std::string>;
  using Array =
      std::variant<std::vector<int64_t>, std::vector<double>, std::vector<bool>, std::vector<std::string>>;

  ValueType type = ValueType::kU32;          ///< kArray for arrays
  ValueType element_type = ValueType::kU32;  ///< for arrays
  std::variant<Scalar, Array> data;

  static Value of(std::string text);
  static Value of(int64_t number, ValueType type = ValueType::kU32);
  static Value of(double number);  ///< stored as f32
  static Value of(bool flag);
  static Value of(std::vector<std::string> strings);
  static Value of(std::vector<int64_t> numbers, ValueType element_type = ValueType::kI32);
  static Value of(std::vector<double> numbers);  ///< stored as f32
};

/// Ordered key-value pairs in GGUF's vocabulary ("general.architecture", "llama.block_count",
/// "tokenizer.ggml.model"). Hugging Face folders are translated into this vocabulary when they are opened, so
/// nothing right of `file` sees a second one.
class Metadata {
 public:
  explicit Metadata(std::string origin = {}) : origin_(std::move(origin)) {}

  /// Appends, or replaces the value of a key that is there already.
  void set(std::string key, Value value);
  bool erase(std::string_view key);
  const Value* find(std::string_view key) const;
  const std::vector<std::pair<std::string, Value>>& entries() const { return entries_; }

  /// The value, or nullopt when the key is absent; Error naming file and key when it has another type.
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  /// Empty when the key is absent.
  std::span<const std::string> strings(std::string_view key) const;
  std::span<const int64_t> integers(std::string_view key) const;
  std::span<const double> numbers(std::string_view key) const;

  /// As above, but Error naming file and key when it is absent.
  int64_t need_integer(std::string_view key) const;
  double need_number(std::string_view key) const;
  std::string need_text(std::string_view key) const;

  /// The path for error sentences.
  const std::string& origin() const { return origin_; }

 private:
  std::string origin_;
  std::vector<std::pair<std::string, Value>> entries_;
  std::unordered_map<std::string, size_t> index_;  ///< key -> position in entries_
};

}  // namespace wattle::inline file
