#include "sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "fovea/error.h"
#include "sampling/counter_random.h"
#include "sampling/exponential.h"

namespace fovea::sampling {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(std::mt19937& random, int vocabulary, float spread = 3) {
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(static_cast<size_t>(vocabulary));
  for (float& logit : logits) logit = normal(random);
  return logits;
}

int32_t choose(const SamplingOptions& options, const std::vector<float>& logits, std::vector<int32_t> prompt = {}) {
  return Sampler(options, static_cast<int>(logits.size()), prompt).next(logits);
}

// The specification, as plainly as it can be said: sort everything, then cut three times.
std::map<int32_t, double> oracle_probabilities(const SamplingOptions& options, const std::vector<float>& logits) {
  struct Row {
    int32_t token;
    long double weight;
  };
  std::vector<Row> rows;
  const long double largest = *std::max_element(logits.begin(), logits.end());
  for (size_t i = 0; i < logits.size(); ++i) {
    rows.push_back({static_cast<int32_t>(i), std::exp((logits[i] - largest) / options.temperature)});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.weight > b.weight; });
  if (options.top_k > 0 && rows.size() > static_cast<size_t>(options.top_k)) {
    rows.resize(static_cast<size_t>(options.top_k));
  }
  const auto total = [&] {
    long double sum = 0;
    for (const Row& row : rows) sum += row.weight;
    return sum;
  };
  if (options.top_p < 1) {
    const long double enough = options.top_p * total();
    long double sum = 0;
    size_t kept = 0;
    while (kept < rows.size() && sum < enough) sum += rows[kept++].weight;
    rows.resize(kept);
  }
  std::erase_if(rows, [&](const Row& row) { return row.weight < options.min_p * rows.front().weight; });
  std::map<int32_t, double> probabilities;
  const long double sum = total();
  for (const Row& row : rows) probabilities[row.token] = static_cast<double>(row.weight / sum);
  return probabilities;
}

std::map<int32_t, int> draw_many(SamplingOptions options, const std::vector<float>& logits, int draws) {
  Sampler sampler(options, static_cast<int>(logits.size()), {});
  std::map<int32_t, int> counts;
  for (int i = 0; i < draws; ++i) ++counts[sampler.next(logits)];
  return counts;
}

// Pearson's statistic against the degrees of freedom; 6 standard deviations above their mean is the bound.
void expect_distribution(const std::map<int32_t, int>& counts, const std::map<int32_t, double>& probabilities, int draws) {
  double statistic = 0, pooled_expected = 0, pooled_seen = 0;
  int cells = 0;
  const auto add_cell = [&](double seen, double expected) {
    statistic += (seen - expected) * (seen - expected) / expected;
    ++cells;
  };
  for (const auto& [token, probability] : probabilities) {
    const double expected = probability * draws;
    const double seen = counts.contains(token) ? counts.at(token) : 0;
    if (expected >= 5) {
      add_cell(seen, expected);
    } else {  // too rare to count alone
      pooled_expected += expected;
      pooled_seen += seen;
    }
  }
  if (pooled_expected >= 5) add_cell(pooled_seen, pooled_expected);
  const double freedom = std::max(1, cells - 1);
  EXPECT_LT(statistic, freedom + 6 * std::sqrt(2 * freedom)) << cells << " cells";
  for (const auto& [token, count] : counts) {
    EXPECT_TRUE(probabilities.contains(token)) << "token " << token << " should have been cut, drawn " << count;
  }
}

TEST(Exponential, AgreesWithTheLibraryToTwoUnits) {
  for (double x = 0; x > -699; x -= 0.00937) {
    const double expected = std::exp(x);
    EXPECT_LE(std::abs(exp_nonpositive(x) - expected), 2 * expected * std::numeric_limits<double>::epsilon()) << x;
  }
  EXPECT_EQ(exp_nonpositive(0), 1);
  EXPECT_EQ(exp_nonpositive(-701), 0);
  EXPECT_EQ(exp_nonpositive(-kInfinity), 0);
  EXPECT_EQ(exp_nonpositive(kNan), 0);
}

