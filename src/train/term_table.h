#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::inline train {

/// The factor of the rolling hash: odd, with its bits in no pattern.
inline constexpr uint64_t kRollingFactor = 0x9E3779B97F4A7C15;

/// The rolling hash of every beginning of a text (a polynomial modulo 2^64), so that the hash of any part of
/// it is a multiplication away: n-grams overlap, and each byte is read once.
class RollingHashes {
 public:
  /// Of another text; keeps its memory.
  void read(std::string_view text);
  uint64_t of(size_t begin, size_t end) const {
    return prefixes_[end] - prefixes_[begin] * powers_[end - begin];
  }

 private:
  std::vector<uint64_t> prefixes_{0}, powers_{1};
};

/// A fixed list of distinct terms: their bytes in one string, and a table of open addressing that gives a
/// term's place in the list. A term that is not among them mostly costs one look at the table.
class TermTable {
 public:
  /// Error (`origin` names the file) when a term occurs twice or there are too many.
  TermTable(std::span<const std::string_view> terms, const std::string& origin);

  size_t size() const { return ends_.size(); }
  std::string_view term(size_t place) const {
    const uint32_t begin = place == 0 ? 0 : ends_[place - 1];
    return std::string_view(bytes_).substr(begin, ends_[place] - begin);
  }
  /// The place of the term that has this rolling hash; -1: it is not among them.
  int32_t find(std::string_view wanted, uint64_t hash) const {
    const uint64_t mixed = hash * kMix;
    for (size_t i = mixed >> shift_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.place < 0) return -1;
      if (slot.tag == static_cast<uint32_t>(mixed) && term(static_cast<size_t>(slot.place)) == wanted)
        return slot.place;
    }
  }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t place = -1;
  };
  static constexpr uint64_t kMix = 0xD6E8FEB86659FD93;

  std::string bytes_;
  std::vector<uint32_t> ends_;
  std::vector<Slot> slots_;
  size_t mask_ = 0;
  int shift_ = 0;
};

}  // namespace wattle::inline train
