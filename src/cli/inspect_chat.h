#pragma once

#include "file/model_file.h"

namespace wattle {

/// Prints an example conversation (system, user, assistant, user) as a model's chat template renders it, with
/// its special tokens. `name`: one of its named templates, or empty.
void print_chat(const ModelFile& file, const std::string& name, bool json);

}  // namespace wattle
