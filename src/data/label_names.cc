#include "data/label_names.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data/folded.h"
#include "tasks/raw_rows.h"
#include "text/unicode.h"

namespace wattle::inline data {
namespace {

/// "1" for "1.0" too: programs that know missing values write whole numbers so.
std::string key_of(std::string_view label) {
  std::string key = folded(label);
  const size_t dot = key.find('.');
  const bool number = dot != std::string::npos && dot > 0 && dot + 1 < key.size() &&
                      key.find_first_not_of("0123456789", key[0] == '-' ? 1 : 0) == dot &&
                      key.find_first_not_of('0', dot + 1) == std::string::npos;
  if (number) key.resize(dot);
  return key;
}

struct Spelling {
  std::string text;
  int64_t count = 0;
};

/// The spellings of each class, the commonest first.
using Classes = std::map<std::string, std::vector<Spelling>>;

Classes classes_of(const std::vector<std::string>& labels) {
  std::map<std::string, int64_t> counts;
  for (const std::string& label : labels) ++counts[label];
  Classes classes;
  for (const auto& [label, count] : counts) classes[key_of(label)].push_back({label, count});
  for (auto& [key, spellings] : classes)
    std::ranges::stable_sort(spellings, std::greater(), &Spelling::count);
  return classes;
}

std::string merged(const std::string& name, const std::vector<Spelling>& spellings) {
  std::vector<std::string> texts;
  for (const Spelling& spelling : spellings) {
    texts.push_back(fmt::format("\"{}\" ({})", spelling.text, spelling.count));
  }
  return fmt::format("{} are one label, \"{}\"", fmt::join(texts, ", "), name);
}

}  // namespace

LabelNames::LabelNames(const std::vector<std::string>& labels, std::vector<std::string> given)
    : names_(std::move(given)) {
  const Classes classes = classes_of(labels);
  if (names_.empty()) {
    for (const auto& [key, spellings] : classes) {
      const std::string_view name = trimmed(spellings.front().text);
      // "1.0" is called 1.
      const bool whole = name.size() > key.size() && name.starts_with(key) && name[key.size()] == '.';
      names_.emplace_back(whole ? std::string_view(key) : name);
    }
    names_ = distinct_sorted(names_);
  }
  const auto n = static_cast<int>(names_.size());
  for (int i = 0; i < n; ++i) exact_.emplace(std::to_string(i), i);
  // Names win over indices: a set whose labels are called "1", "2" means them.
  for (int i = 0; i < n; ++i) exact_[names_[static_cast<size_t>(i)]] = i;
  std::map<std::string, int> uses;
  for (const std::string& name : names_) ++uses[key_of(name)];
  for (int i = 0; i < n; ++i) {
    const std::string key = key_of(names_[static_cast<size_t>(i)]);
    if (uses[key] == 1) folded_.emplace(key, i);
  }
  int64_t spaced = 0;
  for (const auto& [key, spellings] : classes) {
    for (const Spelling& spelling : spellings) {
      spaced += trimmed(spelling.text) == spelling.text ? 0 : spelling.count;
    }
    const std::optional<int> place = find(spellings.front().text);
    if (spellings.size() < 2 || !place) continue;
    const auto all_there = [&](const Spelling& spelling) { return find(spelling.text) == place; };
    if (std::ranges::all_of(spellings, all_there)) {
      remarks_.push_back(merged(names_[static_cast<size_t>(*place)], spellings));
    }
  }
  if (spaced > 0) {
    remarks_.push_back(fmt::format("{} label{} white space around {}, which is left out", spaced,
                                   spaced == 1 ? " has" : "s have", spaced == 1 ? "it" : "them"));
  }
}

std::optional<int> LabelNames::find(const std::string& label) const {
  if (const auto found = exact_.find(label); found != exact_.end()) return found->second;
  if (const auto found = exact_.find(std::string(trimmed(label))); found != exact_.end())
    return found->second;
  if (const auto found = folded_.find(key_of(label)); found != folded_.end()) return found->second;
  return std::nullopt;
}

}  // namespace wattle::inline data
