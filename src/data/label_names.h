#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::inline data {

/// The classes that a data set's labels name.
///
/// Labels that differ in case, white space or compatibility forms alone, or that are one whole number written
/// in two ways ("1", "1.0"), are one class, called by its commonest spelling. Names that are given keep their
/// order, and none of them is merged with another.
class LabelNames {
 public:
  /// `labels`: as the rows have them, blank ones left out. `given`: the names in the order of their indices;
  /// empty: the distinct ones in sorted order, numbers by their value.
  LabelNames(const std::vector<std::string>& labels, std::vector<std::string> given);

  const std::vector<std::string>& names() const { return names_; }
  /// The place of a label's name; else a number is an index. Nothing: it is none of the names.
  std::optional<int> find(const std::string& label) const;
  /// Which spellings were taken for one name, and how many labels were trimmed.
  const std::vector<std::string>& remarks() const { return remarks_; }

 private:
  std::vector<std::string> names_;
  std::map<std::string, int> exact_, folded_;
  std::vector<std::string> remarks_;
};

}  // namespace wattle::inline data
