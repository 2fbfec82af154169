// Which AVX-512 instructions share pipes with vpdpbusd: cycles of twelve independent chains of one
// instruction, and of the same chains with a vpdpbusd in each link. docs/kernels.md argues from its
// figures.
//
//   g++ -O2 -march=native bench/instruction_pipes.cc -o /tmp/pipes && taskset -c 1 /tmp/pipes
//
// One column is instructions a cycle alone (a cycle is half of what a vpdpbusd of twelve chains takes: two a
// cycle on Zen 5, one on Zen 4, whose figures are then halves), the other the cycles that one of them adds to
// a vpdpbusd.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace {

constexpr int kChains = 12, kRounds = 200000, kRepetitions = 7;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline __m512 floats(__m512i x) {
  return _mm512_castsi512_ps(x);
}
inline __m512i integers(__m512 x) {
  return _mm512_castps_si512(x);
}

/// Nanoseconds of one link of a chain, the best of several repetitions. The empty asm keeps links apart and
/// in registers.
template <class Link>
double nanoseconds(const Link& link) {
  double best = 1e9;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    __m512i a = _mm512_set1_epi8(3), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a,
            l = a;
    const double begin = now();
    for (int round = 0; round < kRounds; ++round) {
      a = link(a), b = link(b), c = link(c), d = link(d), e = link(e), f = link(f);
      g = link(g), h = link(h), i = link(i), j = link(j), k = link(k), l = link(l);
      __asm__ volatile("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f));
      __asm__ volatile("" : "+v"(g), "+v"(h), "+v"(i), "+v"(j), "+v"(k), "+v"(l));
    }
    best = std::min(best, (now() - begin) * 1e9 / kRounds / kChains);
  }
  return best;
}

}  // namespace

int main() {
  __m512i w = _mm512_set1_epi8(3), v = _mm512_set1_epi8(5);
  __asm__ volatile("" : "+v"(w), "+v"(v));
  const auto dot = [&](__m512i x) { return _mm512_dpbusd_epi32(x, w, v); };
  const double cycle = 2 * nanoseconds(dot);
  std::printf("%-22s a cycle   adds to a vpdpbusd, cycles\n%-22s %7.2f\n", "", "vpdpbusd",
              cycle / nanoseconds(dot));
  const auto tell = [&](const char* name, auto link) {
    const double with = nanoseconds([&](__m512i x) { return dot(link(x)); });
    std::printf("%-22s %7.2f   %.2f\n", name, cycle / nanoseconds(link), (with - cycle / 2) / cycle);
  };
  tell("vpdpwssd", [&](__m512i x) { return _mm512_dpwssd_epi32(x, w, v); });
  tell("vpmulld", [&](__m512i x) { return _mm512_mullo_epi32(x, w); });
  tell("vpmullw", [&](__m512i x) { return _mm512_mullo_epi16(x, w); });
  tell("vfmadd", [&](__m512i x) { return integers(_mm512_fmadd_ps(floats(x), floats(w), floats(v))); });
  tell("vmulps", [&](__m512i x) { return integers(_mm512_mul_ps(floats(x), floats(w))); });
  tell("vaddps", [&](__m512i x) { return integers(_mm512_add_ps(floats(x), floats(w))); });
  tell("vcvtdq2ps", [&](__m512i x) { return integers(_mm512_cvtepi32_ps(x)); });
  tell("vpsrld", [&](__m512i x) { return _mm512_srli_epi32(x, 4); });
  tell("vpandd", [&](__m512i x) { return _mm512_and_si512(x, w); });
  tell("vpaddd", [&](__m512i x) { return _mm512_add_epi32(x, w); });
  tell("vcvtps2dq", [&](__m512i x) { return _mm512_cvtps_epi32(floats(x)); });
  tell("vpermd", [&](__m512i x) { return _mm512_permutexvar_epi32(w, x); });
#ifdef __AVX512BF16__
  const auto pairs = [](__m512i x) { return (__m512bh)x; };
  tell("vdpbf16ps", [&](__m512i x) { return integers(_mm512_dpbf16_ps(floats(x), pairs(w), pairs(v))); });
#endif
}
