#pragma once

#include <CLI/CLI.hpp>

namespace wattle {

/// `wattle bench kernels`.
void add_bench_kernels(CLI::App& bench);

}  // namespace wattle
