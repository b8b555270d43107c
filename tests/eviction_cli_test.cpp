// Eviction, shift and static mode on the command line: what they are asked with, what they report, what they refuse.
#include "cli_fixture.h"

namespace fovea::cli_tests {
namespace {

using nlohmann::json;

const Arguments kForgetting = {"--kv-budget", "64", "--sinks", "16", "--evict-interval", "16"};

Arguments forgetting(Arguments arguments, const std::string& policy) {
  arguments.insert(arguments.end(), kForgetting.begin(), kForgetting.end());
  arguments.insert(arguments.end(), {"--evict", policy});
  return arguments;
}

TEST_F(Cli, TextsGoOnBeyondTheBudgetAndSayWhatWasForgotten) {
  for (const char* policy : {"streaming", "h2o", "scissorhands"}) {
    SCOPED_TRACE(policy);
    const Arguments arguments = forgetting(with_model({"run", "-p", "Hello", "-n", "200", "--ignore-end", "--json"}), policy);
    const json object = json_of(arguments);
    EXPECT_EQ(object.at("tokens").size(), 200u);
    EXPECT_GE(object.at("evicted_tokens"), 200 - 64);
    EXPECT_EQ(object.at("evicted_tokens").get<int>() % 16, 0);
    EXPECT_EQ(object.at("shifted_tokens"), 0);
  }
  const Outcome plain = run(forgetting(with_model({"run", "-p", "Hello", "-n", "200", "--ignore-end"}), "streaming"));
  EXPECT_TRUE(has(plain.error, "approximate: ")) << plain.error;
}

TEST_F(Cli, ShiftGoesOnWhenTheContextIsFull) {
  const Arguments arguments = with_model({"run", "-p", "Hello", "-n", "150", "-c", "64", "--ignore-end", "--json"});
  expect_failure(run(arguments), "");
  Arguments shifting = arguments;
  shifting.push_back("--shift");
  const json object = json_of(shifting);
  EXPECT_EQ(object.at("tokens").size(), 150u);
  EXPECT_GE(object.at("shifted_tokens"), 150 - 64);
}

TEST_F(Cli, AStaticCacheGivesTheSameText) {
  const Arguments arguments = with_model({"run", "-p", "Hello", "-n", "20", "--ignore-end"});
  Arguments fixed = arguments;
  fixed.push_back("--static-cache");
  EXPECT_EQ(run(arguments).out, run(fixed).out);
  const json bench = json_of(with_model({"bench", "-p", "16", "-n", "4", "-r", "1", "--static-cache", "--json"}));
  EXPECT_EQ(bench.at("results").size(), 2u);
}

TEST_F(Cli, PerplexityCountsTheEndOfALongTextWithinABudgetOrFromFreshContexts) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "line " + std::to_string(i) + " of a text. ";
  const Arguments base = with_model({"perplexity", "-c", "300", "--chunks", "1", "--last", "100", "--json"});
  const json lossy = json_of(forgetting(base, "streaming"), text), whole = json_of(base, text);
  EXPECT_EQ(lossy.at("tokens"), 100);
  EXPECT_EQ(whole.at("tokens"), 100);
  EXPECT_NE(lossy.at("perplexity"), whole.at("perplexity"));
  Arguments fresh = forgetting(base, "none");
  fresh.insert(fresh.end(), {"--fresh", "64"});
  EXPECT_EQ(json_of(fresh, text).at("tokens"), 100);
  fresh.back() = "20";
  expect_failure(run(fresh, text), "");
}

TEST_F(Cli, WhatDoesNotGoWithForgettingIsRefused) {
  const Arguments arguments = with_model({"run", "-p", "Hello", "-n", "5"});
  for (const Arguments& more : std::vector<Arguments>{{"--evict", "streaming", "--session", "x.fovea"},
                                                      {"--shift", "--session", "x.fovea"},
                                                      {"--static-cache", "--session", "x.fovea"},
                                                      {"--shift", "-i"},
                                                      {"--evict", "something"}}) {
    Arguments all = arguments;
    all.insert(all.end(), more.begin(), more.end());
    EXPECT_EQ(run(all).status, 2) << more.front();
  }
  Arguments both = forgetting(arguments, "streaming");
  both.push_back("--static-cache");
  expect_failure(run(both), "engine options");
  both.back() = "--shift";
  expect_failure(run(both), "request");
  Arguments local = forgetting(arguments, "streaming");
  local.insert(local.end(), {"--kv-budget-local", "64"});
  const Outcome refused = run(local);
  expect_failure(refused, "eviction options");
  EXPECT_TRUE(has(refused.error, "no layer has a window")) << refused.error;
  Arguments nothing_left = arguments;
  nothing_left.insert(nothing_left.end(), {"--evict", "streaming", "--kv-budget", "32", "--sinks", "16"});
  expect_failure(run(nothing_left), "eviction options");
}

}  // namespace
}  // namespace fovea::cli_tests
