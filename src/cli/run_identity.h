#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace wattle {

/// The options of a verb that were given, with their values, except those named (which do not change what is
/// written). A value that is a file counts with its content's length and time.
std::string options_text(const CLI::App& verb, const std::vector<std::string>& except);

/// What a model is, without reading its weights: each file's name, length and time of change; a shape's name.
std::string model_identity(const std::string& path);

/// What the rows of an unfinished run follow from, for PartialOutput: program, models, options, input.
nlohmann::ordered_json run_identity(const std::vector<std::string>& models, const std::string& options,
                                    const std::string& input_sha256);

}  // namespace wattle
