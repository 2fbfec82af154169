// a * b + c rounded once, on four lanes and without the instruction: what processors with it compute, bit by
// bit. Included inside the unnamed namespace of the portable files.

typedef float FourFloats __attribute__((vector_size(16)));

inline FourFloats fused_multiply_add(FourFloats a, FourFloats b, FourFloats c) {
#ifdef __FP_FAST_FMAF
  FourFloats sums;
  for (int i = 0; i < 4; ++i) sums[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return sums;
#else
  typedef double FourDoubles __attribute__((vector_size(32)));
  typedef int64_t FourLongs __attribute__((vector_size(32)));
  // Two factors of 24 bits fit the 53 of a double. Its sum is rounded once, and a second time to single
  // precision, which gives the nearest float if the first rounding is to odd (Boldo and Melquiond 2008): the
  // neighbour on the error's side where the last bit is even. The error is Knuth's TwoSum.
  const FourDoubles product =
      __builtin_convertvector(a, FourDoubles) * __builtin_convertvector(b, FourDoubles);
  const FourDoubles addend = __builtin_convertvector(c, FourDoubles);
  const FourDoubles sum = product + addend, part = sum - product;
  const FourDoubles error = (product - (sum - part)) + (addend - part), zero = {};
  const FourLongs above = error > zero, below = error < zero;  // neither of an infinite sum
  const FourLongs outwards = (above ^ (FourLongs)(sum > zero)) | 1;
  const FourLongs bits = (FourLongs)sum;
  const FourLongs odd = bits + (outwards & (above | below) & ((bits & 1) - 1));
  return __builtin_convertvector((FourDoubles)odd, FourFloats);
#endif
}
