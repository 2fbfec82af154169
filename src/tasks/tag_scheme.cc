#include "tasks/tag_scheme.h"

#include <algorithm>

namespace wattle {
namespace {

char prefix_of(std::string_view label) {
  return label.size() > 2 && label[1] == '-' ? label[0] : '\0';
}

}  // namespace

TagScheme::TagScheme(std::span<const std::string> labels) {
  const auto has = [&](char prefix, std::string_view name) {
    return std::ranges::any_of(labels, [&](const std::string& label) {
      return prefix_of(label) == prefix && std::string_view(label).substr(2) == name;
    });
  };
  for (const std::string& label : labels) {
    const char prefix = prefix_of(label);
    const std::string_view name = std::string_view(label).substr(prefix != '\0' ? 2 : 0);
    Tag tag{label};
    const bool marks_end = std::string_view("ELSU").find(prefix) != std::string_view::npos && prefix != '\0';
    if (prefix == 'B' || prefix == 'I' || (marks_end && (has('B', name) || has('I', name)))) {
      tag.name = name;
      tag.begins = prefix == 'B' || prefix == 'S' || prefix == 'U';
      tag.ends = marks_end;
    }
    tags_.push_back(std::move(tag));
  }
}

std::vector<TagScheme::Run> TagScheme::runs(std::span<const TaggedPiece> pieces) const {
  std::vector<Run> runs;
  bool open = false;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Tag& tag = tags_[static_cast<size_t>(pieces[i].label)];
    if (open && !tag.begins && runs.back().name == tag.name) {
      runs.back().last = i;
    } else {
      runs.push_back({i, i, tag.name});
    }
    open = !tag.ends;
  }
  return runs;
}

}  // namespace wattle
