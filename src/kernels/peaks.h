#pragma once

#include <cstdint>

namespace wattle::inline kernels {

/// What one round of pure loops reached on all threads: the limits that products are held against.
struct Peaks {
  double int8_gops = 0;    ///< 2 x multiply-adds of 8-bit integers into 32 bits, 1e9 a second
  double bf16_gflops = 0;  ///< of bfloat16; the same as fp32 where the processor has no such instruction
  double fp32_gflops = 0;
  double read_gbs = 0;  ///< bytes read from memory beyond the caches, 1e9 a second
};

/// Measures for about `seconds` per figure under the active instruction set.
Peaks measure_peaks(double seconds = 0.02);

/// Loops of one instruction set: each runs `iterations` rounds on registers and returns the operations that
/// it did.
struct PeakLoops {
  double (*int8)(int64_t iterations);
  double (*bf16)(int64_t iterations);
  double (*fp32)(int64_t iterations);
};
const PeakLoops& peak_loops_avx2();
const PeakLoops& peak_loops_avx2vnni();
const PeakLoops& peak_loops_avx512();
const PeakLoops& peak_loops_avx512vnni();
const PeakLoops& peak_loops_avx512bf16();
const PeakLoops& peak_loops_neon();
const PeakLoops& peak_loops_neondot();

}  // namespace wattle::inline kernels
