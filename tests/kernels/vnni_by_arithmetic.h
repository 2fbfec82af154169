#pragma once

namespace wattle {

struct KernelTable;

/// The kernels of AVX2 with AVX-VNNI on a machine that has AVX2 alone.
const KernelTable& kernels_vnni_by_arithmetic();

}  // namespace wattle
