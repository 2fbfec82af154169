#include "families/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <wattle/error.h>

#include "kernels/elementary.h"

namespace wattle::inline families {
namespace {

double need(const JsonView& scaling, const char* name) {
  const auto value = scaling.number(name);
  if (!value || !(*value > 0))
    fail("{}: rope_scaling lacks a positive {}; correct the file", scaling.origin(), name);
  return *value;
}

/// Llama 3.1 and later slow down the lower frequencies of the rotation; the factors travel as a tensor, one
/// for each pair of a head, as llama.cpp reads them.
std::vector<float> llama3_factors(const JsonView& scaling, double base, int64_t dimensions) {
  const double factor = need(scaling, "factor"), low = need(scaling, "low_freq_factor"),
               high = need(scaling, "high_freq_factor"),
               context = need(scaling, "original_max_position_embeddings");
  if (high <= low) fail("{}: rope_scaling asks for the impossible; correct the file", scaling.origin());
  std::vector<float> factors;
  for (int64_t i = 0; i < dimensions; i += 2) {
    const double frequency = power(base, -static_cast<double>(i) / static_cast<double>(dimensions));
    const double wavelength = 2 * std::numbers::pi / frequency;
    const double smooth = std::clamp((context / wavelength - low) / (high - low), 0.0, 1.0);
    factors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
  }
  return factors;
}

/// YaRN's blend of stretched and plain frequencies (equations 17 to 22 of the paper): pairs that turn more
/// than `fast` times within the first context stay, those that turn less than `slow` times are stretched.
std::vector<float> yarn_factors(double factor, double context, double fast, double slow, double base,
                                int64_t dimensions) {
  const auto pair_that_turns = [&](double times) {
    return static_cast<double>(dimensions) * natural_logarithm(context / (times * 2 * std::numbers::pi)) /
           (2 * natural_logarithm(base));
  };
  const double low = std::max(std::floor(pair_that_turns(fast)), 0.0);
  double high = std::min(std::ceil(pair_that_turns(slow)), static_cast<double>(dimensions - 1));
  if (low == high) high += 0.001;
  std::vector<float> factors;
  for (int64_t i = 0; i < dimensions / 2; ++i) {
    const double stretched = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    factors.push_back(static_cast<float>(1 / (stretched / factor + 1 - stretched)));
  }
  return factors;
}

std::vector<float> factors_of(const JsonView& scaling, const char* name, int64_t pairs) {
  const nlohmann::json* list = scaling.find(name);
  std::vector<float> factors;
  if (list != nullptr && list->is_array()) {
    for (const nlohmann::json& factor : *list)
      factors.push_back(factor.is_number() ? factor.get<float>() : 0);
  }
  const bool positive =
      std::ranges::all_of(factors, [](float factor) { return factor > 0 && std::isfinite(factor); });
  if (static_cast<int64_t>(factors.size()) != pairs || !positive)
    fail("{}: {} of rope_scaling is not a list of {} positive numbers; correct the file", scaling.origin(),
         name, pairs);
  return factors;
}

/// LongRoPE's two sets of factors (Ding et al. 2024) travel as tensors, as llama.cpp reads them.
void read_longrope(ConfigReader& config, const JsonView& scaling, int64_t dimensions) {
  config.add_tensor("rope_factors_long.weight", factors_of(scaling, "long_factor", dimensions / 2));
  config.add_tensor("rope_factors_short.weight", factors_of(scaling, "short_factor", dimensions / 2));
  const double longest = config.number_of("max_position_embeddings", 0);
  const double context = config.number_of("original_max_position_embeddings",
                                          scaling.number("original_max_position_embeddings").value_or(0));
  if (!(context > 1)) fail("{}: lacks original_max_position_embeddings; correct the file", config.origin());
  const double stretch = longest / context;
  const double usual =
      stretch > 1 ? std::sqrt(1 + natural_logarithm(stretch) / natural_logarithm(context)) : 1;
  config.set("rope.scaling.type", Value::of(std::string("longrope")));
  config.set("rope.scaling.original_context_length", Value::of(static_cast<int64_t>(context)));
  config.set("rope.scaling.attn_factor", Value::of(scaling.number("attention_factor").value_or(usual)));
}

}  // namespace

RopeScaling rope_scaling(const Hyperparameters& hyper, int64_t dimensions, double base) {
  RopeScaling scaling;
  const std::string type = hyper.word_or("rope.scaling.type", "none");
  if (type == "longrope") scaling.magnitude = hyper.positive_or("rope.scaling.attn_factor", 1);
  if (type == "none" || type.empty() || type == "longrope") return scaling;
  const double factor = hyper.positive_or("rope.scaling.factor", 1);
  if (type == "linear") {
    scaling.position_scale = 1 / factor;
  } else if (type == "yarn") {
    const double context = hyper.positive_or("rope.scaling.original_context_length",
                                             static_cast<double>(hyper.context_length()));
    scaling.factors = yarn_factors(factor, context, hyper.positive_or("rope.scaling.yarn_beta_fast", 32),
                                   hyper.positive_or("rope.scaling.yarn_beta_slow", 1), base, dimensions);
    scaling.magnitude = hyper.positive_or("rope.scaling.attn_factor", 1) *
                        (factor > 1 ? 0.1 * natural_logarithm(factor) + 1 : 1);
  } else {
    fail("{}: rope scaling of the type {} is not known, only linear, yarn and longrope; use another model",
         hyper.origin(), type);
  }
  return scaling;
}

void read_rope(ConfigReader& config, int64_t head_dim, double base, double part) {
  const JsonView parameters = config.child("rope_parameters");
  if (config.has("rope_theta")) {
    base = config.number_of("rope_theta", base);
  } else {
    base = parameters.number("rope_theta").value_or(base);
  }
  part = parameters.number("partial_rotary_factor").value_or(config.number_of("partial_rotary_factor", part));
  read_rope_scaling(config, head_dim, base, part);
}

void read_rope_scaling(ConfigReader& config, int64_t head_dim, double base, double part) {
  const JsonView parameters = config.child("rope_parameters");
  const auto dimensions = static_cast<int64_t>(static_cast<double>(head_dim) * part);
  if (!(part > 0) || part > 1 || dimensions < 2)
    fail("{}: {} of a head is to be rotated, which cannot be; correct the file", config.origin(), part);
  config.set("rope.freq_base", Value::of(base));
  config.set("rope.dimension_count", Value::of(dimensions));
  const JsonView scaling = config.has("rope_scaling") ? config.child("rope_scaling") : parameters;
  const std::string kind = scaling.text("rope_type").value_or(scaling.text("type").value_or("default"));
  if (kind == "default") return;
  if (kind == "llama3")
    return config.add_tensor("rope_freqs.weight", llama3_factors(scaling, base, dimensions));
  // Phi-3's first files call it su, or yarn.
  if (kind == "longrope" || kind == "su" || (kind == "yarn" && scaling.find("long_factor") != nullptr))
    return read_longrope(config, scaling, dimensions);
  if (kind != "linear" && kind != "yarn") {
    fail(
        "{}: rope_scaling of the kind {} is not known, only linear, llama3, yarn and longrope; use another "
        "model",
        config.origin(), kind);
  }
  const double factor = need(scaling, "factor");
  config.set("rope.scaling.type", Value::of(kind));
  config.set("rope.scaling.factor", Value::of(factor));
  if (kind == "linear") return;
  if (scaling.find("truncate") != nullptr && !scaling.flag("truncate").value_or(true))
    fail("{}: truncate of rope_scaling is not known; use another model", config.origin());
  const double context = scaling.number("original_max_position_embeddings")
                             .value_or(config.number_of("max_position_embeddings", 0));
  config.set("rope.scaling.original_context_length", Value::of(static_cast<int64_t>(context)));
  const double usual = factor > 1 ? 0.1 * natural_logarithm(factor) + 1 : 1;
  const auto scale = [&](double by) { return factor > 1 ? 0.1 * by * natural_logarithm(factor) + 1 : 1; };
  const auto own = scaling.number("mscale"), all = scaling.number("mscale_all_dim");
  if (const auto given = scaling.number("attention_factor")) {
    config.set("rope.scaling.attn_factor", Value::of(*given / usual));
  } else if (own && all && *own != 0 && *all != 0) {
    config.set("rope.scaling.attn_factor", Value::of(scale(*own) / scale(*all) / usual));
  }
  if (const auto fast = scaling.number("beta_fast"))
    config.set("rope.scaling.yarn_beta_fast", Value::of(*fast));
  if (const auto slow = scaling.number("beta_slow"))
    config.set("rope.scaling.yarn_beta_slow", Value::of(*slow));
}

}  // namespace wattle::inline families
