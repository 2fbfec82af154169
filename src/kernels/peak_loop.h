// A loop over 12 independent accumulators; included inside the unnamed namespace of each instruction set's
// file. The empty asm keeps each accumulator in a register and each step in the loop.

#if defined(__aarch64__)
#define WATTLE_VECTOR_REGISTER "+w"
#else
#define WATTLE_VECTOR_REGISTER "+v"
#endif

constexpr int kPeakAccumulators = 12;

template <class Vector, class Step>
inline void run_loop(int64_t iterations, Vector value, Step step) {
  Vector sums[kPeakAccumulators];
#pragma GCC unroll 12
  for (int i = 0; i < kPeakAccumulators; ++i) sums[i] = value;
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kPeakAccumulators; ++i) {
      sums[i] = step(sums[i]);
      __asm__ volatile("" : WATTLE_VECTOR_REGISTER(sums[i]));
    }
  }
}

/// 2 operations for each multiply-add of each lane.
constexpr double operations(int64_t iterations, int multiply_adds) {
  return 2.0 * multiply_adds * kPeakAccumulators * static_cast<double>(iterations);
}
