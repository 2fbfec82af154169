#include "base/memory.h"

#include <map>

#include <gtest/gtest.h>

namespace wattle {
namespace {

using Files = std::map<std::string, std::string>;

std::optional<int64_t> available_with(const Files& files) {
  return available_memory([&](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional(found->second);
  });
}

const std::string kMeminfo = "MemTotal:       24000000 kB\nMemFree:  100 kB\nMemAvailable:   20000000 kB\n";

TEST(AvailableMemory, OfTheMachine) {
  EXPECT_EQ(available_with({{"/proc/meminfo", kMeminfo}}), 20'000'000 * int64_t{1024});
  EXPECT_EQ(available_with({}), std::nullopt);
  EXPECT_GT(available_memory().value_or(0), 0);
}

TEST(AvailableMemory, OfTheTightestControlGroup) {
  const Files files{
      {"/proc/meminfo", kMeminfo},
      {"/proc/self/cgroup", "0::/outer/inner\n"},
      {"/sys/fs/cgroup/outer/inner/memory.max", "max\n"},
      {"/sys/fs/cgroup/outer/memory.max", "4000000000\n"},
      {"/sys/fs/cgroup/outer/memory.current", "3000000000\n"},
      {"/sys/fs/cgroup/outer/memory.stat", "anon 5\ninactive_file 100000000\nactive_file 11\n"}};
  EXPECT_EQ(available_with(files), 1'100'000'011);
}

TEST(AvailableMemory, AFullGroupLeavesNothing) {
  EXPECT_EQ(available_with({{"/proc/self/cgroup", "0::/\n"},
                            {"/sys/fs/cgroup/memory.max", "1000"},
                            {"/sys/fs/cgroup/memory.current", "1500"}}),
            0);
}

}  // namespace
}  // namespace wattle
