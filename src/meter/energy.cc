#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

#include <wattle/error.h>
#include <wattle/meter.h>

namespace wattle {
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

/// Half-width of a sum: of one instrument the systematic parts add, the rest is independent.
double combine(double half_a, double systematic_a, double half_b, double systematic_b, bool same_instrument) {
  if (!same_instrument) return std::hypot(half_a, half_b);
  const double random_a = std::sqrt(std::max(0.0, half_a * half_a - systematic_a * systematic_a));
  const double random_b = std::sqrt(std::max(0.0, half_b * half_b - systematic_b * systematic_b));
  return std::hypot(systematic_a + systematic_b, random_a, random_b);
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

Energy operator+(const Energy& a, const Energy& b) {
  if (a.source.empty()) return b;  // a sum begins with Energy{}
  if (b.source.empty()) return a;
  Energy sum = a;
  const bool same = a.source == b.source;
  const bool model = same && a.grade == Grade::kModelled;
  sum.joules += b.joules;
  sum.idle_joules += b.idle_joules;
  sum.idle_known = a.idle_known && b.idle_known;
  // The parameters of one model err alike in all its windows, in whichever direction.
  const double below = model ? a.joules - a.low + b.joules - b.low
                             : combine(a.joules - a.low, a.systematic, b.joules - b.low, b.systematic, same);
  const double above = model
                           ? a.high - a.joules + b.high - b.joules
                           : combine(a.high - a.joules, a.systematic, b.high - b.joules, b.systematic, same);
  sum.low = std::max(0.0, sum.joules - below);
  sum.high = sum.joules + above;
  sum.systematic = same ? a.systematic + b.systematic : std::hypot(a.systematic, b.systematic);
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

Energy share_of(const Energy& whole, double share) {
  if (!(share >= 0 && share <= 1)) fail("a share of a window must lie between 0 and 1, not {}", share);
  Energy part = whole;
  part.joules *= share;
  part.low *= share;
  part.high *= share;
  part.idle_joules *= share;
  part.systematic *= share;
  part.resolution *= share;
  part.seconds *= share;
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

}  // namespace wattle
