#include "engine/prompt_lookup.h"

#include <gtest/gtest.h>

#include <vector>

namespace fovea {
namespace {

using Tokens = std::vector<int32_t>;

Tokens guess(PromptLookup& lookup, const Tokens& tokens, int most = 32) {
  const auto guessed = lookup.guess(tokens, most);
  return {guessed.begin(), guessed.end()};
}

TEST(PromptLookup, GuessesWhatFollowedTheNewestOccurrence) {
  PromptLookup lookup(8);
  EXPECT_EQ(guess(lookup, {1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 7, 8, 1, 2, 3}), (Tokens{5, 6, 7, 8}));
  EXPECT_EQ(guess(lookup, {1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 7, 8, 1, 2, 3, 5}), (Tokens{6, 7, 8, 1}));
  EXPECT_EQ(guess(lookup, {1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 7, 8, 1, 2, 3, 5, 0}), Tokens());
}

TEST(PromptLookup, GuessesNoMoreThanItMay) {
  const Tokens tokens = {1, 2, 3, 4, 5, 6, 1, 2, 3};
  PromptLookup lookup(2);
  EXPECT_EQ(guess(lookup, tokens), (Tokens{4, 5}));
  EXPECT_EQ(guess(lookup, tokens, 1), (Tokens{4}));
  EXPECT_EQ(guess(lookup, tokens, 0), Tokens());
  PromptLookup near_the_end(8);
  EXPECT_EQ(guess(near_the_end, {7, 7, 7, 7, 7}), (Tokens{7}));
  EXPECT_EQ(guess(near_the_end, {7, 7}), Tokens());
}

TEST(PromptLookup, MakesLongerGuessesWhereTheyAreRightAndNoneWhereTheyAreWrong) {
  Tokens tokens;
  for (int i = 0; i < 100; ++i) tokens.push_back(i);
  tokens.insert(tokens.end(), {0, 1, 2});
  PromptLookup lookup(16);
  EXPECT_EQ(guess(lookup, tokens).size(), 4u);
  lookup.took(4, 4);
  EXPECT_EQ(guess(lookup, tokens).size(), 8u);
  lookup.took(8, 8);
  EXPECT_EQ(guess(lookup, tokens).size(), 16u);
  int paused = 0;
  for (int failure = 0; failure < 3; ++failure) {
    lookup.took(16, 0);
    int pause = 0;
    while (guess(lookup, tokens).empty()) ++pause;
    EXPECT_GT(pause, paused);
    paused = pause;
  }
  EXPECT_EQ(guess(lookup, tokens).size(), 4u);
}

}  // namespace
}  // namespace fovea
