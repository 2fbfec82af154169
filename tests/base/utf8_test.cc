#include "base/utf8.h"

#include <gtest/gtest.h>

namespace wattle {
namespace {

TEST(Utf8, ReplacesEachMaximalSubpart) {
  // The examples of the Unicode Standard 15, tables 3-8 to 3-11.
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(repaired_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(repaired_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
  const std::string fine = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
  EXPECT_TRUE(is_utf8(fine));
  EXPECT_EQ(repaired_utf8(fine), fine);
  EXPECT_FALSE(is_utf8(fine.substr(0, fine.size() - 1)));
}

TEST(Utf8, WholeCharactersLeaveACutCharacterForLater) {
  const std::string text = "a\xF0\x9F\x98\x80";
  for (size_t length = 1; length < text.size(); ++length) {
    EXPECT_EQ(whole_characters(std::string_view(text).substr(0, length)), "a") << length;
  }
  EXPECT_EQ(whole_characters(text), text);
  EXPECT_EQ(whole_characters("a\x80"), "a\x80") << "a stray byte will never become whole";
}

TEST(Utf8, CharactersAreWrittenAsTheyAreRead) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    std::string text;
    append_utf8(text, c);
    if (c >= 0xD800 && c < 0xE000) {
      ASSERT_EQ(text, "");
      continue;
    }
    const DecodedCharacter read = decode_utf8(text, 0);
    ASSERT_EQ(read.value, c);
    ASSERT_EQ(read.bytes, text.size());
    ASSERT_TRUE(is_utf8(text));
    ASSERT_EQ(is_ascii(text), c < 0x80);
  }
  EXPECT_EQ(decode_utf8("a\xC3", 1).value, kReplacementCharacter);
  EXPECT_EQ(decode_utf8("\xE2\x82", 0).bytes, 1u);
}

}  // namespace
}  // namespace wattle
