#include "serve/recent_calls.h"

#include <gtest/gtest.h>

#include <vector>

namespace fovea::serve {
namespace {

const RecentCalls::Clock::time_point kStart{};

TEST(TimeShares, AreThoseThatSoManyDoNotExceed) {
  std::vector<double> times;
  for (int i = 100; i > 0; --i) times.push_back(i);
  EXPECT_EQ(shares_of(times).half, 50);
  EXPECT_EQ(shares_of(times).most, 95);
  std::vector<double> one = {3};
  EXPECT_EQ(shares_of(one).half, 3);
  EXPECT_EQ(shares_of(one).most, 3);
  std::vector<double> none;
  EXPECT_LT(shares_of(none).half, 0);
}

TEST(RecentCalls, AreForgottenAfterAMinute) {
  RecentCalls calls;
  calls.add({0.5, 2, 4}, kStart);
  calls.add({0.1, 1, 10}, kStart + std::chrono::seconds(30));
  EXPECT_EQ(calls.summary(kStart + std::chrono::seconds(60)).calls, 2);
  const RecentCalls::Summary later = calls.summary(kStart + std::chrono::seconds(61));
  EXPECT_EQ(later.calls, 1);
  EXPECT_EQ(later.first.half, 0.1);
  EXPECT_NEAR(later.token.half, 0.1, 1e-9);
  EXPECT_EQ(calls.summary(kStart + std::chrono::seconds(91)).calls, 0);
}

TEST(RecentCalls, WithoutATokenCountByTheirEndAlone) {
  RecentCalls calls;
  calls.add({-1, 2, 0}, kStart);
  const RecentCalls::Summary summary = calls.summary(kStart);
  EXPECT_EQ(summary.calls, 1);
  EXPECT_EQ(summary.whole.most, 2);
  EXPECT_LT(summary.first.half, 0);
  EXPECT_LT(summary.token.half, 0);
}

TEST(RecentCalls, AreBoundedInNumber) {
  RecentCalls calls;
  for (size_t i = 0; i < RecentCalls::kMost + 10; ++i) calls.add({0.1, 1, 2}, kStart);
  EXPECT_EQ(calls.summary(kStart).calls, static_cast<int>(RecentCalls::kMost));
}

}  // namespace
}  // namespace fovea::serve
