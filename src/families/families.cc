#include <algorithm>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "families/family.h"

// Every family, one line each; its page defines NAME_family(). A build for small models has one that needs no
// matrices.
#ifdef WATTLE_SMALL_MODELS_ONLY
#define WATTLE_FAMILIES(F) F(static_embedding)
#else
#define WATTLE_FAMILIES(F) \
  F(bert)                  \
  F(distilbert)            \
  F(roberta)               \
  F(albert)                \
  F(electra)               \
  F(mpnet)                 \
  F(deberta)               \
  F(deberta_v2)            \
  F(modernbert)            \
  F(static_embedding)      \
  F(llama)                 \
  F(qwen2)                 \
  F(qwen3)                 \
  F(gemma)                 \
  F(gemma2)                \
  F(gemma3)                \
  F(gpt2)                  \
  F(gpt_bigcode)           \
  F(gpt_neo)               \
  F(gpt_neox)              \
  F(gptj)                  \
  F(codegen)               \
  F(opt)                   \
  F(phi)                   \
  F(phi3)                  \
  F(stablelm)              \
  F(starcoder2)            \
  F(bloom)                 \
  F(t5)                    \
  F(bart)                  \
  F(led)                   \
  F(mbart)                 \
  F(pegasus)               \
  F(m2m_100)               \
  F(marian)
#endif

namespace wattle::inline families {

#define WATTLE_DECLARE(name) const Family& name##_family();
WATTLE_FAMILIES(WATTLE_DECLARE)
#undef WATTLE_DECLARE

std::span<const Family* const> all_families() {
#define WATTLE_LIST(name) &name##_family(),
  static const Family* const kAll[] = {WATTLE_FAMILIES(WATTLE_LIST)};
#undef WATTLE_LIST
  return kAll;
}

const Family* find_family(const std::string& architecture) {
  for (const Family* family : all_families()) {
    if (family->architecture == architecture && family->build != nullptr) return family;
  }
  return nullptr;
}

const Family& family_of(const std::string& architecture, const std::string& origin) {
  if (const Family* family = find_family(architecture)) return *family;
  std::string known;
  for (const Family* family : all_families()) {
    if (family->build != nullptr) known += (known.empty() ? "" : ", ") + std::string(family->architecture);
  }
  fail("{}: the architecture {} is not known; use a model of one of {}", origin, architecture, known);
}

const Family& family_of_type(const std::string& model_type, const std::string& origin) {
  std::string known;
  for (const Family* family : all_families()) {
    for (const std::string_view type : family->model_types) {
      if (type == model_type) return *family;
      known += (known.empty() ? "" : ", ") + std::string(type);
    }
  }
  fail("{}: the model type \"{}\" is not known; use a model of one of {}", origin, model_type, known);
}

Description describe(const Metadata& metadata) {
  Description description;
  family_of(metadata.need_text("general.architecture"), metadata.origin())
      .describe(Hyperparameters(metadata), description);
  return description;
}

void check_tensors(const ModelFile& file, const Description& description) {
  for (const Tensor& tensor : file.tensors()) {
    const TensorSpec* spec = description.find(tensor.name);
    const auto fits = [](int64_t have, int64_t want) { return want == kAnySize || have == want; };
    if (spec != nullptr && !std::ranges::equal(tensor.shape, spec->shape, fits)) {
      fail("{}: tensor {} has the shape [{}] and the metadata ask for [{}]; get or convert the model again",
           file.path().string(), tensor.name, fmt::join(tensor.shape, ", "), fmt::join(spec->shape, ", "));
    }
    if (spec == nullptr) {
      fail("{}: the tensor {} has no place in a model of the family {}; use the published files of the model",
           file.path().string(), tensor.name, file.architecture());
    }
  }
  for (const TensorSpec& spec : description.tensors()) {
    if (!spec.optional) (void)file.need(spec.name);
  }
}

}  // namespace wattle::inline families
