#include "quant/precision.h"

#include <fnmatch.h>

#include <algorithm>
#include <cctype>

#include <wattle/error.h>

namespace wattle::inline quant {
namespace {

constexpr std::string_view kCache = "cache", kActivationsItem = "activations", kWeightSuffix = ".weight";

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

bool same_but_for_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

/// Roles in the order of Role, before all patterns.
int rank(const Precision::Item& item) {
  return item.role ? static_cast<int>(*item.role) : INT32_MAX;
}

}  // namespace

bool is_cache_format(Format format) {
  return format == Format::kF32 || format == Format::kF16 || format == Format::kQ8_0 ||
         format == Format::kQ4_0;
}

Format written_format_from_name(std::string_view name) {
  const FormatInfo& format = info(format_from_name(name));
  if (format.encode == nullptr) fail("{}: is only read, never written; choose another format", format.name);
  return format.format;
}

Precision Precision::parse(std::string_view text) {
  Precision precision;
  try {
    bool first = true;
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find(',', at), text.size());
      const std::string_view item = trimmed(text.substr(at, end - at));
      at = end + 1;
      const size_t equals = item.find('=');
      if (!first) {
        if (equals == std::string_view::npos) fail("\"{}\" is not of the form NAME=FORMAT; mend it", item);
        precision.add_item(trimmed(item.substr(0, equals)), trimmed(item.substr(equals + 1)));
      } else if (equals != std::string_view::npos) {
        fail("the first item is the format of the weights, or {}; write {},{} or name a format", kAsPublished,
             kAsPublished, item);
      } else if (same_but_for_case(item, kW8A8)) {
        precision.weights_ = Format::kQ8_0;
        precision.activations_ = Activations::kW8A8;
      } else if (item.empty()) {
        fail("names no format; begin with one, as Q8_0, or with {}", kAsPublished);
      } else if (!same_but_for_case(item, kAsPublished)) {
        precision.weights_ = written_format_from_name(item);
      }
      first = false;
    }
  } catch (const Error& error) {
    // A lone format's sentence begins with it already.
    if (!text.empty() && text.find_first_of(",=") == std::string_view::npos) throw;
    fail("precision {}: {}", text, error.what());
  }
  return precision;
}

void Precision::add_item(std::string_view item_name, std::string_view value) {
  if (item_name.empty()) fail("\"={}\" lacks its name; put a role or a tensor before the sign", value);
  if (item_name == kCache) return set_cache(format_from_name(value));
  if (item_name == kActivationsItem) return set_activations(activations_from_name(value));
  Item item{std::string(item_name), role_from_name(item_name), written_format_from_name(value)};
  if (std::ranges::any_of(items_, [&](const Item& known) { return known.name == item.name; })) {
    fail("{} is named twice; remove one of the two", item.name);
  }
  const auto after = std::ranges::upper_bound(items_, rank(item), {}, rank);
  items_.insert(after, std::move(item));
}

void Precision::set_cache(Format format) {
  if (cache_) fail("the format of the cache is named twice; remove one of the two");
  if (!is_cache_format(format)) fail("a cache cannot be {}; choose {}", info(format).name, kCacheFormats);
  cache_ = format;
}

void Precision::set_activations(Activations activations) {
  if (activations_) fail("activations are named twice; remove one of the two");
  activations_ = activations;
}

std::string Precision::name(std::string_view published) const {
  const bool w8a8 = weights_ == Format::kQ8_0 && activations_ == Activations::kW8A8;
  std::string text(w8a8 ? kW8A8 : weights_ ? info(*weights_).name : published);
  const auto add = [&](std::string_view item, std::string_view value) {
    text.append(",").append(item).append("=").append(value);
  };
  for (const Item& item : items_) add(item.name, info(item.format).name);
  if (cache_) add(kCache, info(*cache_).name);
  if (activations_ && !w8a8) add(kActivationsItem, wattle::name(*activations_));
  return text;
}

bool Precision::reaches(const Item& item, Role role, std::string_view tensor_name) {
  if (item.role) return *item.role == role;
  if (role == Role::kNorm || role == Role::kBias) return false;
  if (tensor_name.ends_with(kWeightSuffix)) tensor_name.remove_suffix(kWeightSuffix.size());
  return fnmatch(item.name.c_str(), std::string(tensor_name).c_str(), 0) == 0;
}

std::optional<TensorFormat> Precision::format_for(Role role, std::string_view tensor_name,
                                                  int64_t row_length) const {
  std::optional<Format> wanted;
  if (weights_) {
    switch (role) {
      case Role::kLinear:
      case Role::kOutput:
      case Role::kEmbedding:
        wanted = weights_;
        break;
      case Role::kPosition:
      case Role::kConvolution:
      case Role::kDepthwise:
        wanted = weights_ == Format::kF32 ? Format::kF32 : Format::kF16;
        break;
      case Role::kTable:
      case Role::kNorm:
      case Role::kBias:
        wanted = Format::kF32;
        break;
    }
  }
  for (const Item& item : items_) {
    if (reaches(item, role, tensor_name)) wanted = item.format;
  }
  if (!wanted) return std::nullopt;
  const Format format = fitting_format(*wanted, static_cast<size_t>(row_length));
  return TensorFormat{format, format != *wanted};
}

Precision Precision::of_weights() const {
  Precision precision = *this;
  precision.cache_.reset();
  precision.activations_.reset();
  return precision;
}

}  // namespace wattle::inline quant
