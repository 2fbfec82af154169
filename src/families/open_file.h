#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "file/model_file.h"

namespace wattle::inline families {

/// Opens any model file: GGUF, a Hugging Face folder (or the weights in one), or weights without metadata.
/// Tensors and metadata of a folder come under GGUF's names and keys, as the description of its family says;
/// what GGUF has no key for goes under keys of this project: `tokenizer.wattle.lowercase` and
/// `tokenizer.wattle.strip_accents` (flags of a WordPiece tokenizer), `tokenizer.wattle.max_length` (the
/// tokens of a text that Sentence Transformers reads, where that is stated), `wattle.normalize_embeddings`
/// (whether the published embeddings have length 1, where that is stated), `wattle.head`, `wattle.labels`,
/// `wattle.problem_type` (families/heads.h). Error for a tensor that the family does not read, unless it is
/// known to be a buffer or of a part that is left out, which ModelFile::notes says.
ModelFile open_model_file(const std::filesystem::path& path);

/// The metadata of config.json alone, its family's description filled in by tensors without bytes: what
/// shape:NAME is made of.
ModelFile::Contents contents_of_config(const nlohmann::json& config, const std::string& origin);

}  // namespace wattle::inline families
