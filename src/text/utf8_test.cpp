#include "text/utf8.h"

#include <gtest/gtest.h>

namespace fovea::text {
namespace {

std::string repaired(std::string_view bytes) {
  std::string text;
  append_repaired_utf8(bytes, text);
  return text;
}

// Encodes any number below 2^21 in the given number of bytes, valid or not.
std::string encoded(uint32_t code_point, int bytes) {
  if (bytes == 1) return std::string(1, static_cast<char>(code_point));
  std::string text;
  for (int i = 0; i < bytes - 1; ++i, code_point >>= 6) text.insert(0, 1, static_cast<char>(0x80 | (code_point & 0x3F)));
  return static_cast<char>((0xF00 >> bytes & 0xFF) | code_point) + text;
}

TEST(Utf8, EveryCodePointIsAcceptedInItsShortestFormOnly) {
  for (uint32_t code_point = 0; code_point < 0x110800; code_point += code_point < 0x1000 ? 1 : 0x3F) {
    const bool exists = code_point < 0x110000 && (code_point < 0xD800 || code_point > 0xDFFF);
    const int shortest = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (int bytes = shortest; bytes <= 4; ++bytes) {
      EXPECT_EQ(!first_invalid_utf8(encoded(code_point, bytes)), exists && bytes == shortest) << code_point;
    }
  }
}

TEST(Utf8, TheFirstInvalidByteIsNamed) {
  EXPECT_EQ(first_invalid_utf8("0123456789\xC3\xA9 ok"), std::nullopt);
  EXPECT_EQ(first_invalid_utf8("0123456789\xFF"), 10u);
  EXPECT_EQ(first_invalid_utf8("\xC3\xA9\xE2\x82"), 2u);
  EXPECT_EQ(first_invalid_utf8(""), std::nullopt);
}

TEST(Utf8, EachMaximalInvalidPartBecomesOneReplacement) {
  EXPECT_EQ(repaired("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(repaired("\xE2\x82z"), "\uFFFDz");  // a cut code point is one unit
  EXPECT_EQ(repaired("\xF0\x9F\x98z"), "\uFFFDz");
  EXPECT_EQ(repaired("\xED\xA0\x80z"), "\uFFFD\uFFFD\uFFFDz");  // a surrogate: no byte begins anything
  EXPECT_EQ(repaired("\xC0\xAFz"), "\uFFFD\uFFFDz");
}

TEST(Utf8, AnIncompleteEndIsLeftForLater) {
  std::string text;
  EXPECT_EQ(append_repaired_utf8("ab\xF0\x9F\x98", text), 2u);
  EXPECT_EQ(text, "ab");
}

}  // namespace
}  // namespace fovea::text
