#include "kernels/peaks.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "base/cpu.h"
#include "base/huge_pages.h"
#include "base/threads.h"
#include "kernels/kernel_table.h"

namespace wattle::inline kernels {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Operations of plain loops, as the portable kernels use them.
double portable_int8(int64_t iterations) {
  int32_t sums[12] = {};
  for (int64_t n = 0; n < iterations; ++n) {
    for (int i = 0; i < 12; ++i) {
      int32_t factor = 3 + i;
      __asm__ volatile("" : "+r"(factor));
      sums[i] += factor * 5;
    }
  }
  __asm__ volatile("" : : "r"(sums) : "memory");
  return 24.0 * static_cast<double>(iterations);
}

double portable_fp32(int64_t iterations) {
  float sums[12] = {};
  for (int64_t n = 0; n < iterations; ++n) {
    for (int i = 0; i < 12; ++i) sums[i] += sums[(i + 1) % 12] * 0.5f;
    __asm__ volatile("" : : "r"(sums) : "memory");
  }
  return 24.0 * static_cast<double>(iterations);
}

constexpr PeakLoops kPortable{portable_int8, portable_fp32, portable_fp32};

const PeakLoops& peak_loops() {
  switch (active_isa()) {
#if defined(__x86_64__)
    case Isa::kAvx2:
      return peak_loops_avx2();
    case Isa::kAvx2Vnni:
      return peak_loops_avx2vnni();
    case Isa::kAvx512:
      return peak_loops_avx512();
    case Isa::kAvx512Vnni:
      return multiplies_bfloat16() ? peak_loops_avx512bf16() : peak_loops_avx512vnni();
#elif defined(__aarch64__)
    case Isa::kNeon:
      return peak_loops_neon();
    case Isa::kNeonDot:
      return peak_loops_neondot();
#endif
    default:
      return kPortable;
  }
}

/// Operations a second of all threads, in 1e9.
double rate(double (*loop)(int64_t), double seconds) {
  const double begin = now();
  loop(20000);
  const double once = std::max(now() - begin, 1e-7);
  const auto iterations = std::max<int64_t>(20000, static_cast<int64_t>(20000 * seconds / once));
  const int members = active_threads();
  std::vector<double> operations(static_cast<size_t>(members));
  const double start = now();
  for_each_part(members, [&](int64_t part) { operations[static_cast<size_t>(part)] = loop(iterations); });
  return std::accumulate(operations.begin(), operations.end(), 0.0) / (now() - start) / 1e9;
}

/// Bytes a second that all threads read from a buffer beyond the caches, each its own part in one stream.
double read_rate(double seconds) {
  constexpr int64_t kWords = int64_t{256} << 17;  // 256 MiB
  static std::shared_ptr<std::byte> memory;
  if (!memory) {
    memory = allocate_in_huge_pages(kWords * sizeof(uint64_t));
    std::memset(memory.get(), 1, kWords * sizeof(uint64_t));
  }
  const auto* buffer = reinterpret_cast<const uint64_t*>(memory.get());
  double bytes = 0;
  const double start = now();
  do {
    const int members = active_threads();
    for_each_part(members, [&](int64_t part) {
      const uint64_t* at = buffer + kWords * part / members;
      const uint64_t* end = buffer + kWords * (part + 1) / members;
      uint64_t sums[8] = {};
      for (; at + 8 <= end; at += 8) {
        __builtin_prefetch(at + 512);
        for (int i = 0; i < 8; ++i) sums[i] += at[i];
      }
      __asm__ volatile("" : : "r"(sums) : "memory");
    });
    bytes += kWords * sizeof(uint64_t);
  } while (now() - start < seconds);
  return bytes / (now() - start) / 1e9;
}

}  // namespace

Peaks measure_peaks(double seconds) {
  const PeakLoops& loops = peak_loops();
  return {rate(loops.int8, seconds), rate(loops.bf16, seconds), rate(loops.fp32, seconds),
          read_rate(seconds)};
}

}  // namespace wattle::inline kernels
