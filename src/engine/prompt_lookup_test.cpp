#include "engine/prompt_lookup.h"

#include <gtest/gtest.h>

#include <vector>

namespace fovea {
namespace {

using Tokens = std::vector<int32_t>;

Tokens guess(PromptLookup& lookup, const Tokens& tokens, int most = 32) {
  const auto guessed = lookup.guess(tokens, most, 1, StepTimes());
  return {guessed.begin(), guessed.end()};
}

TEST(PromptLookup, GuessesWhatFollowedTheNewestOccurrence) {
  PromptLookup lookup(8);
  EXPECT_EQ(guess(lookup, {1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 7, 8, 1, 2, 3}), (Tokens{5, 6}));
  EXPECT_EQ(guess(lookup, {1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 7, 8, 1, 2, 3, 5}), (Tokens{6, 7}));
  EXPECT_EQ(guess(lookup, {1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 7, 8, 1, 2, 3, 5, 0}), Tokens());
}

TEST(PromptLookup, GuessesNoMoreThanItMay) {
  const Tokens tokens = {1, 2, 3, 4, 5, 6, 1, 2, 3};
  PromptLookup lookup(1), longer(2);
  EXPECT_EQ(guess(longer, tokens), (Tokens{4, 5}));
  EXPECT_EQ(guess(lookup, tokens), (Tokens{4}));
  EXPECT_EQ(guess(lookup, tokens, 1), (Tokens{4}));
  EXPECT_EQ(guess(lookup, tokens, 0), Tokens());
  PromptLookup near_the_end(8);
  EXPECT_EQ(guess(near_the_end, {7, 7, 7, 7, 7}), (Tokens{7}));
  EXPECT_EQ(guess(near_the_end, {7, 7}), Tokens());
}

// Steps of which every row costs so much of the first.
StepTimes growing_by(double share) {
  StepTimes times;
  for (int rows = 1; rows <= StepTimes::kMostRows; ++rows) times.took(rows, 0.01 * (1 + share * (rows - 1)));
  return times;
}

Tokens repeated() {
  Tokens tokens;
  for (int i = 0; i < 100; ++i) tokens.push_back(i);
  tokens.insert(tokens.end(), {0, 1, 2});
  return tokens;
}

TEST(PromptLookup, MakesLongerGuessesWhereTheyAreRightAndNoneWhereTheyAreWrong) {
  PromptLookup lookup(16);
  const StepTimes times = growing_by(0.05);
  size_t longest = 0;
  for (int i = 0; i < 20; ++i) {
    const size_t length = lookup.guess(repeated(), 32, 1, times).size();
    EXPECT_GE(length, longest);
    longest = length;
    lookup.took(static_cast<int>(length), static_cast<int>(length));
  }
  EXPECT_GE(longest, 15u);
  int paused = 0, failures = 0;
  while (failures < 100 && paused < 16) {
    int pause = 0, length = 0;
    while ((length = static_cast<int>(lookup.guess(repeated(), 32, 1, times).size())) == 0) ++pause;
    lookup.took(length, 0);
    ++failures;
    EXPECT_GE(pause, paused);
    paused = pause;
  }
  EXPECT_LT(failures, 40);
}

TEST(PromptLookup, GuessesFewWhereRowsAreDear) {
  const StepTimes cheap = growing_by(0.01), dear = growing_by(0.4), dearest = growing_by(1);
  PromptLookup lookup(16);
  EXPECT_GT(lookup.guess(repeated(), 32, 1, cheap).size(), lookup.guess(repeated(), 32, 1, dear).size());
  EXPECT_TRUE(lookup.guess(repeated(), 32, 1, dearest).empty());
}

TEST(PromptLookup, TriesLongerGuessesOnlyWhereShorterOnesHaveBeenTimed) {
  StepTimes times;
  times.took(1, 0.010);
  PromptLookup lookup(16);
  lookup.took(100, 100);
  EXPECT_EQ(lookup.guess(repeated(), 32, 1, times).size(), 1u);
  times.took(2, 0.010);
  EXPECT_EQ(lookup.guess(repeated(), 32, 1, times).size(), 2u);
  times.took(3, 0.011);
  EXPECT_EQ(lookup.guess(repeated(), 32, 1, times).size(), 3u);
  times.took(4, 0.030);
  times.took(6, 0.050);
  EXPECT_EQ(lookup.guess(repeated(), 32, 1, times).size(), 2u) << "a leap is not paid for";
}

}  // namespace
}  // namespace fovea
