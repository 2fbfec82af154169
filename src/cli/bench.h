#pragma once

#include "cli/verbs.h"

namespace wattle {

/// `wattle bench kernels`.
void add_bench_kernels(CLI::App& bench);

/// `wattle bench MODEL`: tokens/s, joules per token and the share of the machine's limits.
void add_bench_model(CLI::App& bench, const GlobalOptions& options);

}  // namespace wattle