TEST(CounterRandom, FillsTheUnitIntervalEvenlyForNeighbouringSeeds) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    std::array<int, 64> cells = {};
    constexpr int kDraws = 64000;
    for (uint64_t i = 0; i < kDraws; ++i) {
      const double u = uniform_at(seed, i);
      ASSERT_GE(u, 0);
      ASSERT_LT(u, 1);
      ++cells[static_cast<size_t>(u * 64)];
    }
    double statistic = 0;
    for (const int count : cells) statistic += (count - 1000.0) * (count - 1000.0) / 1000.0;
    EXPECT_LT(statistic, 63 + 6 * std::sqrt(126.0)) << seed;
  }
}

TEST(CounterRandom, SeedsAreNotShiftsOfEachOther) {
  std::set<double> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (uint64_t i = 0; i < 100; ++i) seen.insert(uniform_at(seed, i));
  }
  EXPECT_EQ(seen.size(), 10000u);
}

TEST(Greedy, TakesTheLowestIdAmongEquals) {
  EXPECT_EQ(choose({}, {1, 5, 2, 5, 5}), 1);
  EXPECT_EQ(choose({}, {-0.f, 0.f}), 0);
  std::vector<float> many(1000, 0.f);
  many[77] = many[500] = many[999] = 3;
  EXPECT_EQ(choose({}, many), 77);
}

TEST(Greedy, NeverTakesWhatIsNotANumber) {
  EXPECT_EQ(choose({}, {kNan, 1, kNan, 2, kNan}), 3);
  std::vector<float> many(100, kNan);
  many[63] = -1e30f;
  EXPECT_EQ(choose({}, many), 63);
}

TEST(Sampler, RefusesLogitsThatLeaveNothing) {
  for (const float temperature : {0.f, 1.f}) {
    EXPECT_THROW(choose({.temperature = temperature}, {kNan, kNan}), Error);
    EXPECT_THROW(choose({.temperature = temperature}, {-kInfinity, kNan}), Error);
    EXPECT_THROW(choose({.logit_bias = {{0, -kInfinity}}, .temperature = temperature}, {1.f}), Error);
  }
}

TEST(Sampler, TakesAnInfiniteLogit) {
  EXPECT_EQ(choose({.temperature = 1}, {0, kInfinity, 5}), 1);
  EXPECT_EQ(choose({.temperature = 1, .top_k = 2, .top_p = 0.5f}, {0, 3, kInfinity}), 2);
}

TEST(Sampler, NeverDrawsNanOrForbiddenTokens) {
  const std::vector<float> logits = {kNan, 0, -kInfinity, 0.5f, kNan, 0.25f};
  for (const SamplingOptions& options :
       {SamplingOptions{.temperature = 2}, SamplingOptions{.temperature = 2, .top_k = 5}, SamplingOptions{.temperature = 2, .top_p = 0.99f},
        SamplingOptions{.temperature = 2, .min_p = 0.01f}}) {
    for (const auto& [token, count] : draw_many(options, logits, 2000)) {
      EXPECT_TRUE(token == 1 || token == 3 || token == 5) << token;
    }
  }
}

TEST(LogitBias, AddsToTheLogitAndForbids) {
  EXPECT_EQ(choose({.logit_bias = {{2, 3.f}}}, {1, 2, 0}), 2);
  EXPECT_EQ(choose({.logit_bias = {{2, 1.5f}, {2, 1.5f}}}, {1, 2, 0}), 2);
  EXPECT_EQ(choose({.logit_bias = {{1, -kInfinity}}}, {1, 2, 0}), 0);
}

TEST(RepetitionPenalty, DividesPositiveAndMultipliesNegativeLogits) {
  EXPECT_EQ(choose({.repetition_penalty = 2}, {3, 2}, {0}), 1);
  EXPECT_EQ(choose({.repetition_penalty = 1.4f}, {3, 2}, {0}), 0);
  EXPECT_EQ(choose({.repetition_penalty = 2}, {-1, -1.5f}, {0}), 1);
}

