#include "families/hyperparameters.h"

#include <cmath>
#include <utility>

#include <wattle/error.h>

#include "families/description.h"

namespace wattle::inline families {

Hyperparameters::Hyperparameters(const Metadata& metadata)
    : metadata_(metadata), prefix_(metadata.need_text("general.architecture") + ".") {}

int64_t Hyperparameters::count(std::string_view name, int64_t least, int64_t most) const {
  const int64_t value = metadata_.need_integer(key(name));
  if (value < least || value > most) {
    fail("{}: {} is {}, which is not between {} and {}; the file is damaged, get it again",
         metadata_.origin(), key(name), value, least, most);
  }
  return value;
}

int64_t Hyperparameters::count_or(std::string_view name, int64_t fallback, int64_t least,
                                  int64_t most) const {
  return metadata_.find(key(name)) == nullptr ? fallback : count(name, least, most);
}

double Hyperparameters::positive(std::string_view name) const {
  const double value = metadata_.need_number(key(name));
  if (!(value > 0) || !std::isfinite(value)) {
    fail("{}: {} is {}, which is not a positive number; the file is damaged, get it again",
         metadata_.origin(), key(name), value);
  }
  return value;
}

double Hyperparameters::positive_or(std::string_view name, double fallback) const {
  return metadata_.find(key(name)) == nullptr ? fallback : positive(name);
}

AttentionShape Hyperparameters::attention() const {
  constexpr int64_t kMostHeads = 4096;
  AttentionShape shape;
  shape.heads = count("attention.head_count", 1, kMostHeads);
  shape.kv_heads = count_or("attention.head_count_kv", shape.heads, 1, kMostHeads);
  if (shape.heads % shape.kv_heads != 0) {
    fail("{}: {} query heads cannot share {} key-value heads evenly; the file is damaged, get it again",
         metadata_.origin(), shape.heads, shape.kv_heads);
  }
  if (metadata_.find(key("attention.key_length")) == nullptr && width() % shape.heads != 0) {
    fail("{}: {} heads do not divide a width of {}; the file is damaged, get it again", metadata_.origin(),
         shape.heads, width());
  }
  shape.head_dim = count_or("attention.key_length", width() / shape.heads, 1, 1 << 16);
  if (count_or("attention.value_length", shape.head_dim, 1, 1 << 16) != shape.head_dim) {
    fail(
        "{}: keys and values of different lengths are not known here; use a model whose {} equals its "
        "key_length",
        metadata_.origin(), key("attention.value_length"));
  }
  shape.scale =
      static_cast<float>(positive_or("attention.scale", 1 / std::sqrt(static_cast<double>(shape.head_dim))));
  return shape;
}

bool Hyperparameters::has(std::string_view name) const {
  return metadata_.find(key(name)) != nullptr;
}

std::span<const int64_t> Hyperparameters::integers(std::string_view name) const {
  return metadata_.integers(key(name));
}

const Value* Hyperparameters::find(std::string_view name) const {
  return metadata_.find(key(name));
}

bool Hyperparameters::flag_or(std::string_view name, bool fallback) const {
  return metadata_.flag(key(name)).value_or(fallback);
}

std::string Hyperparameters::word_or(std::string_view name, std::string_view fallback) const {
  return metadata_.text(key(name)).value_or(std::string(fallback));
}

int64_t Hyperparameters::vocabulary() const {
  if (has("vocab_size")) return count("vocab_size", 1, int64_t{1} << 31);
  const auto tokens = metadata_.strings("tokenizer.ggml.tokens");
  return tokens.empty() ? kAnySize : static_cast<int64_t>(tokens.size());
}

float Hyperparameters::epsilon() const {
  return static_cast<float>(has("attention.layer_norm_rms_epsilon")
                                ? positive("attention.layer_norm_rms_epsilon")
                                : positive("attention.layer_norm_epsilon"));
}

ActivationFunction Hyperparameters::activation(ActivationFunction fallback) const {
  const auto name = metadata_.text(key("hidden_activation"));
  return name ? activation_from_name(*name, metadata_.origin()) : fallback;
}

ActivationFunction activation_from_name(std::string_view name, const std::string& origin) {
  constexpr std::pair<std::string_view, ActivationFunction> kNames[] = {
      {"gelu", ActivationFunction::kGelu},          {"gelu_new", ActivationFunction::kGeluTanh},
      {"gelu_fast", ActivationFunction::kGeluTanh}, {"gelu_pytorch_tanh", ActivationFunction::kGeluTanh},
      {"gelu_python", ActivationFunction::kGelu},   {"quick_gelu", ActivationFunction::kGeluQuick},
      {"relu", ActivationFunction::kRelu},          {"silu", ActivationFunction::kSilu},
      {"swish", ActivationFunction::kSilu},         {"tanh", ActivationFunction::kTanh},
      {"sigmoid", ActivationFunction::kSigmoid},    {"linear", ActivationFunction::kNone},
  };
  std::string known;
  for (const auto& [text, function] : kNames) {
    if (text == name) return function;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  fail("{}: the activation function {} is not known; use a model with one of {}", origin, name, known);
}

}  // namespace wattle::inline families
