#pragma once

#include <string>
#include <string_view>

namespace wattle::inline data {

/// What texts share that differ in case, white space, full-width and other compatibility forms alone: NFKC
/// with full case folding (Unicode 15, section 3.13), runs of white space as one space, none at the ends,
/// characters that are not seen (zero-width spaces, soft hyphens) dropped.
std::string folded(std::string_view text);

}  // namespace wattle::inline data
