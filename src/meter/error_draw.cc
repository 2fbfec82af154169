#include "meter/error_draw.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include "statistics/descriptive.h"
#include "statistics/distributions.h"

namespace wattle::inline meter {
namespace {

constexpr int kDraws = 4000;

double z95() {
  static const double z = normal_quantile(0.975);
  return z;
}

/// The value at `z` standard deviations of a range whose ends are 95 %: its sides are log-normal, or normal
/// where the range begins at 0.
double at(double low, double value, double high, double z) {
  if (!(value > 0)) return value + z / z95() * (z < 0 ? value - low : high - value);
  if (z >= 0) return value * std::pow(high / value, z / z95());
  return low > 0 ? value * std::pow(value / low, z / z95())
                 : std::max(0.0, value + z / z95() * (value - low));
}

/// "model:zen5" of "model:zen5+nvml": figures of one model share its parameters whatever was added to them.
std::string model_of(const std::string& source) {
  const size_t begin = source.find("model:");
  if (begin == std::string::npos) return source;
  return source.substr(begin, source.find('+', begin) - begin);
}

}  // namespace

const ErrorDraw::Parameters& ErrorDraw::parameters(const Energy& energy) {
  const auto [entry, is_new] = parameters_.try_emplace(model_of(energy.source));
  Parameters& z = entry->second;
  if (!is_new) return z;
  for (double& one : z) one = random_.normal();
  const double together = energy.model.idle_full_correlation;
  z[ModelTerm::kFull] =
      together * z[ModelTerm::kIdle] + std::sqrt(1 - together * together) * z[ModelTerm::kFull];
  return z;
}

double ErrorDraw::gain(const std::string& source) {
  const auto [entry, is_new] = gains_.try_emplace(source);
  if (is_new) entry->second = random_.normal();
  return entry->second;
}

/// A stationary Gaussian process over the logarithm of the power, correlated as exp(-distance), so that what
/// was drawn next on either side says all that the draws before tell of a place.
double ErrorDraw::on_curve(const Energy& energy) {
  const double watts = energy.joules / std::max(energy.seconds, 1e-9);
  const double place = std::log(watts) / energy.model.curve_scale;
  std::map<double, double>& drawn = curves_[model_of(energy.source)];
  const auto above = drawn.lower_bound(place);
  if (above != drawn.end() && above->first == place) return above->second;
  const double to_above = above == drawn.end() ? 0 : std::exp(place - above->first);
  const double to_below = above == drawn.begin() ? 0 : std::exp(std::prev(above)->first - place);
  const double a = to_below * to_below, b = to_above * to_above;
  double mean = 0;
  if (to_below > 0) mean += to_below * (1 - b) * std::prev(above)->second;
  if (to_above > 0) mean += to_above * (1 - a) * above->second;
  const double rest = std::max(1e-300, 1 - a * b);
  const double z = mean / rest + std::sqrt(std::max(0.0, (1 - a) * (1 - b) / rest)) * random_.normal();
  drawn.emplace_hint(above, place, z);
  return z;
}

double ErrorDraw::factor(const Energy& energy) {
  return energy.joules > 0 ? std::max(0.0, 1 + shift(energy) / energy.joules) : 1;
}

double ErrorDraw::shift(const Energy& energy) {
  if (energy.grade == Grade::kModelled && energy.model.terms.empty()) {
    const bool is_point = energy.model.curve_scale > 0 && energy.joules > 0;
    return at(energy.low, energy.joules, energy.high, is_point ? on_curve(energy) : random_.normal()) -
           energy.joules;
  }
  double published = 0, drawn = 0;
  if (!energy.model.terms.empty()) {
    const Parameters& z = parameters(energy);
    for (const ModelTerm& term : energy.model.terms) {
      published += term.amount * term.value;
      drawn += term.amount * at(term.low, term.value, term.high, z[term.parameter]);
    }
  }
  // What is left was measured: its gain is one, and moves it in proportion.
  if (energy.systematic > 0) drawn += gain(energy.source) / z95() * energy.systematic;
  return drawn - published;
}

Ratio energy_ratio(std::span<const Energy> a, std::span<const Energy> b, bool paired, uint64_t seed) {
  std::vector<double> of_a, of_b;
  for (const Energy& window : a) of_a.push_back(window.joules);
  for (const Energy& window : b) of_b.push_back(window.joules);
  const Ratio spread = paired ? paired_ratio_of(of_a, of_b) : ratio_of(of_a, of_b);
  const Energy mean_a = mean_energy(a), mean_b = mean_energy(b);
  // A counter that measured both cancels whole; then the t test's own figures are the exact ones.
  const bool cancels =
      mean_a.grade != Grade::kModelled && mean_b.grade != Grade::kModelled && mean_a.source == mean_b.source;
  if (!spread.bounded() || cancels) return spread;
  const double half = std::log(spread.high / spread.low) / 2;
  Random random(seed);
  std::vector<double> logs;
  int below = 0;
  for (int i = 0; i < kDraws; ++i) {
    ErrorDraw draw(random);
    const double ratio = draw.factor(mean_a) / draw.factor(mean_b);
    logs.push_back(std::log(spread.value * std::max(ratio, 1e-300)) + half / z95() * random.normal());
    below += logs.back() < 0;
  }
  Ratio ratio;
  ratio.value = spread.value;
  ratio.low = std::exp(quantile(logs, 0.025));
  ratio.high = std::exp(quantile(logs, 0.975));
  ratio.p = std::min(1.0, 2.0 * (std::min(below, kDraws - below) + 1) / (kDraws + 1));
  return ratio;
}

}  // namespace wattle::inline meter
