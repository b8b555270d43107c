#include <gtest/gtest.h>

#include <limits>

#include "cli/option_checks.h"
#include "cli/sampling_options.h"
#include "cli/text_input.h"
#include "fovea/error.h"

namespace fovea::cli {
namespace {

bool accepts(const CLI::Validator& check, std::string text) { return check(text).empty(); }

TEST(WholeNumber, TakesOnlyWholeNumbersInRange) {
  const CLI::Validator check = whole_number(0, 100);
  for (const char* good : {"0", "7", "100", "+5"}) EXPECT_TRUE(accepts(check, good)) << good;
  for (const char* bad : {"", "-1", "101", "1.5", "0x10", "7 ", "nan", "1e2", "99999999999999999999"}) {
    EXPECT_FALSE(accepts(check, bad)) << bad;
  }
}

TEST(Number, RefusesNanInfinityAndWhatIsOutside) {
  const CLI::Validator check = number(0, 1);
  for (const char* good : {"0", "1", "0.5", "1e-3"}) EXPECT_TRUE(accepts(check, good)) << good;
  for (const char* bad : {"", "nan", "inf", "-inf", "-0.1", "1.0001", "half"}) EXPECT_FALSE(accepts(check, bad)) << bad;
  EXPECT_FALSE(accepts(number_above(0, 1), "0"));
  EXPECT_TRUE(accepts(number_above(0, 1), "1e-9"));
}

TEST(Number, SaysWhatItTakes) {
  std::string text = "2";
  EXPECT_EQ(number_above(0, 1)(text), "2 is not a number above 0 and at most 1");
}

TEST(LogitBias, IsATokenAndAValue) {
  EXPECT_EQ(parse_logit_bias("42:-1.5"), (std::pair<int32_t, float>(42, -1.5f)));
  EXPECT_EQ(parse_logit_bias("0:+2"), (std::pair<int32_t, float>(0, 2.f)));
  EXPECT_EQ(parse_logit_bias("7:-inf").second, -std::numeric_limits<float>::infinity());
  for (const char* bad : {"", "42", "42:", ":1", "-1:2", "1:nan", "1:inf", "1:2:3", "a:1", "1:b", "99999999999:1"}) {
    EXPECT_THROW(parse_logit_bias(bad), CLI::ValidationError) << bad;
  }
}

// The table of well-formed sequences in the Unicode standard, row by row, and the nearest bytes outside it.
TEST(Utf8, TheFirstBadByteIsFound) {
  for (const char* good : {"", "ascii", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
                           "\xF4\x8F\xBF\xBF", "caf\xC3\xA9 \xF0\x9F\x8E\x89"}) {
    EXPECT_EQ(first_invalid_utf8(good), std::nullopt) << good;
  }
  for (const char* bad : {"\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_EQ(first_invalid_utf8("ab" + std::string(bad) + "c"), 2u);
  }
}

TEST(Utf8, TheErrorNamesPlaceAndOffset) {
  try {
    require_utf8("abc\xFF", "notes.txt");
    FAIL() << "was accepted";
  } catch (const Error& error) {
    EXPECT_NE(error.problem().find("0xff at offset 3"), std::string::npos) << error.problem();
    EXPECT_EQ(error.where(), "notes.txt");
    EXPECT_FALSE(error.mend().empty());
  }
}

TEST(TextFile, ThatIsNotThereIsAnError) { EXPECT_THROW(read_text_file("no/such/file.txt"), Error); }

}  // namespace
}  // namespace fovea::cli
