#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tasks/task.h"

namespace wattle::inline tasks {

/// How a model is asked to summarise or to translate.
struct Rewording {
  std::string instruction = "{text}";  ///< of a decoder: its prompt
  std::string defaults;  ///< the model's own settings for it: a task of Hugging Face's pipelines, or empty
  std::string prefix;    ///< of the texts that an encoder-decoder reads
  /// Of encoder-decoders with tokens for languages: those tokens in rising order, the one that stands for the
  /// text's language, the one that the answer begins with.
  std::vector<TokenId> languages;
  std::optional<TokenId> source, target;
  /// The text's first token attends to all of it, and all of it to that one (LED, as its authors have it for
  /// summaries).
  bool first_is_global = false;
};

/// Error for languages that the model does not know, or knows and was not told.
Rewording summarising(const Model& model, const TaskOptions& options);
Rewording translating(const Model& model, const TaskOptions& options);

}  // namespace wattle::inline tasks
