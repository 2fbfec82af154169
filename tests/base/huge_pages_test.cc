// Blocks that share a piece of memory: one that is given back takes nothing of its neighbours with it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "base/huge_pages.h"

namespace wattle {
namespace {

bool holds(const std::shared_ptr<std::byte>& block, size_t size, std::byte value) {
  return std::ranges::all_of(std::span(block.get(), size), [&](std::byte each) { return each == value; });
}

TEST(HugePages, KeepTheNeighboursOfABlockThatGoes) {
  constexpr size_t kSize = 100'032;  // its ends lie within pages
  const auto filled = [](int value) {
    auto block = allocate_in_huge_pages(kSize);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.get()) % 64, 0u);
    std::memset(block.get(), value, kSize);
    return block;
  };
  const auto before = filled(1);
  auto gone = filled(2);
  const auto after = filled(3);
  gone.reset();
  EXPECT_TRUE(holds(before, kSize, std::byte{1}));
  EXPECT_TRUE(holds(after, kSize, std::byte{3}));
  const auto later = filled(4);
  EXPECT_TRUE(holds(after, kSize, std::byte{3}));
  EXPECT_TRUE(holds(later, kSize, std::byte{4}));
}

}  // namespace
}  // namespace wattle
