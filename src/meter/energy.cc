#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

#include <wattle/error.h>
#include <wattle/meter.h>

namespace wattle::inline meter {
namespace {

/// "package" and "package+gpu" become "package+gpu".
std::string join(const std::string& a, const std::string& b) {
  std::vector<std::string> parts;
  for (const std::string& list : {a, b}) {
    std::istringstream stream(list);
    for (std::string part; std::getline(stream, part, '+');) {
      if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
    }
  }
  std::string joined;
  for (const std::string& part : parts) joined += (joined.empty() ? "" : "+") + part;
  return joined;
}

/// Whether two figures have an instrument in common: "rapl-perf+nvml" and "rapl-perf".
bool share_source(const Energy& a, const Energy& b) {
  std::istringstream stream(a.source);
  for (std::string part; std::getline(stream, part, '+');) {
    if (("+" + b.source + "+").find("+" + part + "+") != std::string::npos) return true;
  }
  return false;
}

void add_terms(ModelRecord& sum, const ModelRecord& more, double sign) {
  sum.curve_scale = sign > 0 ? std::max(sum.curve_scale, more.curve_scale) : 0;
  if (sum.terms.empty()) sum.idle_full_correlation = more.idle_full_correlation;
  for (const ModelTerm& term : more.terms) {
    const auto same = std::find_if(sum.terms.begin(), sum.terms.end(), [&](const ModelTerm& other) {
      return other.parameter == term.parameter && other.low == term.low && other.value == term.value &&
             other.high == term.high;
    });
    if (same == sum.terms.end()) {
      sum.terms.push_back(term);
      sum.terms.back().amount *= sign;
    } else {
      same->amount += sign * term.amount;
    }
  }
}

double left_of(double half, double repeated) {
  return std::sqrt(std::max(0.0, half * half - repeated * repeated));
}

void set_interval(Energy& energy, const ErrorParts& error, double least) {
  energy.low = std::max(least, energy.joules - std::hypot(error.repeated_below, error.independent_below));
  energy.high = energy.joules + std::hypot(error.repeated_above, error.independent_above);
}

}  // namespace

std::string_view name(Grade grade) {
  switch (grade) {
    case Grade::kMeasured:
      return "measured";
    case Grade::kAttributed:
      return "attributed";
    case Grade::kModelled:
      return "modelled";
  }
  return "unknown";
}

std::string_view name(ModelTerm::Parameter parameter) {
  static constexpr std::string_view kNames[] = {"idle", "full", "int8", "bf16", "fp32", "bytes"};
  return kNames[parameter];
}

ErrorParts error_parts(const Energy& energy) {
  const double below = energy.joules - energy.low, above = energy.high - energy.joules;
  // The parameters of one model err alike in all its windows, in whichever direction.
  if (energy.grade == Grade::kModelled) return {below, above, 0, 0};
  const double systematic_below = std::min(energy.systematic, below);
  const double systematic_above = std::min(energy.systematic, above);
  return {systematic_below, systematic_above, left_of(below, systematic_below),
          left_of(above, systematic_above)};
}

Energy operator+(const Energy& a, const Energy& b) {
  if (a.source.empty()) return b;  // a sum begins with Energy{}
  if (b.source.empty()) return a;
  Energy sum = a;
  const bool same = share_source(a, b);
  const auto repeated = [same](double of_a, double of_b) {
    return same ? of_a + of_b : std::hypot(of_a, of_b);
  };
  const ErrorParts error_a = error_parts(a), error_b = error_parts(b);
  sum.joules += b.joules;
  add_terms(sum.model, b.model, 1);
  sum.idle_joules += b.idle_joules;
  sum.idle_known = a.idle_known && b.idle_known;
  sum.idle_half = repeated(a.idle_half, b.idle_half);
  set_interval(sum,
               {repeated(error_a.repeated_below, error_b.repeated_below),
                repeated(error_a.repeated_above, error_b.repeated_above),
                std::hypot(error_a.independent_below, error_b.independent_below),
                std::hypot(error_a.independent_above, error_b.independent_above)},
               a.low >= 0 && b.low >= 0 ? 0 : -INFINITY);
  sum.systematic = repeated(a.systematic, b.systematic);
  sum.resolution = std::hypot(a.resolution, b.resolution);
  sum.grade = std::max(a.grade, b.grade);
  // Windows of one source follow each other; parts of different sources cover the same time.
  sum.seconds = same ? a.seconds + b.seconds : std::max(a.seconds, b.seconds);
  sum.windows = same ? a.windows + b.windows : std::max(a.windows, b.windows);
  sum.source = join(a.source, b.source);
  sum.scope = join(a.scope, b.scope);
  if (sum.invalid.empty()) sum.invalid = b.invalid;
  return sum;
}

Energy mean_energy(std::span<const Energy> windows) {
  if (windows.empty()) fail("a mean of no windows was asked for; measure at least one");
  Energy sum;
  for (const Energy& window : windows) sum = sum + window;
  return scaled(sum, 1 / static_cast<double>(windows.size()));
}

Energy difference(const Energy& a, const Energy& b) {
  Energy rest = a;
  const bool model = std::max(a.grade, b.grade) == Grade::kModelled;
  const bool shared = share_source(a, b) && !model;
  const auto repeated = [shared](double of_a, double of_b) {
    return shared ? std::abs(of_a - of_b) : std::hypot(of_a, of_b);
  };
  const ErrorParts error_a = error_parts(a), error_b = error_parts(b);
  rest.joules -= b.joules;
  add_terms(rest.model, b.model, -1);
  rest.idle_joules -= b.idle_joules;
  rest.idle_known = a.idle_known && b.idle_known;
  rest.idle_half = std::hypot(a.idle_half, b.idle_half);
  // What is taken away was more: the rest is less.
  const bool crossed = !shared;
  set_interval(rest,
               {repeated(error_a.repeated_below, crossed ? error_b.repeated_above : error_b.repeated_below),
                repeated(error_a.repeated_above, crossed ? error_b.repeated_below : error_b.repeated_above),
                std::hypot(error_a.independent_below, error_b.independent_above),
                std::hypot(error_a.independent_above, error_b.independent_below)},
               -INFINITY);
  rest.systematic = repeated(a.systematic, b.systematic);
  rest.resolution = std::hypot(a.resolution, b.resolution);
  rest.seconds = std::max(0.0, a.seconds - b.seconds);
  rest.grade = std::max(a.grade, b.grade);
  rest.source = join(a.source, b.source);
  rest.scope = join(a.scope, b.scope);
  if (rest.invalid.empty()) rest.invalid = b.invalid;
  return rest;
}

Energy net_of_idle(const Energy& gross) {
  if (!gross.idle_known)
    fail("the net energy of a window by {} is not known, because idle was not measured", gross.source);
  Energy net = gross;
  const ErrorParts error = error_parts(gross);
  net.joules -= gross.idle_joules;
  for (ModelTerm& term : net.model.terms) {
    if (term.parameter == ModelTerm::kIdle && term.value > 0) term.amount -= gross.idle_joules / term.value;
  }
  net.idle_joules = net.idle_half = 0;
  const double kept = gross.grade == Grade::kModelled || gross.joules <= 0
                          ? 1
                          : std::abs(net.joules) / gross.joules;  // of the gain's error
  net.systematic *= kept;
  set_interval(net,
               {error.repeated_below * kept, error.repeated_above * kept,
                std::hypot(error.independent_below, gross.idle_half),
                std::hypot(error.independent_above, gross.idle_half)},
               -INFINITY);
  return net;
}

Energy scaled(const Energy& energy, double factor) {
  if (!(factor >= 0)) fail("energy can be scaled by a factor of at least 0, not {}", factor);
  Energy part = energy;
  for (double* value : {&part.joules, &part.low, &part.high, &part.idle_joules, &part.idle_half,
                        &part.systematic, &part.resolution, &part.seconds}) {
    *value *= factor;
  }
  for (ModelTerm& term : part.model.terms) term.amount *= factor;
  return part;
}

Energy with_spread(const Energy& mean, double below, double above) {
  Energy spread = mean;
  ErrorParts error = error_parts(mean);
  error.independent_below = std::max(error.independent_below, below);
  error.independent_above = std::max(error.independent_above, above);
  set_interval(spread, error, mean.low >= 0 ? 0 : -INFINITY);
  return spread;
}

Energy share_of(const Energy& whole, double share) {
  if (!(share >= 0 && share <= 1)) fail("a share of a window must lie between 0 and 1, not {}", share);
  Energy part = scaled(whole, share);
  if (part.grade == Grade::kMeasured) part.grade = Grade::kAttributed;
  return part;
}

namespace {

/// Changes part `last`, and where that is not enough those before it in turn, by units in the last place
/// until the parts, added in order, are `whole`. Zeros alone follow `last`. The last part alone can fail:
/// where the sum of the others ends in half a unit of `whole`, both neighbours round to the even one.
void give_rounding_to(std::vector<Energy>& parts, size_t last, double whole) {
  const size_t attempts = 8 + 100 * last;
  for (size_t attempt = 0; attempt < attempts; ++attempt) {
    double others = 0;
    for (size_t i = 0; i < last; ++i) others += parts[i].joules;
    const double rest = whole - others;
    for (const double candidate : {rest, std::nextafter(rest, 0), std::nextafter(rest, INFINITY)}) {
      if (!(candidate >= 0) || others + candidate != whole) continue;
      parts[last].joules = candidate;
      return;
    }
    if (last == 0) break;
    double& nudged = parts[attempt % last].joules;
    if (nudged > 0) nudged = std::nextafter(nudged, rest < 0 ? 0 : INFINITY);
  }
  fail("a window of {} J could not be split into {} parts that add up to it", whole, parts.size());
}

}  // namespace

std::vector<Energy> split(const Energy& whole, std::span<const double> weights) {
  double total = 0;
  for (const double weight : weights) {
    if (!(weight >= 0) || std::isinf(weight))
      fail("a window is split by weights of at least 0, not {}", weight);
    total += weight;
  }
  if (!(total > 0)) fail("a window cannot be split: all its weights are 0");
  std::vector<Energy> parts;
  size_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    parts.push_back(share_of(whole, std::min(1.0, weights[i] / total)));
    if (weights[i] > 0) last = i;
  }
  give_rounding_to(parts, last, whole.joules);
  return parts;
}

}  // namespace wattle::inline meter
