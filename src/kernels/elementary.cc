#include "kernels/elementary.h"

#include <cmath>
#include <iterator>

namespace wattle::inline kernels {
namespace {

/// c[0] + c[1] x + c[2] x^2 ...
template <class Coefficients>
double polynomial(const Coefficients& c, double x) {
  double sum = 0;
  for (auto i = std::size(c); i > 0; --i) sum = sum * x + c[i - 1];
  return sum;
}

/// ln 2 and pi / 2 in parts, the first ones short enough that a whole number times them is exact.
constexpr double kLn2[] = {0x1.62e42feep-1, 0x1.a39ef35793c76p-33};
constexpr double kHalfPi[] = {0x1.921fb54p+0, 0x1.10b46118p-30, 0x1.313198a2e037p-61};

/// e^x.
double exponential(double x) {
  // Reciprocals of factorials: Taylor's series on [-ln(2) / 2, ln(2) / 2].
  static constexpr double kTaylor[] = {1,
                                       1,
                                       1.0 / 2,
                                       1.0 / 6,
                                       1.0 / 24,
                                       1.0 / 120,
                                       1.0 / 720,
                                       1.0 / 5040,
                                       1.0 / 40320,
                                       1.0 / 362880,
                                       1.0 / 3628800,
                                       1.0 / 39916800,
                                       1.0 / 479001600,
                                       1.0 / 6227020800};
  const double n = std::nearbyint(x / (kLn2[0] + kLn2[1]));
  return std::ldexp(polynomial(kTaylor, (x - n * kLn2[0]) - n * kLn2[1]), static_cast<int>(n));
}

}  // namespace

double natural_logarithm(double x) {
  // x = m 2^e with m around 1, and ln m = 2 artanh s, s = (m - 1) / (m + 1), |s| < 0.172.
  static constexpr double kSeries[] = {1,        1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11,
                                       1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23};
  int e = 0;
  double m = std::frexp(x, &e);
  if (m < 0.70710678) m *= 2, --e;
  const double s = (m - 1) / (m + 1);
  return e * kLn2[0] + (2 * s * polynomial(kSeries, s * s) + e * kLn2[1]);
}

double power(double base, double exponent) {
  return exponential(exponent * natural_logarithm(base));
}

SineCosine sine_cosine(double x) {
  static constexpr double kSine[] = {1,
                                     -1.0 / 6,
                                     1.0 / 120,
                                     -1.0 / 5040,
                                     1.0 / 362880,
                                     -1.0 / 39916800,
                                     1.0 / 6227020800,
                                     -1.0 / 1307674368000,
                                     1.0 / 355687428096000};
  static constexpr double kCosine[] = {1,
                                       -1.0 / 2,
                                       1.0 / 24,
                                       -1.0 / 720,
                                       1.0 / 40320,
                                       -1.0 / 3628800,
                                       1.0 / 479001600,
                                       -1.0 / 87178291200,
                                       1.0 / 20922789888000};
  // Cody and Waite: what is left of x beside whole quarter turns, at most pi / 4.
  const double turns = std::nearbyint(x * (2 / 3.14159265358979323846));
  const double r = ((x - turns * kHalfPi[0]) - turns * kHalfPi[1]) - turns * kHalfPi[2];
  const double sine = r * polynomial(kSine, r * r), cosine = polynomial(kCosine, r * r);
  const auto quarter = static_cast<int>(turns - 4 * std::floor(turns / 4));
  switch (quarter) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

}  // namespace wattle::inline kernels
