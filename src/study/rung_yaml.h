#pragma once

#include <string>

#include <wattle/study.h>

#include "study/plan_task.h"
#include "study/yaml_reader.h"

namespace wattle::inline study {

/// Reads one rung of a plan with that task, strictly: a key that the rung's kind or the task has no use for
/// is an Error, with its place.
Rung read_rung(const YAML::Node& node, const std::string& file, const PlanTask& task);

/// Writes what read_rung() reads back.
void write_rung(YAML::Emitter& out, const Rung& rung);

/// Whether cells of the kind run a model of ours, at a precision.
bool has_precisions(RungKind kind);
/// Whether a rung of the kind is trained on the training rows.
bool learns(RungKind kind);

/// Whether a cascade's `stage` names a cell of the rung: its name, or its name and one of its precisions.
bool names_cell_of(const std::string& stage, const Rung& rung);

}  // namespace wattle::inline study
