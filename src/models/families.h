#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "layers/weights.h"
#include "models/model.h"

namespace wattle {

/// One family of models: the page of its forward pass is src/models/NAME.cc. To add one: write its page,
/// declare its maker here, name it in the table of families.cc.
struct Family {
  std::string_view architecture;  ///< as general.architecture says
  std::unique_ptr<Encoder> (*encoder)(Weights& weights, const LoadOptions& options);
  std::unique_ptr<Decoder> (*decoder)(Weights& weights, const LoadOptions& options);
};
std::span<const Family> families();
/// Error naming the file, the architecture and those known.
const Family& family_of(const std::string& architecture, const std::string& origin);

std::unique_ptr<Encoder> make_bert(Weights& weights, const LoadOptions& options);
std::unique_ptr<Encoder> make_mpnet(Weights& weights, const LoadOptions& options);
std::unique_ptr<Decoder> make_llama(Weights& weights, const LoadOptions& options);
std::unique_ptr<Decoder> make_qwen2(Weights& weights, const LoadOptions& options);
std::unique_ptr<Decoder> make_gemma3(Weights& weights, const LoadOptions& options);

}  // namespace wattle
