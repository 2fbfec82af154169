// Metadata and texts changed at random from a fixed seed: a tokenizer is refused with an Error or works,
// whatever it is made of; the sanitizers see the rest.

#include <gtest/gtest.h>

#include <random>

#include <wattle/error.h>

#include "text/golden.h"
#include "text/unicode.h"

namespace wattle {
namespace {

using nlohmann::json;

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  size_t below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  std::string bytes(size_t longest) {
    static constexpr std::string_view kPieces[] = {"\u2581", "##", "<0x41>", "<s>",      "\u0120", " ",
                                                   "a",      "\n", "\xff",   "\xf0\x9f", "\u0301"};
    std::string text;
    for (size_t left = below(longest + 1); left > 0; --left) {
      below(2) == 0 ? text += kPieces[below(std::size(kPieces))] : text += static_cast<char>(below(256));
    }
    return text;
  }

  /// Changes one value of the metadata in one of several ways.
  void change(json& metadata) {
    auto entry = metadata.begin();
    std::advance(entry, static_cast<ptrdiff_t>(below(metadata.size())));
    json& value = entry.value();
    if (value.is_array() && !value.empty()) {
      change_list(value);
    } else if (value.is_number_integer()) {
      value = below(2) == 0 ? static_cast<int64_t>(below(5000)) - 100 : int64_t{1} << below(40);
    } else if (value.is_boolean()) {
      value = !value.get<bool>();
    } else if (below(4) == 0) {
      value = printable();
    } else {
      metadata.erase(entry);
    }
  }

 private:
  // JSON holds UTF-8 alone; put_ill_formed does the rest.
  std::string printable() { return std::string("x").append(std::to_string(below(1000))); }

  void change_list(json& list) {
    const size_t at = below(list.size()), other = below(list.size());
    switch (below(5)) {
      case 0:
        list.erase(list.begin() + static_cast<ptrdiff_t>(at), list.end());
        break;
      case 1:
        list.push_back(list[at]);
        break;
      case 2:
        list[at] = list[other];
        break;
      case 3:
        std::swap(list[at], list[other]);
        break;
      default:
        if (list[at].is_string()) list[at] = printable().append(below(2) == 0 ? " y" : "");
        if (list[at].is_number_integer()) list[at] = static_cast<int64_t>(below(9)) - 1;
    }
  }

  std::mt19937 random_;
};

/// Token texts that no JSON can hold.
void put_ill_formed(Mutator& mutator, Metadata& metadata) {
  for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"}) {
    const auto strings = metadata.strings(key);
    if (strings.empty() || mutator.below(3) != 0) continue;
    std::vector<std::string> changed(strings.begin(), strings.end());
    for (size_t left = mutator.below(4); left > 0; --left)
      changed[mutator.below(changed.size())] = mutator.bytes(6);
    metadata.set(key, Value::of(std::move(changed)));
  }
}

void use(Mutator& mutator, const Metadata& metadata, const Tokenizer& tokenizer) {
  const std::string text = mutator.bytes(60) + " Hello, world " + mutator.bytes(60);
  const auto ids = tokenizer.encode(text, {true, mutator.below(2) == 0});
  for (const TokenId id : ids) {
    ASSERT_GE(id, 0);
    ASSERT_LT(id, tokenizer.size());
    tokenizer.ends_generation(id);
  }
  Utf8Stream stream;
  for (const TokenId id : ids) stream.push(tokenizer.piece(id));
  tokenizer.decode(ids);
  const ChatMessage message{"user", text};
  if (has_chat_template(metadata)) ChatTemplate(metadata, tokenizer).encode({&message, 1});
}

class Mutation : public testing::TestWithParam<const char*> {};

TEST_P(Mutation, IsRefusedOrWorks) {
  const json golden = read_golden(std::string(GetParam()) + ".json");
  const json chats = read_golden("chat.json");
  int refused = 0, worked = 0;
  for (uint32_t seed = 0; seed < 150; ++seed) {
    Mutator mutator(seed);
    json keys = golden["metadata"];
    keys.update(golden["variants"][mutator.below(golden["variants"].size())]["metadata"]);
    keys["tokenizer.chat_template"] = chats[mutator.below(chats.size())]["template"];
    for (size_t left = mutator.below(4); left > 0; --left) mutator.change(keys);
    Metadata metadata("mutated");
    set_all(keys, metadata);
    put_ill_formed(mutator, metadata);
    try {
      use(mutator, metadata, *Tokenizer::create(metadata));
      ++worked;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 10);
  EXPECT_GT(worked, 10);
}

INSTANTIATE_TEST_SUITE_P(All, Mutation, testing::Values("wordpiece", "bpe", "sentencepiece"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace wattle
