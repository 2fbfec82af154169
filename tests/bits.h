#pragma once

#include <bit>
#include <cstdint>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

/// Results held to the bit on every instruction set and machine: their hashes are in tests/golden/bits. These
/// say that a result is the same everywhere, not that it is right: other tests compare with reference
/// implementations.
namespace wattle {

/// Numbers that are the same everywhere: exact arithmetic alone, no function of a library.
class ExactNumbers {
 public:
  explicit ExactNumbers(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}

  /// splitmix64 (Steele, Lea and Flood 2014).
  uint64_t bits() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// Magnitudes from 2^-6 to 4, either sign, all 24 bits.
  float number() {
    const uint64_t draw = bits();
    const uint32_t exponent = 121 + static_cast<uint32_t>((draw >> 32) % 8);
    return std::bit_cast<float>((static_cast<uint32_t>(draw) & 0x807FFFFFu) | exponent << 23);
  }
  void fill(std::span<float> values) {
    for (float& value : values) value = number();
  }

 private:
  uint64_t state_;
};

/// FNV-1a (64 bits) of the bits of floats.
class Bits {
 public:
  void add(std::span<const float> values) {
    for (const float value : values) {
      // The bits of what is no number are the processor's.
      ASSERT_EQ(value, value);
      hash_ = (hash_ ^ std::bit_cast<uint32_t>(value)) * 0x100000001B3u;
    }
  }
  std::string text() const { return fmt::format("{:016x}", hash_); }

 private:
  uint64_t hash_ = 0xCBF29CE484222325u;
};

/// The lines "NAME = HASH" of tests/golden/bits/FILE.txt.
class GoldenBits {
 public:
  explicit GoldenBits(const std::string& file) : file_("tests/golden/bits/" + file + ".txt") {
    std::ifstream lines(std::string(WATTLE_SOURCE_DIR) + "/" + file_);
    for (std::string line; std::getline(lines, line);) {
      const size_t at = line.find(" = ");
      if (at != std::string::npos) hashes_[line.substr(0, at)] = line.substr(at + 3);
    }
  }

  void expect(const std::string& name, const Bits& bits) const {
    const auto at = hashes_.find(name);
    EXPECT_TRUE(at != hashes_.end() && at->second == bits.text()) << "not as in " << file_ << ":\n"
                                                                  << name << " = " << bits.text();
  }

 private:
  std::string file_;
  std::map<std::string, std::string> hashes_;
};

}  // namespace wattle
