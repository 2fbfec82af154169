// What affinity and control groups leave of a machine's processors, on the files that kernels show for them.
#include "base/processor_limits.h"

#include <map>

#include <gtest/gtest.h>

namespace wattle {
namespace {

using Files = std::map<std::string, std::string>;

ProcessorLimits limits_of(const Files& files) {
  return processor_limits([&](const std::string& path) -> std::optional<std::string> {
    const auto file = files.find(path);
    return file == files.end() ? std::nullopt : std::optional(file->second);
  });
}

const std::string kAll128 =
    "Name:\tx\nCpus_allowed:\tffffffff\nCpus_allowed_list:\t0-127\nMems_allowed:\t1\n";
const std::string kUnified =
    "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const std::string kVersion1 =
    "31 30 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";

TEST(ProcessorLimits, NothingIsLimitedWhereNothingSaysSo) {
  EXPECT_EQ(limits_of({}).usable(128), 128);
  const ProcessorLimits limits = limits_of({{"/proc/self/status", kAll128},
                                            {"/proc/self/cgroup", "0::/user.slice\n"},
                                            {"/proc/self/mountinfo", kUnified},
                                            {"/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n"}});
  EXPECT_EQ(limits.quota, 0);
  EXPECT_EQ(limits.usable(128), 128);
}

TEST(ProcessorLimits, AffinityCounts) {
  EXPECT_EQ(limits_of({{"/proc/self/status", "Cpus_allowed_list:\t0-2,64-66,127\n"}}).usable(128), 7);
}

TEST(ProcessorLimits, AContainerOfVersion2SeesItsGroupAsTheTop) {
  Files files = {{"/proc/self/status", kAll128},
                 {"/proc/self/cgroup", "0::/\n"},
                 {"/proc/self/mountinfo", kUnified},
                 {"/sys/fs/cgroup/cpu.max", "200000 100000\n"},
                 {"/sys/fs/cgroup/cpuset.cpus.effective", "0-127\n"}};
  EXPECT_EQ(limits_of(files).quota, 2);
  EXPECT_EQ(limits_of(files).usable(128), 2);
  EXPECT_EQ(limits_of(files).quota_file, "/sys/fs/cgroup/cpu.max");
  files["/sys/fs/cgroup/cpu.max"] = "150000 100000";
  EXPECT_DOUBLE_EQ(limits_of(files).quota, 1.5);
  EXPECT_EQ(limits_of(files).usable(128), 2);  // of the second processor a half
  files["/sys/fs/cgroup/cpu.max"] = "10000 100000";
  EXPECT_EQ(limits_of(files).usable(128), 1);
  files["/sys/fs/cgroup/cpuset.cpus.effective"] = "4-7\n";
  files["/sys/fs/cgroup/cpu.max"] = "max 100000";
  EXPECT_EQ(limits_of(files).usable(128), 4);
  EXPECT_EQ(limits_of(files).allowed, (std::vector<int>{4, 5, 6, 7}));
}

TEST(ProcessorLimits, TheSmallestQuotaOfAllGroupsAboveCounts) {
  const ProcessorLimits limits = limits_of({{"/proc/self/cgroup", "0::/kube/pod1/box\n"},
                                            {"/proc/self/mountinfo", kUnified},
                                            {"/sys/fs/cgroup/kube/cpu.max", "6400000 100000\n"},
                                            {"/sys/fs/cgroup/kube/pod1/cpu.max", "300000 100000\n"},
                                            {"/sys/fs/cgroup/kube/pod1/box/cpu.max", "max 100000\n"}});
  EXPECT_EQ(limits.quota, 3);
  EXPECT_EQ(limits.quota_file, "/sys/fs/cgroup/kube/pod1/cpu.max");
}

TEST(ProcessorLimits, Version1HasItsOwnFilesAndPaths) {
  Files files = {
      {"/proc/self/status", kAll128},
      {"/proc/self/cgroup", "5:cpuset:/docker/ab12\n4:cpu,cpuacct:/docker/ab12\n0::/system.slice\n"},
      {"/proc/self/mountinfo", kVersion1},
      {"/sys/fs/cgroup/cpuset/docker/ab12/cpuset.effective_cpus", "0-3\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/docker/ab12/cpu.cfs_quota_us", "250000\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/docker/ab12/cpu.cfs_period_us", "100000\n"}};
  EXPECT_EQ(limits_of(files).allowed.size(), 4u);
  EXPECT_DOUBLE_EQ(limits_of(files).quota, 2.5);
  EXPECT_EQ(limits_of(files).usable(128), 3);
  files["/sys/fs/cgroup/cpu,cpuacct/docker/ab12/cpu.cfs_quota_us"] = "-1\n";
  EXPECT_EQ(limits_of(files).usable(128), 4);
  // Docker shows the container's own directory at the mount.
  files = {{"/proc/self/cgroup", "4:cpu,cpuacct:/docker/ab12\n"},
           {"/proc/self/mountinfo",
            "32 30 0:28 /docker/ab12 /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}};
  EXPECT_EQ(limits_of(files).quota, 2);
}

TEST(ProcessorLimits, FilesThatSayNonsenseLimitNothing) {
  for (const char* text : {"", "max", "-5 100", "x y", "100", "0 100000", "100000 0", "nan nan"}) {
    const ProcessorLimits limits = limits_of({{"/proc/self/cgroup", "0::/../..\nnonsense\n::\n"},
                                              {"/proc/self/mountinfo", "junk\n - \n" + kUnified},
                                              {"/proc/self/status", "Cpus_allowed_list:\n"},
                                              {"/sys/fs/cgroup/cpu.max", text}});
    EXPECT_EQ(limits.usable(8), 8) << text;
  }
}

TEST(ProcessorLimits, ThisProcessMayUseSomething) {
  EXPECT_GE(processor_limits().usable(1 << 16), 1);
  EXPECT_FALSE(processor_limits().allowed.empty());
}

}  // namespace
}  // namespace wattle
