#pragma once

namespace wattle {

/// Size of the one OpenMP team, for the whole process (`--threads`; default: physical cores). Error below 1 or above
/// 4 x the processors, which is a typing mistake rather than a wish.
void set_threads(int threads);
int threads();

}  // namespace wattle