TEST(RepetitionPenalty, CountsATokenOnceHoweverOftenItWasSeen) { EXPECT_EQ(choose({.repetition_penalty = 1.4f}, {3, 2}, {0, 0, 0, 0}), 0); }

TEST(RepetitionPenalty, ForgetsWhatLeftTheWindow) {
  const std::vector<float> logits = {3, 2, -9};
  EXPECT_EQ(choose({.repetition_penalty = 2, .penalty_window = 2}, logits, {0, 2}), 1);
  EXPECT_EQ(choose({.repetition_penalty = 2, .penalty_window = 2}, logits, {0, 2, 2}), 0);
  EXPECT_EQ(choose({.repetition_penalty = 2, .penalty_window = -1}, logits, {0, 2, 2}), 1);
  EXPECT_EQ(choose({.repetition_penalty = 2, .penalty_window = 0}, logits, {0, 0, 0}), 0);
}

TEST(RepetitionPenalty, SeesWhatWasGenerated) {
  Sampler sampler({.repetition_penalty = 2}, 2, {});
  const std::vector<float> logits = {3, 2};
  EXPECT_EQ(sampler.next(logits), 0);
  EXPECT_EQ(sampler.next(logits), 1);
  EXPECT_EQ(sampler.next(logits), 0);  // both are halved now
}

TEST(PresenceAndFrequency, CountOnlyGeneratedTokens) {
  const std::vector<float> logits = {3, 2};
  EXPECT_EQ(choose({.presence_penalty = 2}, logits, {0, 0}), 0);
  Sampler presence({.presence_penalty = 1.5f}, 2, {});
  EXPECT_EQ(presence.next(logits), 0);
  EXPECT_EQ(presence.next(logits), 1);
  EXPECT_EQ(presence.next(logits), 0);  // once, not once more each time
  EXPECT_EQ(presence.next(logits), 0);
  Sampler frequency({.frequency_penalty = 0.6f}, 2, {});
  std::vector<int32_t> tokens;
  for (int i = 0; i < 6; ++i) tokens.push_back(frequency.next(logits));
  EXPECT_EQ(tokens, (std::vector<int32_t>{0, 0, 1, 0, 1, 0}));
}

TEST(Penalties, AgreeWithAPlainRecount) {
  std::mt19937 random(11);
  for (int round = 0; round < 50; ++round) {
    const int vocabulary = 2 + static_cast<int>(random() % 12);
    SamplingOptions options;
    options.repetition_penalty = 0.5f + static_cast<float>(random() % 20) / 10;
    options.presence_penalty = static_cast<float>(random() % 5) / 4 - 0.5f;
    options.frequency_penalty = static_cast<float>(random() % 5) / 8;
    options.penalty_window = static_cast<int>(random() % 8) - 1;
    std::vector<int32_t> prompt(random() % 9), output;
    for (int32_t& token : prompt) token = static_cast<int32_t>(random() % static_cast<unsigned>(vocabulary));
    Sampler sampler(options, vocabulary, prompt);
    for (int step = 0; step < 20; ++step) {
      const std::vector<float> logits = random_logits(random, vocabulary, 1);
      std::vector<float> expected = logits;
      std::vector<int32_t> history = prompt;
      history.insert(history.end(), output.begin(), output.end());
      const size_t window =
          options.penalty_window < 0 ? history.size() : std::min(history.size(), static_cast<size_t>(options.penalty_window));
      for (int32_t t = 0; t < vocabulary; ++t) {
        float& logit = expected[static_cast<size_t>(t)];
        if (std::count(history.end() - static_cast<std::ptrdiff_t>(window), history.end(), t) > 0) {
          logit = logit > 0 ? logit / options.repetition_penalty : logit * options.repetition_penalty;
        }
        const auto generated = std::count(output.begin(), output.end(), t);
        if (generated > 0) {
          logit -= options.presence_penalty + options.frequency_penalty * static_cast<float>(generated);
        }
      }
      output.push_back(sampler.next(logits));
      ASSERT_EQ(output.back(), std::max_element(expected.begin(), expected.end()) - expected.begin());
    }
  }
}

