#include "statistics/distributions.h"

#include <cmath>
#include <initializer_list>
#include <limits>
#include <numbers>

namespace wattle::inline statistics {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// lgamma() writes to a global variable, which threads would race for.
double log_gamma(double x) {
  int sign = 0;
  return lgamma_r(x, &sign);
}

/// The continued fraction of the incomplete beta function (NIST DLMF 8.17.22) by Lentz's method (1976); it
/// converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300, kClose = 1e-16;
  constexpr int kMostTerms = 10'000;
  const auto away_from_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int m = 1; m <= kMostTerms; ++m) {
    const double m2 = 2.0 * m;
    const double even = m * (b - m) * x / ((a + m2 - 1) * (a + m2));
    const double odd = -(a + m) * (a + b + m) * x / ((a + m2) * (a + m2 + 1));
    double step = 1;
    for (const double term : {even, odd}) {
      d = 1 / away_from_zero(1 + term * d);
      c = away_from_zero(1 + term / c);
      step = c * d;
      fraction *= step;
    }
    if (std::abs(step - 1) < kClose) break;
  }
  return fraction;
}

/// Upper tail of Student's t for t >= 0; keeps its relative accuracy where it is tiny.
double student_t_tail(double t, double degrees) {
  return beta_cdf(degrees / (degrees + t * t), degrees / 2, 0.5) / 2;
}

/// The t >= 0 whose upper tail is `p` <= 1/2, by bisection of a bracket that doubles until it holds it.
double student_t_from_tail(double p, double degrees) {
  double low = 0, high = 1;
  while (student_t_tail(high, degrees) > p && high < 1e300) low = high, high *= 2;
  for (double middle = (low + high) / 2; middle > low && middle < high; middle = (low + high) / 2) {
    (student_t_tail(middle, degrees) > p ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

double normal_cdf(double z) {
  return std::erfc(-z / std::numbers::sqrt2) / 2;
}

double normal_quantile(double p) {
  if (!(p >= 0 && p <= 1)) return std::numeric_limits<double>::quiet_NaN();
  if (p == 0) return -kInfinity;
  if (p == 1) return kInfinity;
  if (p > 0.5) return -normal_quantile(1 - p);
  // Newton's steps on the logarithm of the tail, which is nearly a parabola.
  double z = -std::sqrt(-2 * std::log(2 * p));
  for (int i = 0; i < 50; ++i) {
    const double tail = normal_cdf(z);
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
    const double step = (std::log(tail) - std::log(p)) * tail / density;
    z -= step;
    if (std::abs(step) <= 1e-15 * std::abs(z)) break;
  }
  return z;
}

double beta_cdf(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(x, a, b) / a;
  return 1 - front * beta_fraction(1 - x, b, a) / b;
}

double student_t_cdf(double t, double degrees) {
  if (std::isinf(degrees)) return normal_cdf(t);
  return t < 0 ? student_t_tail(-t, degrees) : 1 - student_t_tail(t, degrees);
}

double student_t_quantile(double p, double degrees) {
  if (std::isinf(degrees) || !(p > 0 && p < 1)) return normal_quantile(p);
  return p < 0.5 ? -student_t_from_tail(p, degrees) : student_t_from_tail(1 - p, degrees);
}

}  // namespace wattle::inline statistics
