#pragma once

namespace wattle::inline statistics {

/// Probability that a standard normal variable is at most `z`.
double normal_cdf(double z);
/// The `z` with normal_cdf(z) = p; -infinity of 0, infinity of 1, not a number outside [0, 1].
double normal_quantile(double p);

/// Regularised incomplete beta function I_x(a, b), a and b positive: the probability that a variable of the
/// beta distribution is at most `x`.
double beta_cdf(double x, double a, double b);

/// Student's t with `degrees` of freedom, fractions allowed; infinite degrees are the normal distribution.
double student_t_cdf(double t, double degrees);
double student_t_quantile(double p, double degrees);

}  // namespace wattle::inline statistics
