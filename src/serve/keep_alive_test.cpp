#include "serve/keep_alive.h"

#include <gtest/gtest.h>

#include "serve/api_error.h"

namespace fovea::serve {
namespace {

TEST(KeepAlive, DurationsAreReadAsGoReadsThem) {
  const std::pair<const char*, double> kGood[] = {{"5m", 300},   {"1h30m", 5400},    {"1.5h", 5400}, {"90s", 90},  {"250ms", 0.25},
                                                  {"0", 0},      {"0s", 0},          {"-1s", -1},    {"-1m", -60}, {"+2s", 2},
                                                  {"2us", 2e-6}, {"2\u00b5s", 2e-6}, {".5s", 0.5}};
  for (const auto& [text, seconds] : kGood) {
    ASSERT_TRUE(duration_seconds(text)) << text;
    EXPECT_DOUBLE_EQ(*duration_seconds(text), seconds) << text;
  }
  for (const char* bad : {"", "5", "-1", "m", "5 m", "5m ", "1e3s", "--1s", "5x", "1h-3m", "nans", "infs", "s5"})
    EXPECT_FALSE(duration_seconds(bad)) << bad;
}

TEST(KeepAlive, OfARequestIsANumberOrADuration) {
  const auto of = [](const char* text) { return keep_alive_of(nlohmann::json::parse(text)); };
  EXPECT_EQ(of("{}"), std::nullopt);
  EXPECT_EQ(of(R"({"keep_alive": null})"), std::nullopt);
  EXPECT_EQ(of(R"({"keep_alive": -1})"), -1);
  EXPECT_EQ(of(R"({"keep_alive": 0})"), 0);
  EXPECT_EQ(of(R"({"keep_alive": "10m"})"), 600);
  for (const char* bad : {R"({"keep_alive": "soon"})", R"({"keep_alive": []})", R"({"keep_alive": true})"})
    EXPECT_THROW(of(bad), ApiError) << bad;
}

}  // namespace
}  // namespace fovea::serve
