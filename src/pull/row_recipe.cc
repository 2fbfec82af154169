#include "pull/row_recipe.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include <fmt/ranges.h>
#include <wattle/error.h>
#include <yaml-cpp/yaml.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/output_file.h"
#include "base/sha256.h"
#include "tasks/raw_rows.h"

namespace wattle::inline pull {

std::string_view embedded_cloze_yaml();
std::string_view embedded_dialogsum_yaml();
std::string_view embedded_imdb_yaml();
std::string_view embedded_rotten_tomatoes_yaml();
std::string_view embedded_samsum_yaml();
std::string_view embedded_sciq_yaml();
std::string_view embedded_squad_yaml();
std::string_view embedded_squad_v2_yaml();
std::string_view embedded_sst2_yaml();
std::string_view embedded_wikigold_yaml();
std::string_view embedded_wikitext2_yaml();
std::string_view embedded_wikitext2_masked_yaml();
std::string_view embedded_wnut17_yaml();
std::string_view embedded_xsum_yaml();

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kRecipePrefix = "recipe:";
constexpr size_t kHashBytes = 8;
constexpr std::string_view kBlanks = " \t\r\n\v\f";

struct KnownRecipe {
  std::string_view name;
  std::string_view (*yaml)();
};
constexpr std::array kRecipes{KnownRecipe{"sst2", embedded_sst2_yaml},
                              KnownRecipe{"imdb", embedded_imdb_yaml},
                              KnownRecipe{"rotten_tomatoes", embedded_rotten_tomatoes_yaml},
                              KnownRecipe{"sciq", embedded_sciq_yaml},
                              KnownRecipe{"squad", embedded_squad_yaml},
                              KnownRecipe{"squad_v2", embedded_squad_v2_yaml},
                              KnownRecipe{"wikigold", embedded_wikigold_yaml},
                              KnownRecipe{"wnut17", embedded_wnut17_yaml},
                              KnownRecipe{"cloze", embedded_cloze_yaml},
                              KnownRecipe{"wikitext2-masked", embedded_wikitext2_masked_yaml},
                              KnownRecipe{"wikitext2", embedded_wikitext2_yaml},
                              KnownRecipe{"samsum", embedded_samsum_yaml},
                              KnownRecipe{"xsum", embedded_xsum_yaml},
                              KnownRecipe{"dialogsum", embedded_dialogsum_yaml}};

std::string_view without_blanks_round(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (size_t begin = 0; (begin = text.find_first_not_of(kBlanks, begin)) != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBlanks, begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

/// The first 8 bytes of SHA-256 over the values of the hashed fields as one compact JSON list, in hexadecimal
/// digits (tools/make_recipes.py).
std::string row_hash(const Json& fields, const std::vector<std::string>& hashed, const std::string& place) {
  Json values = Json::array();
  for (const std::string& field : hashed) {
    if (!fields.contains(field))
      fail("{}: has no field `{}`; take the data set as its recipe names it", place, field);
    values.push_back(fields[field]);
  }
  return sha256_hex(values.dump()).substr(0, 2 * kHashBytes);
}

const Json& field_of(const Json& row, const std::string& field, const RowRecipe& recipe) {
  const auto found = row.find(field);
  if (found == row.end())
    fail("recipe {}: its rows have no field `{}`, of which an input is made", recipe.name, field);
  return *found;
}

/// What stands between the braces: a field, and which of its words.
std::string part_of(const Json& row, const std::string& part, const RowRecipe& recipe) {
  const size_t mark = part.find_first_of(":#");
  const Json& value = field_of(row, part.substr(0, mark), recipe);
  if (part.ends_with(":name")) {
    if (!value.is_number_unsigned() || value.get<size_t>() >= recipe.labels.size())
      fail("recipe {}: `{}` is asked for, and {} is no place in its labels", recipe.name, part, value.dump());
    return recipe.labels[value.get<size_t>()];
  }
  if (!value.is_string()) fail("recipe {}: `{}` is no text; an input takes it whole", recipe.name, part);
  const auto& text = value.get_ref<const std::string&>();
  if (mark == std::string::npos) return text;
  size_t number = 0;
  const auto [end, code] = std::from_chars(part.data() + mark + 1, part.data() + part.size(), number);
  if (code != std::errc() || end != part.data() + part.size())
    fail("recipe {}: what follows the field in `{}` is neither a number of words nor `name`", recipe.name,
         part);
  std::vector<std::string> words = words_of(text);
  if (part[mark] == '#') {
    if (number < 1 || number > words.size()) fail("recipe {}: a row has no word {}", recipe.name, number);
    return words[number - 1];
  }
  words.resize(std::min(words.size(), number));
  return fmt::format("{}", fmt::join(words, " "));
}

/// `made` with the row's fields in the places of their names. A field alone keeps its type.
Json made_of(const Json& row, const std::string& made, const RowRecipe& recipe) {
  const bool alone = made.starts_with('{') && made.find('}') == made.size() - 1;
  if (alone && made.find_first_of(":#") == std::string::npos)
    return field_of(row, made.substr(1, made.size() - 2), recipe);
  std::string text;
  for (size_t at = 0; at < made.size();) {
    const size_t open = std::min(made.find('{', at), made.size()), close = made.find('}', open);
    text += made.substr(at, open - at);
    if (open == made.size()) break;
    if (close == std::string::npos) fail("recipe {}: a brace of `{}` is not closed", recipe.name, made);
    text += part_of(row, made.substr(open + 1, close - open - 1), recipe);
    at = close + 1;
  }
  return text;
}

/// The file of rows, or nothing where the root has not that data set.
std::optional<fs::path> rows_below(const fs::path& root, const RowRecipe& recipe) {
  for (const char* file : {"eval.jsonl", "eval.jsonl.gz"}) {
    if (const fs::path path = root / recipe.folder / file; fs::exists(path)) return path;
  }
  return std::nullopt;
}

/// The rows by their hashes; of rows that are the same the last.
std::map<std::string, Json> rows_by_hash(const fs::path& path, const RowRecipe& recipe) {
  std::map<std::string, Json> rows;
  const RawRows raw = read_raw_rows(path, RowFormat::kJsonl, "text");
  for (const RawRow& row : raw.rows) {
    if (recipe.lines.empty()) {
      rows[row_hash(row.fields, recipe.hashed, row.place)] = row.fields;
      continue;
    }
    const Json& whole = field_of(row.fields, recipe.lines, recipe);
    if (!whole.is_string()) fail("{}: `{}` is no text", row.place, recipe.lines);
    std::string_view text = whole.get_ref<const std::string&>();
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = without_blanks_round(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
      if (line.empty()) continue;
      const Json fields{{recipe.lines, std::string(line)}};
      rows[row_hash(fields, recipe.hashed, row.place)] = fields;
    }
  }
  return rows;
}

std::string made_rows(const RowRecipe& recipe, const std::map<std::string, std::string>& input,
                      const fs::path& path) {
  const std::map<std::string, Json> rows = rows_by_hash(path, recipe);
  std::string text;
  for (size_t i = 0; i < recipe.hashes.size(); ++i) {
    const auto row = rows.find(recipe.hashes[i]);
    if (row == rows.end()) {
      const auto missing =
          std::ranges::count_if(recipe.hashes, [&](const auto& hash) { return !rows.contains(hash); });
      fail("{}: row {} of the recipe {} (hash {}) is missing or differs, and {} in all; take {}, {}",
           path.string(), i, recipe.name, recipe.hashes[i], missing, recipe.source, recipe.split);
    }
    Json fields{{"id", fmt::format("{}-{}", recipe.name, i)}};
    for (const auto& [field, made] : input) fields[field] = made_of(row->second, made, recipe);
    text += fields.dump() + "\n";
  }
  return text;
}

std::vector<std::string> hashes_of(const std::string& base64, size_t rows, const std::string& origin) {
  std::string packed;
  for (const char c : base64) {
    if (kBlanks.find(c) == std::string_view::npos) packed += c;
  }
  const std::optional<std::string> bytes = from_base64(packed);
  if (!bytes || bytes->size() != kHashBytes * rows)
    fail("{}: `hashes` must be base64 of {} bytes a row for {} rows; make the recipe again", origin,
         kHashBytes, rows);
  std::vector<std::string> hashes;
  for (size_t at = 0; at < bytes->size(); at += kHashBytes) {
    std::string digits;
    for (size_t i = at; i < at + kHashBytes; ++i)
      digits += fmt::format("{:02x}", static_cast<unsigned char>((*bytes)[i]));
    hashes.push_back(digits);
  }
  return hashes;
}

}  // namespace

RowRecipe parse_row_recipe(std::string_view yaml, const std::string& name, const std::string& origin) {
  static const std::set<std::string> kKeys{"about", "source", "split", "paper", "licence", "folder",
                                           "lines", "labels", "hash",  "rows",  "inputs",  "hashes"};
  try {
    const YAML::Node node = YAML::Load(std::string(yaml));
    for (const auto& item : node) {
      if (!kKeys.contains(item.first.as<std::string>()))
        fail("{}: `{}` is no key of a recipe; it has {}", origin, item.first.as<std::string>(),
             fmt::join(kKeys, ", "));
    }
    RowRecipe recipe{name,
                     node["about"].as<std::string>(),
                     node["source"].as<std::string>(),
                     node["split"].as<std::string>(),
                     node["licence"].as<std::string>(),
                     node["folder"].as<std::string>(),
                     node["lines"].as<std::string>(""),
                     node["labels"].as<std::vector<std::string>>(std::vector<std::string>()),
                     node["hash"].as<std::vector<std::string>>(),
                     {},
                     node["inputs"].as<std::map<std::string, std::map<std::string, std::string>>>()};
    recipe.hashes = hashes_of(node["hashes"].as<std::string>(), node["rows"].as<size_t>(), origin);
    return recipe;
  } catch (const YAML::Exception& error) {
    fail("{}: this is no recipe ({}); make it again", origin, error.what());
  }
}

std::vector<std::string> row_recipe_names() {
  std::vector<std::string> names;
  for (const KnownRecipe& known : kRecipes) names.emplace_back(known.name);
  return names;
}

RowRecipe row_recipe(const std::string& name) {
  const auto known = std::ranges::find(kRecipes, std::string_view(name), &KnownRecipe::name);
  if (known == kRecipes.end())
    fail("recipe:{}: there is no such recipe; known are {}", name, fmt::join(row_recipe_names(), ", "));
  return parse_row_recipe(known->yaml(), name, "data/recipes/" + name + ".yaml");
}

bool names_recipe(std::string_view data) {
  return data.starts_with(kRecipePrefix);
}

fs::path resolve_recipe(const std::string& data, const std::vector<fs::path>& roots, const fs::path& cache) {
  const std::string rest = data.substr(kRecipePrefix.size());
  const size_t at = rest.find('@');
  return resolve_recipe(row_recipe(rest.substr(0, at)),
                        at == std::string::npos ? "whole" : rest.substr(at + 1), roots, cache);
}

fs::path resolve_recipe(const RowRecipe& recipe, const std::string& input, const std::vector<fs::path>& roots,
                        const fs::path& cache) {
  const auto fields = recipe.inputs.find(input);
  if (fields == recipe.inputs.end()) {
    std::vector<std::string> known;
    for (const auto& [name, made] : recipe.inputs) known.push_back(name);
    fail("recipe:{}@{}: the recipe has no such input; it has {}", recipe.name, input, fmt::join(known, ", "));
  }
  // Another recipe of the name has another folder.
  const std::string mark = sha256_hex(fmt::format("{} {} {}", fmt::join(recipe.hashes, ""),
                                                  fmt::join(fields->second, " "), recipe.lines))
                               .substr(0, 12);
  const fs::path folder = cache / "data" / "recipes" / fmt::format("{}@{}-{}", recipe.name, input, mark);
  if (fs::exists(folder / "eval.jsonl")) return folder;
  for (const fs::path& root : roots) {
    const std::optional<fs::path> rows = rows_below(root, recipe);
    if (!rows) continue;
    const std::string text = made_rows(recipe, fields->second, *rows);
    fs::create_directories(folder);
    OutputFile meta(folder / "meta.json");
    Json about{{"source", recipe.source}, {"split", recipe.split}, {"licence", recipe.licence}};
    if (!recipe.labels.empty()) about["labels"] = recipe.labels;
    meta.write(about.dump(2) + "\n");
    meta.commit();
    // Last, because its presence says that all is there.
    OutputFile file(folder / "eval.jsonl");
    file.write(text);
    file.commit();
    return folder;
  }
  std::vector<std::string> places;
  for (const fs::path& root : roots) places.push_back(root.string());
  fail(
      "recipe:{}: none of {} has {}/eval.jsonl; its rows are {}, {}: put them there as JSON Lines with the "
      "fields {}",
      recipe.name, fmt::join(places, ", "), recipe.folder, recipe.source, recipe.split,
      fmt::join(recipe.hashed, ", "));
}

}  // namespace wattle::inline pull
