#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "decode/options.h"
#include "file/metadata.h"

namespace wattle::inline decode {

/// How a model itself wants its texts continued.
struct GenerationDefaults {
  GenerationOptions options;  ///< for with_defaults(): all but the sampler
  /// What the publisher recommends for drawing; nobody draws without being asked to.
  std::optional<SamplerOptions> sampler;
  std::optional<TokenId> decoder_start;  ///< an encoder-decoder's first token
  std::string prefix;                    ///< of the texts of `task`
};

/// Reads `wattle.generation.*` (read_generation_config() of file/readers.h), and for one of the tasks of
/// Hugging Face's pipelines ("summarization", "translation_en_to_de") what the model has for it. `tokenizer`
/// may be null. Error for values that are damaged.
GenerationDefaults generation_defaults(const Metadata& metadata, const Tokenizer* tokenizer,
                                       int64_t vocabulary, std::string_view task = {});

/// Every token that ends a text, in rising order: the list of generation_config.json or config.json, GGUF's
/// eos, eot and eom, and those that the tokenizer knows by their names. Ids beyond the vocabulary are
/// nobody's tokens and left out.
std::vector<TokenId> end_tokens(const Metadata& metadata, const Tokenizer* tokenizer, int64_t vocabulary);

}  // namespace wattle::inline decode
