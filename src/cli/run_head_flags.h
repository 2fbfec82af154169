#pragma once

#include <CLI/CLI.hpp>

#include "tasks/task.h"

namespace wattle {

/// Flags of `run` for the tasks of models' own heads.
void add_head_flags(CLI::App& verb, HeadOptions& head);
/// Those of embedding and translating.
void add_text_flags(CLI::App& verb, TaskOptions& task);

}  // namespace wattle
