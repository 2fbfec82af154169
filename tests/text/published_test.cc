// The published models on every text of the labelled data; skipped where the models or the data are not
// there.

#include <gtest/gtest.h>
#include <zlib.h>

#include <fmt/format.h>

#include <filesystem>
#include <numeric>

#include "families/open_file.h"
#include "file/model_file.h"
#include "file/test_models.h"
#include "text/golden.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A file, decompressed where it is gzip.
std::string read_text(const fs::path& path) {
  std::string text;
  gzFile file = gzopen(path.c_str(), "rb");
  std::vector<char> buffer(1 << 16);
  for (int got; (got = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0;) {
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  gzclose(file);
  return text;
}

template <typename Use>
void for_each_string(const json& value, const Use& use) {
  if (value.is_string()) use(value.get_ref<const std::string&>());
  if (value.is_structured()) {
    for (const json& item : value) for_each_string(item, use);
  }
}

struct Sum {
  int64_t texts = 0, ids = 0;
  uint64_t hash = 0;
  void add(const std::vector<TokenId>& encoded) {
    ++texts;
    ids += static_cast<int64_t>(encoded.size());
    hash += hash_of(encoded);
  }
};

Sum sum_of_set(const fs::path& folder, const Tokenizer& tokenizer, EncodeOptions options) {
  Sum sum;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (!name.ends_with(".jsonl") && !name.ends_with(".jsonl.gz")) continue;
    const std::string text = read_text(entry.path());
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      for_each_string(json::parse(text.substr(begin, end - begin)),
                      [&](const std::string& string) { sum.add(tokenizer.encode(string, options)); });
      begin = end + 1;
    }
  }
  return sum;
}

class Published : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    golden_ = read_golden("published.json")[static_cast<size_t>(GetParam())];
    path_ = test_models() / golden_["model"].get<std::string>();
    if (!fs::exists(path_)) GTEST_SKIP() << path_ << " is not there; pull it or set WATTLE_TEST_MODELS";
    file_ = std::make_unique<ModelFile>(open_model_file(path_));
    tokenizer_ = Tokenizer::create(file_->metadata());
  }
  bool add_special() const { return golden_["add_special"]; }

  json golden_;
  fs::path path_;
  std::unique_ptr<ModelFile> file_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(Published, IdsOfHardTextsAreTheReferences) {
  const json texts = read_golden("bpe.json")["texts"];
  for (const bool parse_special : {false, true}) {
    Sum sum;
    for (const json& text : texts)
      sum.add(tokenizer_->encode(golden_text(text), {add_special(), parse_special}));
    EXPECT_EQ(fmt::format("{:016x}", sum.hash), golden_["hard"][parse_special])
        << "parse_special " << parse_special;
  }
}

TEST_P(Published, IdsOfEveryTextOfTheDataAreTheReferences) {
  const fs::path data = fs::path(WATTLE_SOURCE_DIR) / "../shared/data";
  if (!fs::exists(data)) GTEST_SKIP() << data << " is not there";
  for (const auto& [name, wanted] : golden_["sets"].items()) {
    const Sum sum = sum_of_set(data / name, *tokenizer_, {add_special(), false});
    EXPECT_EQ(sum.texts, wanted["texts"]) << name;
    EXPECT_EQ(sum.ids, wanted["ids"]) << name;
    EXPECT_EQ(fmt::format("{:016x}", sum.hash), wanted["hash"]) << name;
  }
}

TEST_P(Published, ConversationsAreThoseOfTheModelsTemplate) {
  if (!golden_.contains("chat")) {
    EXPECT_FALSE(has_chat_template(file_->metadata()));
    return;
  }
  const ChatTemplate chat(file_->metadata(), *tokenizer_);
  for (const json& conversation : golden_["chat"]) {
    EXPECT_EQ(chat.encode(golden_messages(conversation["messages"])),
              conversation["ids"].get<std::vector<TokenId>>())
        << conversation["messages"];
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Published, testing::Range(0, 5));

}  // namespace
}  // namespace wattle
