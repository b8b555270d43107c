#include "files/untrusted_text.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace fovea::files {
namespace {

std::string encoded(uint32_t code_point) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)); };
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  if (code_point < 0x800) return {static_cast<char>(0xC0 | code_point >> 6), tail(0)};
  if (code_point < 0x10000) return {static_cast<char>(0xE0 | code_point >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | code_point >> 18), tail(12), tail(6), tail(0)};
}

TEST(Utf8, EveryCodePointButSurrogatesIsAccepted) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    const bool surrogate = c >= 0xD800 && c < 0xE000;
    ASSERT_EQ(is_utf8(encoded(c)), !surrogate) << c;
    ASSERT_FALSE(c >= 0x80 && is_utf8(encoded(c).substr(1))) << c;
    ASSERT_FALSE(c >= 0x80 && is_utf8(encoded(c).substr(0, encoded(c).size() - 1))) << c;
  }
}

TEST(Utf8, OverlongFormsAndWhatIsBeyondUnicodeAreRefused) {
  for (const char* bad : {"\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\x80"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

TEST(Utf8, DefectIsFoundAtEveryPlace) {
  for (size_t length = 1; length < 40; ++length) {
    for (size_t i = 0; i < length; ++i) {
      std::string text(length, 'a');
      text[i] = '\xFF';
      ASSERT_FALSE(is_utf8(text)) << length << " " << i;
    }
  }
}

TEST(InQuotes, ShowsPlainTextAsItIs) { EXPECT_EQ(in_quotes("blk.0.ffn_up.weight ▁ä🌍"), "'blk.0.ffn_up.weight ▁ä🌍'"); }

TEST(InQuotes, LetsNoControlCharacterThrough) {
  EXPECT_EQ(in_quotes("a\x1b[31m\nb\x7f"), "'a?[31m?b?'");
  EXPECT_EQ(in_quotes("\xC2\x9B"), "'?'");  // U+009B begins a control sequence on its own
  EXPECT_EQ(in_quotes("\xFF-\xC2"), "'?-?'");
}

TEST(InQuotes, CutsLongTextBetweenCodePoints) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "🌍";
  const std::string shown = in_quotes(text);
  EXPECT_LT(shown.size(), 100u);
  EXPECT_TRUE(is_utf8(shown));
  EXPECT_TRUE(shown.ends_with("...'"));
}

}  // namespace
}  // namespace fovea::files
