#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace wattle {

/// A token, or a word, with what a head says about it.
struct TaggedPiece {
  ByteRange bytes;
  int label = 0;
  float score = 0;
};

/// How labels of tokens name spans: by the prefixes B- (begins), I- (goes on) and, where the labels have them
/// with names that also begin or go on, E- or L- (ends) and S- or U- (stands alone); a label without a prefix
/// goes on.
class TagScheme {
 public:
  explicit TagScheme(std::span<const std::string> labels);

  /// Runs of pieces that are one span, in order: [first, last] of the pieces.
  struct Run {
    size_t first, last;
    std::string_view name;  ///< the label without its prefix
  };
  std::vector<Run> runs(std::span<const TaggedPiece> pieces) const;
  /// "O" marks what belongs to no span.
  static bool is_outside(std::string_view name) { return name == "O"; }

 private:
  struct Tag {
    std::string name;
    bool begins = false, ends = false;
  };
  std::vector<Tag> tags_;
};

}  // namespace wattle
