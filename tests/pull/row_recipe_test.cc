#include "pull/row_recipe.h"

#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/sha256.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string bytes_of_hex(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2)
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string text_of(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<Json> rows_of(const fs::path& folder) {
  std::vector<Json> rows;
  std::istringstream lines(text_of(folder / "eval.jsonl"));
  for (std::string line; std::getline(lines, line);) rows.push_back(Json::parse(line));
  return rows;
}

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class RowRecipes : public testing::Test {
 protected:
  void SetUp() override {
    base_ = fs::temp_directory_path() / ("wattle-recipes-" + std::to_string(getpid()));
    fs::create_directories(root() / "films");
  }
  void TearDown() override { fs::remove_all(base_); }
  fs::path root() const { return base_ / "root"; }
  fs::path cache() const { return base_ / "cache"; }

  void write(const std::string& text) const { std::ofstream(root() / "films" / "eval.jsonl") << text; }

  /// A recipe of two rows: the film's text and label in this order.
  static RowRecipe recipe(const std::string& more = "") {
    std::string hashes;
    for (const char* row : {R"(["b b  b",1])", R"(["a \"é\"",0])"})
      hashes += bytes_of_hex(sha256_hex(row).substr(0, 16));
    const std::string yaml =
        "about: films\nsource: someone/films\nsplit: test\nlicence: A\nfolder: films\nlabels: [bad, good]\n"
        "hash: [text, label]\ninputs:\n  whole: {text: '{text}', label: '{label}'}\n"
        "  strict: {text: 'is it? {text:2}!', last: '{text#1}', called: '{label:name}'}\nrows: 2\nhashes: " +
        to_base64(hashes) + "\n" + more;
    return parse_row_recipe(yaml, "films", "films.yaml");
  }

  fs::path base_;
};

TEST_F(RowRecipes, TakesItsRowsInItsOrder) {
  write(
      "{\"label\":0,\"text\":\"a \\\"\\u00e9\\\"\"}\n{\"text\":\"another\",\"label\":1}\n"
      "{\"text\":\"b b  b\",\"label\":1,\"more\":2}\n");
  const fs::path folder = resolve_recipe(recipe(), "whole", {base_ / "none", root()}, cache());
  const std::vector<Json> rows = rows_of(folder);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["text"], "b b  b");
  EXPECT_EQ(rows[0]["label"], 1);
  EXPECT_EQ(rows[1]["text"], "a \"é\"");
  EXPECT_EQ(rows[1]["id"], "films-1");
  EXPECT_EQ(Json::parse(text_of(folder / "meta.json"))["labels"], Json({"bad", "good"}));
  // It is there: nobody looks for the data again.
  fs::remove_all(root());
  EXPECT_EQ(resolve_recipe(recipe(), "whole", {}, cache()), folder);
}

TEST_F(RowRecipes, MakesInputs) {
  write("{\"text\":\"a \\\"é\\\"\",\"label\":0}\n{\"text\":\"b b  b\",\"label\":1}\n");
  const std::vector<Json> rows = rows_of(resolve_recipe(recipe(), "strict", {root()}, cache()));
  EXPECT_EQ(rows[0]["text"], "is it? b b!");
  EXPECT_EQ(rows[0]["last"], "b");
  EXPECT_EQ(rows[0]["called"], "good");
  EXPECT_EQ(rows[1]["text"], "is it? a \"é\"!");
}

TEST_F(RowRecipes, NamesTheRowThatDiffers) {
  write("{\"text\":\"a \\\"é\\\"\",\"label\":1}\n{\"text\":\"b b  b\",\"label\":1}\n");
  const std::string error = error_of([&] { resolve_recipe(recipe(), "whole", {root()}, cache()); });
  EXPECT_NE(error.find("row 1 of the recipe films"), std::string::npos) << error;
  EXPECT_NE(error.find("1 in all; take someone/films, test"), std::string::npos) << error;
  EXPECT_FALSE(fs::exists(cache() / "data"));
}

TEST_F(RowRecipes, SaysWhatIsMissing) {
  const std::string error = error_of([&] { resolve_recipe(recipe(), "whole", {root()}, cache()); });
  EXPECT_NE(error.find("films/eval.jsonl"), std::string::npos) << error;
  EXPECT_NE(error.find("someone/films"), std::string::npos) << error;
  EXPECT_NE(error_of([&] { resolve_recipe(recipe(), "cut", {root()}, cache()); }).find("strict, whole"),
            std::string::npos);
  EXPECT_NE(error_of([] { resolve_recipe("recipe:film", {}, "/"); }).find("sst2"), std::string::npos);
  EXPECT_NE(error_of([] { recipe("colour: red\n"); }).find("colour"), std::string::npos);
  write("{\"words\":1}\n");
  EXPECT_NE(error_of([&] { resolve_recipe(recipe(), "whole", {root()}, cache()); }).find("no field `text`"),
            std::string::npos);
}

TEST_F(RowRecipes, HashesAreAsManyAsRows) {
  const std::string yaml =
      "about: a\nsource: a\nsplit: a\nlicence: A\nfolder: a\nhash: [text]\ninputs: {whole: {text: "
      "'{text}'}}\n"
      "rows: 3\nhashes: AAAAAAAAAAA=\n";
  EXPECT_NE(error_of([&] { parse_row_recipe(yaml, "a", "a.yaml"); }).find("for 3 rows"), std::string::npos);
}

// Every recipe of the program makes its rows of the data sets that the tests have, whichever input is asked
// for.
TEST_F(RowRecipes, OfTheProgramFindTheirRows) {
  const fs::path data = fs::path(WATTLE_SOURCE_DIR) / ".." / "shared" / "data";
  if (!fs::exists(data)) GTEST_SKIP() << "the shared data sets are not here";
  EXPECT_EQ(row_recipe_names().size(), 14u);
  std::set<fs::path> folders;
  for (const std::string& name : row_recipe_names()) {
    const RowRecipe recipe = row_recipe(name);
    EXPECT_GE(recipe.hashes.size(), 400u) << name;
    EXPECT_LE(recipe.hashes.size(), 1000u) << name;
    for (const auto& [input, fields] : recipe.inputs) {
      const fs::path folder = resolve_recipe("recipe:" + name + "@" + input, {data}, cache());
      EXPECT_TRUE(folders.insert(folder).second) << name << " " << input;
      const std::vector<Json> rows = rows_of(folder);
      ASSERT_EQ(rows.size(), recipe.hashes.size()) << name << " " << input;
      EXPECT_EQ(rows.front().size(), fields.size() + 1) << name << " " << input;
    }
  }
  // The paper cuts reviews to 50 words, and its first prompt of SQuAD is as its script writes it.
  for (const Json& row : rows_of(resolve_recipe("recipe:imdb@strict", {}, cache()))) {
    const auto text = row["text"].get<std::string>();
    EXPECT_LE(std::ranges::count(text, ' '), 49) << text;
  }
  const auto prompt =
      rows_of(resolve_recipe("recipe:squad@prompt", {}, cache()))[0]["text"].get<std::string>();
  EXPECT_NE(prompt.find("? Find the answer to the question in the following text: \""), std::string::npos);
  EXPECT_TRUE(prompt.ends_with("\". Answer:"));
  const Json masked = rows_of(resolve_recipe("recipe:wikitext2-masked", {}, cache()))[0];
  EXPECT_TRUE(masked["text"].get<std::string>().ends_with(" [MASK]"));
  EXPECT_EQ(std::ranges::count(masked["text"].get<std::string>(), ' '), 19);
}

}  // namespace
}  // namespace wattle
