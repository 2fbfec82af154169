#include "families/text_encoder.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <wattle/error.h>

namespace wattle::inline families {

EncoderStack::EncoderStack(Weights& weights, EncoderPlan plan)
    : plan_(std::move(plan)), embedding_(weights, plan_.prefix, plan_.embedding) {
  layers_.reserve(plan_.layers.size());
  for (size_t i = 0; i < plan_.layers.size(); ++i)
    layers_.emplace_back(weights, fmt::format("{}blk.{}", plan_.prefix, i), plan_.layers[i]);
  if (plan_.shared.empty()) {
    for (const Layer& layer : layers_) order_.push_back(&layer);
  }
  for (const int64_t index : plan_.shared) order_.push_back(&layers_.at(static_cast<size_t>(index)));
  if (plan_.convolution_kernel > 0) {
    convolution_ =
        TokenConvolution(weights, plan_.prefix + "conv", plan_.convolution_kernel, width(), width());
    convolution_norm_ =
        Norm(weights, plan_.prefix + "conv_norm", width(), plan_.embedding.norm, plan_.embedding.epsilon);
  }
  norm_ = Norm::where_there(weights, plan_.prefix + "output_norm", width(), plan_.embedding.norm,
                            plan_.embedding.epsilon);
}

void EncoderStack::run(const Ragged<int32_t>& tokens, const TokenMarks& marks, MatrixView out, Work& work) {
  check_lengths(tokens, max_tokens());
  for (const auto& [given, name] :
       {std::pair(marks.types, "types"), std::pair(marks.global, "global marks")}) {
    if (!given.empty() && given.size() != tokens.items.size())
      fail("{} token {} were given for {} tokens; give one a token", given.size(), name, tokens.items.size());
  }
  const bool any_global = std::ranges::any_of(marks.global, [](int32_t mark) { return mark != 0; });
  if (any_global && !knows_global())
    fail("global tokens were given and this model has no attention for them; leave them out");
  const std::vector<int64_t> positions = positions_of(tokens, plan_.embedding.padding);
  embedding_(tokens.items, positions, marks.types, out, work);
  for (const auto& rope : plan_.ropes) rope->set_positions(positions);
  const std::span<const Layer* const> layers = order_;
  const std::span<const int32_t> global = any_global ? marks.global : std::span<const int32_t>();
  if (convolution_) {
    Matrix embeddings(out.rows, out.columns);
    for (int64_t row = 0; row < out.rows; ++row) std::ranges::copy(out.row(row), embeddings.row(row).begin());
    run_layers(layers.first(1), out, tokens.offsets, global, work);
    convolution_(embeddings.view(), tokens.offsets, plan_.convolution_function, out, out, work);
    convolution_norm_(out, out, work);
  }
  run_layers(layers.subspan(convolution_ ? 1 : 0), out, tokens.offsets, global, work);
  if (norm_) norm_(out, out, work);
  work.tokens_in += static_cast<int64_t>(tokens.items.size());
}

TextEncoder::TextEncoder(Weights& weights, EncoderPlan plan, const NetworkHead::Plan& head)
    : stack_(weights, std::move(plan)), head_(weights, stack_.width(), head) {}

namespace {

int64_t distance_bucket(int64_t distance, int64_t buckets, int64_t furthest, bool two_ways) {
  int64_t side = 0;
  if (two_ways) {
    buckets /= 2;
    if (distance > 0) side = buckets;
  } else if (distance > 0) {
    distance = 0;
  }
  const int64_t exact = buckets / 2, magnitude = std::abs(distance);
  if (magnitude < exact) return side + magnitude;
  const float logarithm = std::log(static_cast<float>(magnitude) / static_cast<float>(exact)) /
                          std::log(static_cast<float>(furthest) / static_cast<float>(exact));
  return side +
         std::min(buckets - 1, exact + static_cast<int64_t>(logarithm * static_cast<float>(buckets - exact)));
}

}  // namespace

std::shared_ptr<DistanceBias> bucket_bias(Weights& weights, const std::string& name, int64_t buckets,
                                          int64_t heads, int64_t furthest, int64_t reach, bool two_ways) {
  const Matrix table = weights.values(name, buckets, heads);
  auto bias = std::make_shared<DistanceBias>();
  bias->reach = reach;
  bias->values.resize(static_cast<size_t>(heads * (2 * reach - 1)));
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t distance = 1 - reach; distance < reach; ++distance) {
      bias->values[static_cast<size_t>(head * (2 * reach - 1) + distance + reach - 1)] =
          table.row(distance_bucket(distance, buckets, furthest, two_ways))[static_cast<size_t>(head)];
    }
  }
  return bias;
}

}  // namespace wattle::inline families
