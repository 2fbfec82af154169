#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <wattle/error.h>

namespace wattle::inline file {

static_assert(std::endian::native == std::endian::little,
              "model files are little-endian and are read in place");

/// A cursor over untrusted bytes: every step is checked against what is left and fails naming the file and
/// what was being read.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string origin)
      : bytes_(bytes), origin_(std::move(origin)) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }
  const std::string& origin() const { return origin_; }

  std::span<const std::byte> take(size_t count, std::string_view what) {
    if (count > remaining()) fail_short(what);
    const auto part = bytes_.subspan(position_, count);
    position_ += count;
    return part;
  }

  template <typename T>
  requires std::is_trivially_copyable_v<T> T read(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  std::string_view text(size_t length, std::string_view what) {
    const auto part = take(length, what);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }

  /// Everything that is left, without moving.
  std::string_view rest() const {
    return {reinterpret_cast<const char*>(bytes_.data()) + position_, remaining()};
  }

  /// Checks that `count` items of at least `item_bytes` each can still follow; to be asked before memory is
  /// reserved.
  void need_items(uint64_t count, size_t item_bytes, std::string_view what) const {
    if (count > remaining() / item_bytes) fail_short(what);
  }

  [[noreturn]] void fail_short(std::string_view what) const {
    fail(
        "{}: {} at byte {} goes beyond the end of the file ({} bytes); the file is cut or corrupt, get it "
        "again",
        origin_, what, position_, bytes_.size());
  }

 private:
  std::span<const std::byte> bytes_;
  std::string origin_;
  size_t position_ = 0;
};

}  // namespace wattle::inline file
