// What the program refuses, and how: wrong usage ends in 2, failures in 1 with what, where and how to mend
// it.
#include "cli_fixture.h"

namespace fovea::cli_tests {
namespace {

void expect_usage_error(const Arguments& arguments, const std::string& word) {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.status, 2) << outcome.error;
  EXPECT_TRUE(outcome.out.empty()) << outcome.out;
  EXPECT_TRUE(has(outcome.error, "fovea: ") && has(outcome.error, word)) << outcome.error;
}

TEST_F(Cli, WrongUsageIsStatusTwoAndNamesTheMistake) {
  EXPECT_EQ(run({}).status, 2);
  expect_usage_error({"walk"}, "walk");
  expect_usage_error({"run", "--no-such-option"}, "--no-such-option");
  expect_usage_error({"inspect"}, "model");
  expect_usage_error({"models"}, "fovea models --help");
  expect_usage_error({"logits", "--tokens", "t.npy"}, "--out");
  expect_usage_error({"run", "-p", "a", "-f", "b"}, "--file");
  expect_usage_error({"run", "-i", "--json", "-p", "a"}, "--json");
  expect_usage_error({"run"}, "-p");
  expect_usage_error({"bench", "-p", "0", "-n", "0"}, "-p");
  expect_usage_error({"tokenize", "-p", "a", "5"}, "--detokenize");
}

TEST_F(Cli, AbsurdValuesAreRefusedByName) {
  for (const auto& [option, values] :
       std::vector<std::pair<std::string, Arguments>>{{"--temp", {"-1", "nan", "inf", "hot"}},
                                                      {"--top-p", {"0", "-0.5", "1.5", "nan"}},
                                                      {"--min-p", {"-0.1", "1.1", "nan"}},
                                                      {"--top-k", {"-1", "1.5", "99999999999"}},
                                                      {"--repeat-penalty", {"0", "-1", "nan"}},
                                                      {"--presence-penalty", {"nan", "inf"}},
                                                      {"--frequency-penalty", {"nan", "-inf"}},
                                                      {"--seed", {"-1", "x"}},
                                                      {"--logit-bias", {"5", "5:nan", "-5:1", "x:1"}},
                                                      {"--tokens", {"-2", "1e3", "99999999999"}},
                                                      {"--context", {"-1", "many"}},
                                                      {"--threads", {"-1", "100000"}},
                                                      {"--chunk", {"0", "-5"}},
                                                      {"--kv-local", {"", "q9", "auto"}},
                                                      {"--kv", {"", "int5", "k=int8", "int8,int4", "k=int8,k=int4", "k=int8,v=q9"}},
                                                      {"--kv-global", {"F16 "}}}) {
    for (const std::string& value : values) expect_usage_error({"run", "-p", "a", option + "=" + value}, option);
  }
  expect_usage_error({"perplexity", "-f", "x", "-c", "3"}, "--context");
  expect_usage_error({"run", "-p", "a", "--kv", "int8", "--kv-local", "f16"}, "--kv");
  expect_usage_error({"kv-quality", "-f", "x", "--layers", "some"}, "--layers");
  expect_usage_error({"kv-quality", "-f", "x", "-c", "0"}, "--notes");
  expect_usage_error({"bench", "-d", "0,-5"}, "--depth");
  expect_usage_error({"bench", "-r", "0"}, "--rounds");
}

TEST_F(Cli, AMissingModelIsAFailureWithPlaceAndMend) {
  for (const Arguments& arguments : std::vector<Arguments>{{"run", "-p", "a", "-m", "no/such/model.gguf"},
                                                           {"tokenize", "-p", "a", "-m", "no/such/model.gguf"},
                                                           {"bench", "-m", "no/such/model.gguf"},
                                                           {"inspect", "no/such/model.gguf"}}) {
    expect_failure(run(arguments), "no/such/model.gguf");
  }
}

TEST_F(Cli, MissingTextsAndTokensAreFailures) {
  expect_failure(run(with_model({"run", "-f", "no-such-text.txt"})), "no-such-text.txt");
  expect_failure(run(with_model({"perplexity", "-f", "no-such-text.txt"})), "no-such-text.txt");
  expect_failure(run(with_model({"logits", "--tokens", "no-such.npy", "--out", "l.npy"})), "no-such.npy");
}

TEST_F(Cli, TextThatIsNotUtf8IsRefusedWithItsOffset) {
  const Outcome outcome = run(with_model({"tokenize"}), "abc\xFF");
  expect_failure(outcome, "standard input");
  EXPECT_TRUE(has(outcome.error, "offset 3")) << outcome.error;
}

}  // namespace
}  // namespace fovea::cli_tests
