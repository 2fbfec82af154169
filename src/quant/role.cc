#include "quant/role.h"

#include <utility>

namespace wattle::inline quant {
namespace {

constexpr std::pair<Role, std::string_view> kNames[] = {
    {Role::kLinear, "linear"},       {Role::kOutput, "output"},
    {Role::kEmbedding, "embedding"}, {Role::kConvolution, "convolution"},
    {Role::kDepthwise, "depthwise"}, {Role::kPosition, "position"},
    {Role::kTable, "table"},         {Role::kNorm, "norm"},
    {Role::kBias, "bias"},
};

}  // namespace

std::string_view role_name(Role role) {
  for (const auto& [known, name] : kNames) {
    if (known == role) return name;
  }
  return {};
}

std::optional<Role> role_from_name(std::string_view wanted) {
  for (const auto& [role, name] : kNames) {
    if (name == wanted) return role;
  }
  return std::nullopt;
}

}  // namespace wattle::inline quant
