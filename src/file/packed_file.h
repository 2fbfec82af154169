#pragma once

#include <string_view>

namespace wattle::inline file {

/// A packed file is GGUF whose matrices lie as the kernels stream them (tensor/panels.h), so that they run
/// from the mapping. Types, shapes and sizes are the matrices' own; the architecture is kPackedArchitecture,
/// which other programs refuse instead of reading weights in the wrong order. The reader puts the true
/// architecture back and marks the tensors.
inline constexpr std::string_view kPackedArchitecture = "wattle-packed";
inline constexpr std::string_view kPackedTrueArchitecture = "wattle.packed.architecture";
inline constexpr std::string_view kPackedVersion = "wattle.packed.version";  ///< kPanelVersion of the writer
inline constexpr std::string_view kPackedTensors =
    "wattle.packed.tensors";  ///< names of the matrices in panels

}  // namespace wattle::inline file
