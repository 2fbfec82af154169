#include "tasks/tag_scheme.h"

#include <algorithm>

namespace wattle::inline tasks {
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

TagWriter::TagWriter(std::span<const std::string> tags) {
  std::map<std::string, std::string> prefixes;  // of each name
  for (const std::string& tag : tags) {
    add(tag);
    if (const char prefix = prefix_of(tag); prefix != '\0') prefixes[tag.substr(2)] += prefix;
  }
  // A mark of the end is one where some name also begins or goes on; else "E-mail" is but a name.
  for (const auto& [name, letters] : prefixes) {
    const auto has = [&](char letter) { return letters.find(letter) != std::string::npos; };
    begins_ |= has('B');
    if (!has('B') && !has('I')) continue;
    for (const char letter : letters) {
      if (letter == 'E' || letter == 'L') end_ = letter;
      if (letter == 'S' || letter == 'U') single_ = letter;
    }
  }
  for (const auto& [name, letters] : prefixes) {
    const bool known = std::ranges::any_of(letters, [&](char letter) {
      return letter == 'B' || letter == 'I' || letter == end_ || letter == single_;
    });
    if (known) names_.insert(name);
  }
  for (const std::string& name : names_) {
    if (begins_) add("B-" + name);
    add("I-" + name);
    if (end_) add(*end_ + ("-" + name));
    if (single_) add(*single_ + ("-" + name));
  }
}

void TagWriter::add(std::string label) {
  if (index_.try_emplace(label, static_cast<int>(labels_.size())).second) labels_.push_back(std::move(label));
}

std::optional<int> TagWriter::find(const std::string& label) const {
  const auto found = index_.find(label);
  return found == index_.end() ? std::nullopt : std::optional(found->second);
}

bool TagWriter::has_name(std::string_view name) const {
  return names_.contains(name) || (index_.contains(name) && !TagScheme::is_outside(name));
}

int TagWriter::label(std::string_view name, size_t place, size_t length) const {
  if (!names_.contains(name)) return index_.find(name)->second;
  const char begin = begins_ ? 'B' : 'I';
  const char prefix = length == 1 && single_        ? *single_
                      : place == 0                  ? begin
                      : place + 1 == length && end_ ? *end_
                                                    : 'I';
  return index_.find(std::string{prefix, '-'}.append(name))->second;
}

}  // namespace wattle::inline tasks