TEST(Distribution, OfTheWholeVocabularyIsTheSoftmax) {
  std::mt19937 random(1);
  for (const int vocabulary : {1, 7, 513, 1500}) {
    for (const float temperature : {0.5f, 1.f, 1.7f}) {
      const std::vector<float> logits = random_logits(random, vocabulary, 2);
      const SamplingOptions options{.temperature = temperature, .seed = 42};
      expect_distribution(draw_many(options, logits, 20000), oracle_probabilities(options, logits), 20000);
    }
  }
}

TEST(Distribution, AfterEachFilterIsTheSoftmaxOfWhatIsLeft) {
  std::mt19937 random(2);
  const std::vector<float> logits = random_logits(random, 600, 2);
  for (const SamplingOptions& options :
       {SamplingOptions{.temperature = 0.8f, .top_k = 40, .seed = 5}, SamplingOptions{.temperature = 1, .top_p = 0.9f, .seed = 6},
        SamplingOptions{.temperature = 1, .min_p = 0.05f, .seed = 7},
        SamplingOptions{.temperature = 1.3f, .top_k = 50, .top_p = 0.8f, .min_p = 0.02f, .seed = 8}}) {
    expect_distribution(draw_many(options, logits, 20000), oracle_probabilities(options, logits), 20000);
  }
}

// The nucleus itself, against the oracle, for many shapes of distributions: flat ones (top-p keeps
// thousands), peaked ones, and ones full of ties.
TEST(Nucleus, KeepsWhatSortingEverythingKeeps) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const int vocabulary = 1 + static_cast<int>(random() % (round % 10 == 0 ? 20000 : 500));
    std::vector<float> logits = random_logits(random, vocabulary, round % 3 == 0 ? 0.3f : 3.f);
    if (round % 4 == 0) {
      for (float& logit : logits) logit = std::round(logit);
    }
    SamplingOptions options;
    options.temperature = 0.25f * static_cast<float>(1 + random() % 8);
    if (random() % 2) options.top_k = 1 + static_cast<int>(random() % (random() % 2 ? 30 : 6000));
    if (random() % 2) options.top_p = 0.013f + 0.0137f * static_cast<float>(random() % 72);
    if (random() % 2) options.min_p = 0.0017f * static_cast<float>(random() % 100);
    const std::map<int32_t, double> expected = oracle_probabilities(options, logits);
    Nucleus nucleus(options, vocabulary);
    const std::span<const Candidate> kept = nucleus.select(logits, *std::max_element(logits.begin(), logits.end()));
    ASSERT_EQ(kept.size(), expected.size()) << "round " << round;
    double total = 0;
    for (const Candidate& c : kept) total += c.weight;
    for (const Candidate& c : kept) {
      ASSERT_TRUE(expected.contains(c.token)) << "round " << round << " token " << c.token;
      ASSERT_NEAR(c.weight / total, expected.at(c.token), 1e-12);
    }
  }
}

TEST(Nucleus, ComesMostLikelyFirst) {
  Nucleus nucleus({.temperature = 1, .top_k = 3}, 5);
  const std::vector<float> logits = {1, 4, 4, 2, 3};
  std::vector<int32_t> tokens;
  for (const Candidate& c : nucleus.select(logits, 4)) tokens.push_back(c.token);
  EXPECT_EQ(tokens, (std::vector<int32_t>{1, 2, 4}));
}

TEST(Seed, GivesTheSameTokensAgain) {
  std::mt19937 random(4);
  std::vector<std::vector<float>> steps;
  for (int i = 0; i < 50; ++i) steps.push_back(random_logits(random, 1000));
  const auto run = [&](uint64_t seed, SamplingOptions options) {
    options.seed = seed;
    Sampler sampler(options, 1000, {});
    std::vector<int32_t> tokens;
    for (const auto& logits : steps) tokens.push_back(sampler.next(logits));
    return tokens;
  };
  for (const SamplingOptions& options :
       {SamplingOptions{.temperature = 1}, SamplingOptions{.temperature = 1, .top_k = 40, .top_p = 0.95f}}) {
    EXPECT_EQ(run(1, options), run(1, options));
    EXPECT_NE(run(1, options), run(2, options));
  }
}

