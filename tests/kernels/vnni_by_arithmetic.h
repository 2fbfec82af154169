#pragma once

namespace wattle::inline kernels {
struct KernelTable;
}  // namespace wattle::inline kernels

namespace wattle {

/// The kernels of AVX2 with AVX-VNNI on a machine that has AVX2 alone.
const KernelTable& kernels_vnni_by_arithmetic();

}  // namespace wattle
