#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace wattle::inline tasks {

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

/// The other direction: the labels that tokens of a span have in the scheme that some tags are written in:
/// plain names, I-, B- and I-, or these with E- or L- and S- or U-. A span that words name by one tag may
/// take several tokens, so labels that the scheme knows and the tags happen to lack are added.
class TagWriter {
 public:
  explicit TagWriter(std::span<const std::string> tags);

  /// The tags in their order, each once, and what the scheme adds.
  const std::vector<std::string>& labels() const { return labels_; }
  std::optional<int> outside() const { return find("O"); }
  bool has_name(std::string_view name) const;
  /// The label, as an index, of token `place` of the `length` tokens of a span. Only for names that it has.
  int label(std::string_view name, size_t place, size_t length) const;

 private:
  std::optional<int> find(const std::string& label) const;
  void add(std::string label);

  std::vector<std::string> labels_;
  std::map<std::string, int, std::less<>> index_;
  std::set<std::string, std::less<>> names_;  ///< those with prefixes
  bool begins_ = false;
  std::optional<char> end_, single_;
};

}  // namespace wattle::inline tasks
