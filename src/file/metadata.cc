#include "file/metadata.h"

#include <array>

#include <wattle/error.h>

namespace wattle::inline file {
namespace {

/// The alternative of a key's value that a caller asked for; Error when the file has another type there.
template <typename T, typename Data>
const T& held(const Metadata& metadata, std::string_view key, const Value& value, const Data* data,
              std::string_view wanted) {
  if (data != nullptr) {
    if (const T* found = std::get_if<T>(data)) return *found;
  }
  const bool is_array = value.type == ValueType::kArray;
  fail("{}: the value of {} is {}{} and not {}; get the model from its publisher again", metadata.origin(),
       key, is_array ? "an array of " : "of type ", name(is_array ? value.element_type : value.type), wanted);
}

template <typename T>
const T& scalar(const Metadata& metadata, std::string_view key, const Value& value, std::string_view wanted) {
  return held<T>(metadata, key, value, std::get_if<Value::Scalar>(&value.data), wanted);
}

template <typename T>
std::span<const T> array(const Metadata& metadata, std::string_view key, std::string_view wanted) {
  const Value* value = metadata.find(key);
  if (value == nullptr) return {};
  return held<std::vector<T>>(metadata, key, *value, std::get_if<Value::Array>(&value->data), wanted);
}

template <typename T>
T need(const Metadata& metadata, std::string_view key, std::optional<T> value) {
  if (!value) {
    fail("{}: the metadata lack {}; convert the model again from its original files", metadata.origin(), key);
  }
  return *std::move(value);
}

}  // namespace

std::string_view name(ValueType type) {
  constexpr std::array<std::string_view, 13> kNames{"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                    "bool", "string", "array", "u64", "i64", "f64"};
  const auto number = static_cast<size_t>(type);
  return number < kNames.size() ? kNames[number] : "unknown";
}

Value Value::of(std::string text) {
  return {ValueType::kString, ValueType::kU32, Scalar(std::move(text))};
}
Value Value::of(int64_t number, ValueType type) {
  return {type, ValueType::kU32, Scalar(number)};
}
Value Value::of(double number) {
  return {ValueType::kF32, ValueType::kU32, Scalar(number)};
}
Value Value::of(bool flag) {
  return {ValueType::kBool, ValueType::kU32, Scalar(flag)};
}
Value Value::of(std::vector<std::string> strings) {
  return {ValueType::kArray, ValueType::kString, Array(std::move(strings))};
}
Value Value::of(std::vector<int64_t> numbers, ValueType element_type) {
  return {ValueType::kArray, element_type, Array(std::move(numbers))};
}
Value Value::of(std::vector<double> numbers) {
  return {ValueType::kArray, ValueType::kF32, Array(std::move(numbers))};
}

void Metadata::set(std::string key, Value value) {
  const auto [place, is_new] = index_.try_emplace(key, entries_.size());
  if (is_new) {
    entries_.emplace_back(std::move(key), std::move(value));
  } else {
    entries_[place->second].second = std::move(value);
  }
}

bool Metadata::erase(std::string_view key) {
  const auto place = index_.find(std::string(key));
  if (place == index_.end()) return false;
  const size_t position = place->second;
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(position));
  index_.erase(place);
  for (auto& [other, later] : index_) {
    if (later > position) --later;
  }
  return true;
}

const Value* Metadata::find(std::string_view key) const {
  const auto place = index_.find(std::string(key));
  return place == index_.end() ? nullptr : &entries_[place->second].second;
}

std::optional<int64_t> Metadata::integer(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  return scalar<int64_t>(*this, key, *value, "an integer");
}

std::optional<double> Metadata::number(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* single = std::get_if<Value::Scalar>(&value->data)) {
    if (const auto* integer = std::get_if<int64_t>(single)) return static_cast<double>(*integer);
  }
  return scalar<double>(*this, key, *value, "a number");
}

std::optional<bool> Metadata::flag(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  return scalar<bool>(*this, key, *value, "a flag");
}

std::optional<std::string> Metadata::text(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  return scalar<std::string>(*this, key, *value, "a string");
}

std::span<const std::string> Metadata::strings(std::string_view key) const {
  return array<std::string>(*this, key, "an array of strings");
}
std::span<const int64_t> Metadata::integers(std::string_view key) const {
  return array<int64_t>(*this, key, "an array of integers");
}
std::span<const double> Metadata::numbers(std::string_view key) const {
  return array<double>(*this, key, "an array of floats");
}

int64_t Metadata::need_integer(std::string_view key) const {
  return need(*this, key, integer(key));
}
double Metadata::need_number(std::string_view key) const {
  return need(*this, key, number(key));
}
std::string Metadata::need_text(std::string_view key) const {
  return need(*this, key, text(key));
}

}  // namespace wattle::inline file
