#include "serve/stop_filter.h"

#include <gtest/gtest.h>

#include <random>

namespace fovea::serve {
namespace {

// The specification: byte by byte, until some stop string is complete.
std::string shown_of(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t end = 1; end <= text.size(); ++end) {
    const std::string so_far = text.substr(0, end);
    size_t longest = 0;
    for (const std::string& stop : stops) {
      if (so_far.ends_with(stop)) longest = std::max(longest, stop.size());
    }
    if (longest > 0) return so_far.substr(0, end - longest);
  }
  return text;
}

TEST(StopFilter, ShowsTheSameHoweverTheTextIsCut) {
  std::mt19937 random(1);
  const auto letters = [&](size_t most) {
    std::string text;
    for (size_t i = 0, n = 1 + random() % most; i < n; ++i) text += static_cast<char>('a' + random() % 2);
    return text;
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> stops;
    for (size_t i = 0, n = random() % 4; i < n; ++i) stops.push_back(letters(5));
    const std::string text = letters(30);
    StopFilter filter(stops);
    std::string shown;
    for (size_t at = 0; at < text.size();) {
      const size_t length = 1 + random() % 4;
      shown += filter.push(std::string_view(text).substr(at, length));
      at += length;
    }
    shown += filter.finish();
    ASSERT_EQ(shown, shown_of(text, stops)) << text;
  }
}

TEST(StopFilter, HoldsBackOnlyWhatMayBecomeAStopString) {
  StopFilter filter({"\n\nUser:"});
  EXPECT_EQ(filter.push("Hello\n"), "Hello");
  EXPECT_EQ(filter.push("\nUs"), "");
  EXPECT_EQ(filter.push("e it"), "\n\nUse it");
  EXPECT_EQ(filter.push(" now\n\nUser: me"), " now");
  EXPECT_TRUE(filter.stopped());
  EXPECT_EQ(filter.matched(), "\n\nUser:");
  EXPECT_EQ(filter.push("more"), "");
  EXPECT_EQ(filter.finish(), "");
}

}  // namespace
}  // namespace fovea::serve
