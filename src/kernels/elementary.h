#pragma once

namespace wattle::inline kernels {

// Elementary functions of the tables that models are run with (rotations, positions, slopes), by additions,
// multiplications and divisions in a fixed order: the same bits on every machine, which libraries of C do not
// promise. Relative errors under 1e-14, but of sine and cosine near their zeros absolute ones.

/// base^exponent for positive, normal bases and results that are normal numbers too.
double power(double base, double exponent);

/// Of positive, normal numbers.
double natural_logarithm(double x);

struct SineCosine {
  double sine, cosine;
};
/// |x| below 2^22; farther off the errors grow in proportion.
SineCosine sine_cosine(double x);

}  // namespace wattle::inline kernels
