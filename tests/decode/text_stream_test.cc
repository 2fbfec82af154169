#include "decode/text_stream.h"

#include <gtest/gtest.h>

#include "decode/formula_model.h"

namespace wattle {
namespace {

struct Given {
  std::vector<std::string> pieces;
  std::string text;
  bool stopped = false;
};

/// Feeds pieces 0, 1, 2, ... until the stream stops.
Given feed(const std::vector<std::string>& pieces, const std::vector<std::string>& stops) {
  const PieceTokenizer tokenizer(pieces);
  TextStream stream(tokenizer, stops);
  Given given;
  for (size_t i = 0; i < pieces.size() && !stream.stopped(); ++i) {
    given.pieces.emplace_back(stream.append(static_cast<TokenId>(i)));
  }
  given.pieces.emplace_back(stream.finish());
  for (const std::string& piece : given.pieces) given.text += piece;
  EXPECT_EQ(given.text, stream.text());
  given.stopped = stream.stopped();
  return given;
}

TEST(TextStream, GivesWholeCharacters) {
  const Given given = feed({" a", "\xE2\x82", "\xAC", " ", "", "b", "\xF0\x9F", "\x98", "\x80", "!"}, {});
  EXPECT_EQ(given.text, "a\u20AC b\U0001F600!");
  const std::vector<std::string> pieces{"a", "", "\u20AC", " ", "", "b", "", "", "\U0001F600", "!", ""};
  EXPECT_EQ(given.pieces, pieces);
}

TEST(TextStream, BytesThatAreNoTextBecomeReplacements) {
  EXPECT_EQ(feed({"a", "\xFF", "b", "\xE2\x82"}, {}).text,
            "a\uFFFD"
            "b\uFFFD");
  EXPECT_EQ(feed({"\xE2", "\xE2", "\xE2", "\xE2", "\xE2", "x"}, {}).text.back(), 'x');
}

TEST(TextStream, ASpaceAfterASpecialTokenStays) {
  EXPECT_EQ(feed({" one", "", "", " two"}, {}).text, "one two");
}

TEST(TextStream, HoldsBackWhatMayBeginAStop) {
  const Given held = feed({"ab", "c", "x", "ab"}, {"abcd"});
  EXPECT_EQ(held.text, "abcxab");
  EXPECT_EQ(held.pieces, (std::vector<std::string>{"", "", "abcx", "", "ab"}));
  EXPECT_FALSE(held.stopped);

  const Given stopped = feed({"ab", "c", "dx", "never"}, {"abcd"});
  EXPECT_EQ(stopped.text, "");
  EXPECT_TRUE(stopped.stopped);
}

TEST(TextStream, TheFirstStopEndsTheText) {
  EXPECT_EQ(feed({"one", "\n", "\nUser", ":"}, {"User:", "\n\n"}).text, "one");
  EXPECT_EQ(feed({"aaab"}, {"aab", "b"}).text, "a");
  EXPECT_EQ(feed({"a", "a", "a", "b"}, {"aab"}).text, "a");
  EXPECT_EQ(feed({"\xE2\x82", "\xAC", "x"}, {"\u20AC"}).text, "");
}

}  // namespace
}  // namespace wattle
