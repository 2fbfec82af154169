// How well texts are foretold. Every token (or byte) weighs the same, whichever text it is in.
#include <cmath>
#include <numbers>

#include <wattle/error.h>

#include "metrics/kinds.h"

namespace wattle::inline metrics {
namespace {

struct Foretold {
  double nats = 0, tokens = 0;  // -ln p, summed over the tokens
  std::optional<double> bits_per_byte;
};

Foretold foretold(const Answer& answer) {
  const auto* score = std::get_if<PerplexityAnswer>(&answer.value);
  if (score == nullptr) fail("the answer is no perplexity; choose a metric of another kind");
  if (score->tokens < 1) fail("the text has no token that could be foretold; leave it out");
  const double nats = std::log(score->perplexity) * static_cast<double>(score->tokens);
  if (!std::isfinite(nats)) fail("the perplexity {} is not finite; look at the model", score->perplexity);
  return {nats, static_cast<double>(score->tokens), score->bits_per_byte};
}

/// A row: the log-likelihood, the tokens.
class Perplexity final : public AdditiveMetric {
 public:
  using AdditiveMetric::AdditiveMetric;
  RowScore row(const Answer& answer, const Truth&) const override {
    const Foretold text = foretold(answer);
    return {-text.nats, text.tokens};
  }

 private:
  double of_sums(std::span<const double> sums, double) const override { return std::exp(-sums[0] / sums[1]); }
};

/// A row: bits, bytes.
class BitsPerByte final : public AdditiveMetric {
 public:
  using AdditiveMetric::AdditiveMetric;
  RowScore row(const Answer& answer, const Truth&) const override {
    const Foretold text = foretold(answer);
    if (!text.bits_per_byte)
      fail("the model has no tokenizer, which knows the bytes of tokens; use perplexity");
    const double bits = text.nats / std::numbers::ln2;
    if (*text.bits_per_byte == 0) {
      fail("the bytes of a text that is foretold without any doubt are not known; use perplexity");
    }
    return {bits, std::round(bits / *text.bits_per_byte)};
  }

 private:
  double of_sums(std::span<const double> sums, double) const override { return sums[0] / sums[1]; }
};

constexpr MetricKind kMetrics[] = {
    {{"perplexity", "e to the mean of -ln p of the tokens, 1 and more", false}, made<Perplexity>},
    // Salazar et al. 2020: each token behind a mask in its turn.
    {{"pseudo_perplexity", "perplexity of tokens each behind a mask, 1 and more", false}, made<Perplexity>},
    {{"bits_per_byte", "bits to foretell a byte of text, 0 and more", false}, made<BitsPerByte>},
};

}  // namespace

std::span<const MetricKind> perplexity_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