// Written down once. If this fails, seeds that users noted no longer give them their text.
TEST(Seed, GivesTheTokensItGaveBefore) {
  std::vector<float> logits(100);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>((i * 37) % 100) / 25;
  const auto run = [&](const SamplingOptions& options) {
    Sampler sampler(options, 100, {});
    std::vector<int32_t> tokens;
    for (int i = 0; i < 8; ++i) tokens.push_back(sampler.next(logits));
    return tokens;
  };
  EXPECT_EQ(run({.temperature = 1, .seed = 7}), (std::vector<int32_t>{70, 62, 54, 59, 35, 18, 89, 89}));
  EXPECT_EQ(run({.temperature = 1, .top_k = 20, .seed = 7}), (std::vector<int32_t>{51, 24, 70, 97, 62, 81, 86, 86}));
}

TEST(Options, ThatMeanNothingAreRefusedByName) {
  const auto refused_for = [](const SamplingOptions& options, const std::string& name) {
    try {
      Sampler(options, 10, {});
      ADD_FAILURE() << name << " was accepted";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
      EXPECT_FALSE(error.mend().empty());
    }
  };
  for (const float bad : {kNan, -1.f, kInfinity}) {
    refused_for({.temperature = bad}, "temperature");
    refused_for({.top_p = bad}, "top_p");
    refused_for({.min_p = bad}, "min_p");
    refused_for({.repetition_penalty = bad}, "repetition_penalty");
  }
  refused_for({.repetition_penalty = 0}, "repetition_penalty");
  refused_for({.top_p = 0}, "top_p");
  refused_for({.top_p = 1.01f}, "top_p");
  refused_for({.min_p = 1.01f}, "min_p");
  refused_for({.top_k = -1}, "top_k");
  refused_for({.penalty_window = -2}, "penalty_window");
  refused_for({.presence_penalty = kNan}, "presence_penalty");
  refused_for({.frequency_penalty = kInfinity}, "frequency_penalty");
  refused_for({.logit_bias = {{3, kNan}}}, "logit_bias");
  refused_for({.logit_bias = {{3, kInfinity}}}, "logit_bias");
  refused_for({.logit_bias = {{10, 1.f}}}, "token 10");
  refused_for({.logit_bias = {{-1, 1.f}}}, "token -1");
}

TEST(Options, PromptTokensOutsideTheVocabularyAreRefused) {
  EXPECT_THROW(Sampler({}, 10, std::vector<int32_t>{10}), Error);
  EXPECT_THROW(Sampler({}, 10, std::vector<int32_t>{-1}), Error);
}

TEST(Sampler, WhatIsNotAllowedIsNeverChosenAndOtherwiseNothingChanges) {
  std::vector<float> logits(70);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 7);
  const std::vector<uint32_t> some = {1u << 3 | 1u << 6, 1u << 0, 1u << 4}, all(3, ~0u), none(3, 0);
  SamplingOptions sampled;
  sampled.temperature = 2;
  sampled.frequency_penalty = 0.1f;
  for (const SamplingOptions& options : {SamplingOptions(), sampled}) {
    Sampler masked(options, 70, {}), free(options, 70, {}), unmasked(options, 70, {});
    for (int i = 0; i < 200; ++i) {
      const int32_t token = masked.next(logits, some);
      EXPECT_TRUE(token == 3 || token == 6 || token == 32 || token == 68) << token;
      EXPECT_EQ(free.next(logits, all), unmasked.next(logits));
    }
    EXPECT_THROW(masked.next(logits, none), Error);
  }
}

}  // namespace
}  // namespace fovea::sampling
