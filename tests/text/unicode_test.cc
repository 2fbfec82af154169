#include "text/unicode.h"

#include <gtest/gtest.h>

#include "text/special_matcher.h"

namespace wattle {
namespace {

TEST(Utf8Stream, GivesWholeCharactersWhereverTheBytesAreCut) {
  const std::string text = "a\u00e9\u4e2d\U0001f600z";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    for (size_t second = cut; second <= text.size(); ++second) {
      Utf8Stream stream;
      std::string out;
      for (const std::string& piece :
           {text.substr(0, cut), text.substr(cut, second - cut), text.substr(second)}) {
        const std::string ready = stream.push(piece);
        for (size_t i = 0; i < ready.size();) {
          const DecodedCharacter c = decode_utf8(ready, i);
          EXPECT_NE(c.value, kReplacementCharacter) << cut << ' ' << second;
          i += c.bytes;
        }
        out += ready;
      }
      EXPECT_EQ(out + stream.finish(), text);
    }
  }
}

TEST(Utf8Stream, ReplacesWhatIsIllFormedOrUnfinished) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xff"), "a\uFFFD");
  EXPECT_EQ(stream.push("\xf0\x9f"), "");
  EXPECT_EQ(stream.push("x"), "\uFFFDx");
  EXPECT_EQ(stream.push("\xe4\xb8"), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Unicode, NormalisesCanonically) {
  EXPECT_EQ(normal_form("e\u0301 \u212b \u1112\u1161\u11ab", NormalForm::kC), "\u00e9 \u00c5 \ud55c");
  EXPECT_EQ(normal_form("\u00e9 \ud55c", NormalForm::kD), "e\u0301 \u1112\u1161\u11ab");
  EXPECT_EQ(normal_form(std::string("a\0b", 3), NormalForm::kC), std::string("a\0b", 3));
}

TEST(Unicode, OrdersAnyNumberOfMarks) {
  std::string disorder = "a", above, below;
  for (int i = 0; i < 100'000; ++i) {
    disorder += "\u0301\u0323";
    above += "\u0301";
    below += "\u0323";
  }
  EXPECT_EQ(normal_form(disorder, NormalForm::kD), "a" + below + above);
}

TEST(Unicode, AsciiIsSeenAtEveryPlace) {
  for (size_t length = 0; length < 40; ++length) {
    std::string text(length, 'x');
    EXPECT_TRUE(is_ascii(text));
    for (size_t i = 0; i < length; ++i) {
      text[i] = '\x80';
      EXPECT_FALSE(is_ascii(text)) << length << ' ' << i;
      text[i] = 'x';
    }
  }
}

TEST(SpecialMatcher, TakesTheLongestThatIsAccepted) {
  SpecialMatcher matcher;
  matcher.add("<a>", 1);
  matcher.add("<a><b>", 2);
  matcher.add("<a>", 9);
  matcher.add("", 7);
  const auto any = [](TokenId, size_t) { return true; };
  EXPECT_EQ(matcher.longest_at("x<a><b>", 1, any)->id, 2);
  EXPECT_EQ(matcher.longest_at("x<a><b", 1, any)->id, 1);
  EXPECT_EQ(matcher.longest_at("x<a><b>", 1, [](TokenId id, size_t) { return id != 2; })->length, 3u);
  EXPECT_FALSE(matcher.longest_at("x<a", 1, any));
  EXPECT_FALSE(matcher.longest_at("x<a>", 0, any));
}

}  // namespace
}  // namespace wattle
