#include "data/task_guess.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "data/files.h"
#include "data/row_parts.h"
#include "data/table_rows.h"
#include "tasks/file_text.h"
#include "tasks/json.h"
#include "tasks/raw_rows.h"

namespace wattle::inline data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Names = std::vector<std::string_view>;

constexpr size_t kSample = 200;

/// Columns, one of each list, that no other task has together.
struct Mark {
  std::string_view task;
  std::vector<Names> columns;
};

const std::vector<Mark>& marks() {
  static const std::vector<Mark> kMarks{
      {"answer", {{"question"}, {"context", "passage", "paragraph"}, {"answers", "answer", "answer_text"}}},
      {"answer", {{"paragraphs"}, {"title"}}},
      {"choose",
       {{"question", "query", "stem"},
        {"choices", "options", "endings"},
        {"label", "answerKey", "answer_key", "answer", "correct", "gold"}}},
      {"tag", {{"tokens", "words", "text"}, {"tags", "ner_tags", "spans", "entities"}}},
      {"rank", {{"query"}, {"documents", "docs", "passages", "positive", "candidates"}}},
      {"similarity",
       {{"sentence1", "text1", "sentence_A", "sentence_a", "text"},
        {"sentence2", "text2", "sentence_B", "sentence_b", "text_pair", "pair"},
        {"score", "similarity", "similarity_score", "relatedness_score"}}},
      {"summarise",
       {{"text", "document", "article", "dialogue", "transcript", "report"},
        {"summary", "summaries", "highlights", "tldr"}}},
      {"translate", {{"text", "source", "src"}, {"translation", "translations", "tgt"}}},
      {"generate",
       {{"prompt", "instruction"}, {"completion", "response", "output", "reference", "references"}}},
  };
  return kMarks;
}

std::string and_list(const std::vector<std::string>& names) {
  if (names.size() < 2) return names.empty() ? "" : names.front();
  return fmt::format("{} and {}", fmt::join(names.begin(), names.end() - 1, ", "), names.back());
}

/// The first rows, and the columns that they have, in order.
struct Sample {
  std::vector<RawRow> rows;
  std::vector<std::string> columns;

  explicit Sample(const fs::path& file) {
    RawRows raw = read_raw_rows(file, RowFormat::kByName, "text", BadRows::kLeaveOut);
    rows = std::move(raw.rows);
    std::set<std::string> seen;
    for (size_t i = 0; i < std::min(rows.size(), kSample); ++i) {
      for (const auto& item : rows[i].fields.items()) {
        if (seen.insert(item.key()).second) columns.push_back(item.key());
      }
    }
  }

  bool has(std::string_view column) const { return std::ranges::find(columns, column) != columns.end(); }
  std::optional<std::string> first_of(const Names& names) const {
    for (const std::string_view name : names) {
      if (has(name)) return std::string(name);
    }
    return std::nullopt;
  }
  /// Whether its values are texts that differ nearly all, of several words in most rows.
  bool is_prose(const std::string& column) const {
    size_t texts = 0, of_words = 0;
    std::set<std::string> different;
    for (size_t i = 0; i < std::min(rows.size(), kSample); ++i) {
      const Json* value = value_at(rows[i].fields, column);
      if (value == nullptr || !value->is_string() || number_of(*value)) continue;
      const auto& text = value->get_ref<const std::string&>();
      ++texts;
      of_words += text.find(' ') != std::string::npos;
      different.insert(text);
    }
    return texts > 0 && 2 * different.size() > texts && 2 * of_words > texts;
  }
};

/// Texts with a place for a word, and the word.
std::optional<TaskGuess> by_masks(const Sample& sample) {
  const auto text = sample.first_of({"text", "sentence", "masked_text", "masked_sentence"}),
             word = sample.first_of({"target", "answer", "word", "obj_label", "label"});
  if (!text || !word || sample.rows.empty()) return std::nullopt;
  const auto is_masked = [&](const RawRow& row) {
    const Json* value = value_at(row.fields, *text);
    if (value == nullptr || !value->is_string()) return false;
    const auto& words = value->get_ref<const std::string&>();
    return words.find("[MASK]") != std::string::npos || words.find("<mask>") != std::string::npos;
  };
  const auto masked = static_cast<size_t>(std::ranges::count_if(sample.rows, is_masked));
  if (2 * masked <= sample.rows.size()) return std::nullopt;
  return TaskGuess{"fill", {}, fmt::format("the masks in {} and the column {}", *text, *word)};
}

std::optional<TaskGuess> by_marks(const Sample& sample) {
  if (auto guess = by_masks(sample)) return guess;
  for (const Mark& mark : marks()) {
    std::vector<std::string> found;
    for (const Names& names : mark.columns) {
      if (auto column = sample.first_of(names)) found.push_back(std::move(*column));
    }
    if (found.size() == mark.columns.size())
      return TaskGuess{std::string(mark.task), {}, "the columns " + and_list(found)};
  }
  return std::nullopt;
}

std::optional<std::string> column_of(const Sample& sample, const TaskFields& named, const char* part) {
  if (const auto given = named.find(part); given != named.end()) return given->second;
  for (const TaskPart& known : data_task("classify").parts) {
    if (known.name == part) return sample.first_of(known.usual);
  }
  return std::nullopt;
}

}  // namespace

TaskFields table_fields(const fs::path& path, const std::string& column) {
  constexpr size_t kMostClasses = 20;
  const fs::path file = find_data_files(path).eval;
  std::set<double> different;
  bool whole = true;
  const Sample sample(file);
  for (const RawRow& row : sample.rows) {
    const Json* value = value_at(row.fields, column);
    if (value == nullptr || is_missing(*value)) continue;
    const auto number = number_of(*value);
    if (!number) return {{"label", column}};
    whole = whole && *number == std::trunc(*number);
    different.insert(*number);
  }
  const bool named = !names_of_meta(file).empty();
  const bool as_number = !named && (!whole || different.size() > kMostClasses);
  return {{as_number ? "score" : "label", column}};
}

TaskGuess guess_task(const fs::path& path, const TaskFields& named) {
  const fs::path file = find_data_files(path).eval;
  const Sample sample(file);
  if (sample.rows.empty()) fail("{}: holds no rows; give a file with at least one", origin_of(file));
  if (named.empty()) {
    if (auto guess = by_marks(sample)) return *guess;
  }
  const auto label = column_of(sample, named, "label"), text = column_of(sample, named, "text");
  if (label && text && *label != *text) {
    TaskGuess guess{"classify", {{"text", *text}, {"label", *label}}, {}};
    guess.why = fmt::format("the text {} and the label {}", *text, *label);
    if (named.contains("text") || *text == "text" || sample.is_prose(*text)) return guess;
  }
  const std::string told = label ? *label : sample.first_of({"target", "y", "outcome"}).value_or("");
  const bool prose =
      std::ranges::any_of(sample.columns, [&](const std::string& column) { return sample.is_prose(column); });
  if (!told.empty() && !prose && sample.columns.size() > 1 && !named.contains("text")) {
    TaskGuess guess{"table", table_fields(path, told), {}};
    guess.why = fmt::format("the column {}, which is told from the others", told);
    return guess;
  }
  fail("{}: its columns ({}) may be several things; say which task they are for", origin_of(file),
       fmt::join(sample.columns, ", "));
}

}  // namespace wattle::inline data
