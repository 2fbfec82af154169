#include "models/families.h"

#include <wattle/error.h>

namespace wattle {
namespace {

constexpr Family kFamilies[] = {
    {"bert", make_bert, nullptr},   {"mpnet", make_mpnet, nullptr},   {"llama", nullptr, make_llama},
    {"qwen2", nullptr, make_qwen2}, {"gemma3", nullptr, make_gemma3},
};

}  // namespace

std::span<const Family> families() {
  return kFamilies;
}

const Family& family_of(const std::string& architecture, const std::string& origin) {
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.architecture == architecture) return family;
    known += (known.empty() ? "" : ", ") + std::string(family.architecture);
  }
  fail("{}: the architecture {} is not known; use a model of one of {}", origin, architecture, known);
}

}  // namespace wattle
