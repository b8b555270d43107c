#include "engine/team_size.h"

#include <gtest/gtest.h>

#include <array>

namespace fovea {
namespace {

struct Cost {
  double seconds, stalled;
};

// Steps of one row whose cost depends on the number of threads; returns how often each number was used.
template <typename CostOf> std::array<int, 9> run(TeamSize& team, int steps, CostOf cost_of) {
  std::array<int, 9> used{};
  for (int i = 0; i < steps; ++i) {
    const int threads = team.next();
    ++used[static_cast<size_t>(threads)];
    const Cost cost = cost_of(threads);
    team.took(1, cost.seconds, cost.stalled);
  }
  return used;
}

Cost undisturbed(int threads) { return {0.016 / threads, 0.0002}; }
Cost disturbed_from_two_on(int threads) { return threads == 1 ? Cost{0.010, 0} : Cost{0.020, 0.009}; }

TEST(TeamSize, StaysWholeWhereNobodyWaits) {
  TeamSize team(4);
  EXPECT_EQ(run(team, 5000, undisturbed)[4], 5000);
}

TEST(TeamSize, ShrinksWhereFewerAreFasterAndMostlyStaysThere) {
  TeamSize team(2);
  run(team, 60, disturbed_from_two_on);
  EXPECT_GT(run(team, 4000, disturbed_from_two_on)[1], 3800);
}

TEST(TeamSize, KeepsItsThreadsWhereFewerWouldBeSlower) {
  TeamSize team(2);
  const auto slow_alone = [](int threads) { return threads == 1 ? Cost{0.030, 0} : Cost{0.020, 0.006}; };
  run(team, 60, slow_alone);
  EXPECT_GT(run(team, 4000, slow_alone)[2], 3800);
}

TEST(TeamSize, GrowsAgainWhenTheOthersAreGone) {
  TeamSize team(3);
  run(team, 400, [](int threads) { return threads == 1 ? Cost{0.010, 0} : Cost{0.020, 0.009}; });
  EXPECT_EQ(team.next(), 1);
  run(team, 1200, undisturbed);
  EXPECT_EQ(run(team, 100, undisturbed)[3], 100);
}

TEST(TeamSize, NeverLeavesItsRange) {
  TeamSize alone(1);
  EXPECT_EQ(run(alone, 1000, [](int) { return Cost{0.01, 0.009}; })[1], 1000);
}

TEST(TeamSize, StepsOfAnotherSizeAreNotCompared) {
  TeamSize team(2);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(team.next(), 2);
    team.took(1 + i % 2, 0.01, 0.009);
  }
}

}  // namespace
}  // namespace fovea
