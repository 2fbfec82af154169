// Metrics of texts that are right or wrong.
#include <algorithm>
#include <charconv>
#include <optional>

#include <wattle/error.h>

#include "base/utf8.h"
#include "metrics/access.h"
#include "metrics/kinds.h"
#include "metrics/words.h"
#include "text/regex.h"

namespace wattle::inline metrics {
namespace {

double is_exact(const Answer& answer, const Truth& truth) {
  const auto ours = trimmed(answered_text(answer));
  return std::ranges::any_of(references(truth), [&](const auto& text) { return trimmed(text) == ours; }) ? 1
                                                                                                         : 0;
}

bool holds_match(std::string_view text, const std::string& pattern) {
  const Regex regex(pattern, "a row's truth");
  bool found = false;
  regex.for_each_match(text, [&](size_t, size_t) { found = true; });
  return found;
}

double matches_pattern(const Answer& answer, const Truth& truth) {
  const std::string text = repaired_utf8(answered_text(answer));
  return std::ranges::any_of(references(truth),
                             [&](const auto& pattern) { return holds_match(text, pattern); });
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The last number of a text, its thousands grouped by commas or not; a minus is a sign where no word or
/// number ends before it.
std::optional<double> last_number(std::string_view text) {
  const auto last = std::find_if(text.rbegin(), text.rend(), is_digit);
  if (last == text.rend()) return {};
  const auto end = static_cast<size_t>(text.rend() - last);
  size_t begin = end - 1;
  const auto joins = [&](size_t i) {
    return (text[i] == ',' || text[i] == '.') && i > 0 && is_digit(text[i - 1]);
  };
  while (begin > 0 && (is_digit(text[begin - 1]) || joins(begin - 1))) --begin;
  if (begin > 0 && text[begin - 1] == '.') --begin;  // .5
  std::string number(text.substr(begin, end - begin));
  std::erase(number, ',');
  const bool negative = begin > 0 && text[begin - 1] == '-' &&
                        (begin == 1 || !is_word_character(static_cast<unsigned char>(text[begin - 2])));
  double value = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), value);
  if (read.ec != std::errc() || read.ptr != number.data() + number.size()) return {};
  return negative ? -value : value;
}

/// As GSM8K is scored (Cobbe et al. 2021): the last number is the answer.
double has_right_number(const Answer& answer, const Truth& truth) {
  const auto ours = last_number(answered_text(answer));
  return std::ranges::any_of(references(truth), [&](const std::string& text) {
    const auto right = last_number(text);
    if (!right)
      fail("the truth \"{}\" has no number; choose another metric", repaired_utf8(text.substr(0, 200)));
    return ours == right;
  });
}

constexpr MetricKind kMetrics[] = {
    {{"exact_text", "share of answers that are a reference but for white space at the ends, 0 to 1", true,
      true},
     mean_of<is_exact>},
    {{"regular_expression", "share of answers that hold a match of the truth's pattern, 0 to 1", true, true},
     mean_of<matches_pattern>},
    {{"last_number", "share of answers whose last number is the truth's, 0 to 1", true, true},
     mean_of<has_right_number>},
};

}  // namespace

std::span<const MetricKind> generation_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
