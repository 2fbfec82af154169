#pragma once

#include <string>

#include <wattle/study.h>
#include <yaml-cpp/yaml.h>

#include "study/yaml_reader.h"

namespace wattle::inline study {

/// `quick` of a plan whose rungs were read: {rungs: [...], precisions: [...], rows: N}, each left out where
/// the plan's own is meant. Error for a rung or precision that the plan has not.
void read_quick(YamlMap& map, Plan& plan, const std::string& file);
void write_quick(YAML::Emitter& out, const Plan& plan);

/// `published` of a rung: {model: OWNER/NAME, max_tokens: N, words: {...}}.
void read_published(YamlMap& map, Rung& rung, const std::string& file);
void write_published(YAML::Emitter& out, const Rung& rung);

}  // namespace wattle::inline study
