#include "data/split.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/sha256.h"
#include "base/utf8.h"
#include "data/folded.h"

namespace wattle::inline data {
namespace {

/// Where a text stands in a draw. The seed salts it: rows that were once chosen by the hash of their text are
/// as mixed as any others under another seed and another purpose.
std::string place_of(uint64_t seed, std::string_view purpose, std::string_view text) {
  return sha256_hex(fmt::format("{} {} {}", purpose, seed, text));
}

/// Rows with one text, in its first row's class.
struct SameText {
  std::string place;
  int of_class = 0;
  std::vector<size_t> rows;
};

/// In the order of the draw.
std::vector<SameText> same_texts(const std::vector<std::string>& texts, const std::vector<int>& classes,
                                 uint64_t seed) {
  std::map<std::string, SameText> by_fold;
  for (size_t i = 0; i < texts.size(); ++i) {
    SameText& same = by_fold[folded(texts[i])];
    if (same.rows.empty()) same.of_class = classes[i];
    // The first of their places, whichever row comes first.
    std::string place = place_of(seed, "split", texts[i]);
    if (same.rows.empty() || place < same.place) same.place = std::move(place);
    same.rows.push_back(i);
  }
  std::vector<SameText> all;
  for (auto& [fold, same] : by_fold) all.push_back(std::move(same));
  std::ranges::sort(all, {}, &SameText::place);
  return all;
}

/// How many of a class's texts are for evaluation. One that is alone is there to be learnt.
size_t texts_for_evaluation(size_t texts, double eval_share) {
  if (texts < 2) return 0;
  const auto share = static_cast<size_t>(std::lround(eval_share * static_cast<double>(texts)));
  return std::clamp<size_t>(share, 1, texts - 1);
}

std::string rows_text(int64_t count, std::string_view one, std::string_view several) {
  return fmt::format("{} {}", count, count == 1 ? one : several);
}

std::string shortened(std::string_view text) {
  constexpr size_t kMost = 60;
  return text.size() <= kMost ? std::string(text)
                              : std::string(whole_characters(text.substr(0, kMost))) + "...";
}

/// "a" (1), "b" (2) and 7 more
std::string listed(const std::vector<std::string>& items) {
  constexpr size_t kMost = 8;
  const size_t n = std::min(items.size(), kMost);
  std::string text =
      fmt::format("{}", fmt::join(items.begin(), items.begin() + static_cast<ptrdiff_t>(n), ", "));
  if (items.size() > n) text += fmt::format(" and {} more", items.size() - n);
  return text;
}

std::vector<int64_t> counts_of(const std::vector<int>& classes, size_t n) {
  std::vector<int64_t> counts(n);
  for (const int one : classes) ++counts[static_cast<size_t>(one)];
  return counts;
}

}  // namespace

std::string all_text(const Question& question) {
  constexpr char kUnit = '\x1f';
  const auto join = [](std::string text, const std::vector<std::string>& more) {
    for (const std::string& part : more) text += kUnit + part;
    return text;
  };
  const auto text = [&](const auto& content) -> std::string {
    using Content = std::decay_t<decltype(content)>;
    if constexpr (std::is_same_v<Content, std::string>) {
      return content;
    } else if constexpr (std::is_same_v<Content, TextPair>) {
      return join(content.first, {content.second});
    } else if constexpr (std::is_same_v<Content, Ranking>) {
      return join(content.query, content.documents);
    } else if constexpr (std::is_same_v<Content, MultipleChoice>) {
      return join(content.question, content.choices);
    } else if constexpr (std::is_same_v<Content, Conversation>) {
      std::string all;
      for (const ChatMessage& message : content.messages) all = join(std::move(all), {message.content});
      return all;
    } else if constexpr (requires { content.cells; }) {
      std::vector<std::string> cells;  // of a table's row
      const auto cell_text = [](const auto& cell) -> std::string {
        if constexpr (requires { cell.size(); }) {
          return cell;
        } else if constexpr (std::is_arithmetic_v<std::decay_t<decltype(cell)>>) {
          return fmt::format("{}", cell);
        } else {
          return {};
        }
      };
      for (const auto& cell : content.cells) cells.push_back(std::visit(cell_text, cell));
      return join({}, cells);
    } else {
      return fmt::format("{}", fmt::join(content.ids, " "));
    }
  };
  return std::visit(text, question.content);
}

std::vector<bool> split_rows(const std::vector<std::string>& texts, const std::vector<int>& classes,
                             double eval_share, uint64_t seed) {
  std::vector<bool> for_evaluation(texts.size());
  const auto choose = [&](const SameText& same) {
    for (const size_t row : same.rows) for_evaluation[row] = true;
  };
  const std::vector<SameText> all = same_texts(texts, classes, seed);
  std::map<int, std::vector<const SameText*>> by_class;
  for (const SameText& same : all) by_class[same.of_class].push_back(&same);
  bool any = false;
  for (const auto& [of_class, own] : by_class) {
    const size_t n = texts_for_evaluation(own.size(), eval_share);
    for (size_t i = 0; i < n; ++i) choose(*own[i]);
    any = any || n > 0;
  }
  if (!any && all.size() > 1) choose(all.front());
  return for_evaluation;
}

std::vector<size_t> draw_rows(const std::vector<std::string>& texts, int64_t most, uint64_t seed) {
  std::vector<size_t> rows(texts.size());
  std::iota(rows.begin(), rows.end(), size_t{0});
  if (most == 0 || static_cast<int64_t>(rows.size()) <= most) return rows;
  std::vector<std::pair<std::string, size_t>> order;
  for (const size_t row : rows) order.emplace_back(place_of(seed, "keep", texts[row]), row);
  std::ranges::sort(order);
  rows.clear();
  for (int64_t i = 0; i < most; ++i) rows.push_back(order[static_cast<size_t>(i)].second);
  std::ranges::sort(rows);
  return rows;
}

std::vector<std::string> repeat_remarks(const std::vector<std::string>& texts,
                                        const std::vector<int>& classes) {
  std::map<std::string, std::vector<size_t>> by_fold;
  for (size_t i = 0; i < texts.size(); ++i) by_fold[folded(texts[i])].push_back(i);
  int64_t repeats = 0, near = 0, conflicts = 0;
  size_t first_conflict = texts.size();
  for (const auto& [fold, rows] : by_fold) {
    std::set<std::string_view> spellings;
    std::set<int> own;
    for (const size_t row : rows) {
      spellings.insert(texts[row]);
      if (!classes.empty()) own.insert(classes[row]);
    }
    repeats += static_cast<int64_t>(rows.size()) - 1;
    near += static_cast<int64_t>(spellings.size()) - 1;
    if (own.size() < 2) continue;
    ++conflicts;
    first_conflict = std::min(first_conflict, rows.front());
  }
  std::vector<std::string> remarks;
  if (repeats > 0) {
    std::string remark = rows_text(repeats, "row repeats", "rows repeat") + " the text of another";
    if (near > 0) remark += fmt::format(", {} of them but for case, white space or width", near);
    remarks.push_back(std::move(remark));
  }
  if (conflicts > 0) {
    remarks.push_back(
        fmt::format("{} more than one label (\"{}\"): no answer can be right for all their rows",
                    rows_text(conflicts, "text has", "texts have"), shortened(texts[first_conflict])));
  }
  return remarks;
}

std::vector<std::string> overlap_remarks(const std::vector<std::string>& train,
                                         const std::vector<std::string>& eval) {
  std::set<std::string> learnt;
  for (const std::string& text : train) learnt.insert(folded(text));
  const auto count =
      std::ranges::count_if(eval, [&](const std::string& text) { return learnt.count(folded(text)) > 0; });
  if (count == 0) return {};
  return {fmt::format(
      "{} also for training, so quality is better than on new rows; "
      "`split: hash` keeps equal texts together",
      rows_text(count, "evaluation row has a text that is", "evaluation rows have texts that are"))};
}

std::vector<std::string> class_remarks(const std::vector<int>& train, const std::vector<int>& eval,
                                       const std::vector<std::string>& names) {
  constexpr int64_t kFew = 5;
  const std::vector<int64_t> learnt = counts_of(train, names.size()), asked = counts_of(eval, names.size());
  std::vector<std::string> untrained, rare, unasked, once;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string name = fmt::format("\"{}\"", names[i]);
    if (learnt[i] == 0) untrained.push_back(name);
    if (learnt[i] > 0 && learnt[i] < kFew) rare.push_back(fmt::format("{} ({})", name, learnt[i]));
    if (asked[i] == 0) unasked.push_back(name);
    if (learnt[i] + asked[i] == 1) once.push_back(name);
  }
  std::vector<std::string> remarks;
  const auto remark = [&](const std::vector<std::string>& labels, std::string_view one,
                          std::string_view several, std::string_view after) {
    if (labels.empty()) return;
    remarks.push_back(fmt::format("{} {}{}", labels.size() == 1 ? one : several, listed(labels), after));
  };
  if (!train.empty()) {
    remark(untrained, "no training row has the label", "no training row has the labels", "");
    remark(rare, "fewer than 5 training rows have the label", "fewer than 5 training rows have the labels",
           "");
  }
  remark(once, "a single row has the label", "a single row has each of the labels", "");
  remark(unasked, "no evaluation row has the label", "no evaluation row has the labels",
         unasked.size() == 1 ? "; its quality is not known" : "; their quality is not known");
  return remarks;
}

}  // namespace wattle::inline data
