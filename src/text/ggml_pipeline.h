#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "file/metadata.h"
#include "text/vocabulary.h"

namespace wattle::inline text {

/// The steps of tokenizer.json for a model that keeps only llama.cpp's keys (tokenizer.ggml.model, .pre and
/// flags). Gives the vocabulary the texts and special tokens that those steps mean, and adds to `notes` what
/// the keys leave open. Error naming a model or a pre-tokenizer that is not known.
nlohmann::json ggml_pipeline(const Metadata& metadata, Vocabulary& vocabulary,
                             std::vector<std::string>& notes);

/// "bert" of llama.cpp's converter marks the beginnings of words with U+2581 and strips BERT's "##" from
/// continuations; puts the published texts back.
void unmark_word_starts(Vocabulary& vocabulary);

}  // namespace wattle::inline text
