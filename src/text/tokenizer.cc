#include "text/tokenizer.h"

#include <algorithm>

#include "base/json.h"
#include "text/ggml_pipeline.h"
#include "text/pipeline_tokenizer.h"

namespace wattle::inline text {

std::unique_ptr<Tokenizer> Tokenizer::create(const Metadata& metadata) {
  Vocabulary vocabulary(metadata);
  std::vector<std::string> notes;
  auto described = metadata.text("tokenizer.wattle.pipeline");
  if (!described) described = metadata.text("tokenizer.huggingface.json");
  nlohmann::json steps;
  if (described) {
    steps = parse_json(*described, metadata.origin());
    if (metadata.text("tokenizer.ggml.model") == "bert") unmark_word_starts(vocabulary);
  } else {
    steps = ggml_pipeline(metadata, vocabulary, notes);
  }
  return std::make_unique<PipelineTokenizer>(std::move(vocabulary), JsonView(&steps, metadata.origin()),
                                             metadata, std::move(notes));
}

bool Tokenizer::ends_generation(TokenId id) const {
  return std::find(end_tokens_.begin(), end_tokens_.end(), id) != end_tokens_.end();
}

}  // namespace wattle::inline text
