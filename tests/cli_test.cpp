// What the program does, from the outside: arguments in; stdout, stderr and exit status out.
#include <gtest/gtest.h>

#include <cstdint>

#include "cli_fixture.h"

namespace fovea::cli_tests {
namespace {

using nlohmann::json;

TEST_F(Cli, HelpOfEveryCommandTeachesByExample) {
  for (const char* command : {"run", "tokenize", "logits", "perplexity", "bench", "inspect", "models"}) {
    const Outcome outcome = run({command, "--help"});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_TRUE(has(outcome.out, "Examples:\n  ")) << outcome.out;
    EXPECT_TRUE(outcome.error.empty()) << outcome.error;
  }
  EXPECT_EQ(run({"--help"}).status, 0);
  EXPECT_TRUE(run({"--version"}).out.starts_with("fovea "));
}

TEST_F(Cli, InspectTellsTheLayersApart) {
  const json facts = json_of({"inspect", (kData / "oracle" / "gemma3").string(), "--json"});
  EXPECT_EQ(facts.at("family"), "gemma3");
  EXPECT_EQ(facts.at("vocabulary"), 144);
  const json& layers = facts.at("layers");
  ASSERT_EQ(layers.size(), 7u);
  for (size_t i = 0; i < layers.size(); ++i) {
    SCOPED_TRACE(i);
    const bool global = i == 5;
    EXPECT_EQ(layers[i].at("index"), i);
    EXPECT_EQ(layers[i].at("kind"), global ? "global" : "local");
    EXPECT_EQ(layers[i].at("window"), global ? json() : json(8));
    EXPECT_EQ(layers[i].at("q_heads"), 4);
    EXPECT_EQ(layers[i].at("kv_heads"), 2);
    EXPECT_EQ(layers[i].at("head_dim"), 16);
    EXPECT_EQ(layers[i].at("rope_base"), global ? 1e6 : 1e4);
    EXPECT_EQ(layers[i].at("cache_bytes_per_token"), 2 * 2 * 16 * 2);
    EXPECT_TRUE(layers[i].at("shares_with").is_null());
  }
  const Outcome text = run({"inspect", (kData / "oracle" / "gemma3").string()});
  EXPECT_TRUE(has(text.out, "0-4, 6  local ")) << text.out;
}

TEST_F(Cli, TokenizingAndBackGivesTheText) {
  for (const std::string text : {"Hello world", "  two  spaces\n\nand lines\t", "caf\xC3\xA9 \xF0\x9F\x8E\x89"}) {
    const json tokens = json_of(with_model({"tokenize", "--no-bos", "--json"}), text).at("tokens");
    const Outcome plain = run(with_model({"tokenize", "--no-bos"}), text);
    std::string ids;
    for (const json& token : tokens) ids.append(ids.empty() ? "" : " ").append(token.dump());
    EXPECT_EQ(plain.out, ids.append("\n"));
    EXPECT_EQ(run(with_model({"tokenize", "--detokenize"}), plain.out).out, text);
  }
}

TEST_F(Cli, DetokenizingRefusesWhatIsNoToken) {
  const Outcome outcome = run(with_model({"tokenize", "--detokenize", "99999"}));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(has(outcome.error, "99999")) << outcome.error;
  EXPECT_EQ(run(with_model({"tokenize", "--detokenize"}), "12 x").status, 2);
}

TEST_F(Cli, SpecialTokensAreParsedOnlyWhereAsked) {
  const auto count = [&](Arguments arguments) { return json_of(with_model(std::move(arguments))).at("tokens").size(); };
  EXPECT_EQ(count({"tokenize", "-p", "</s>", "--no-bos", "--special", "--json"}), 1u);
  EXPECT_GT(count({"tokenize", "-p", "</s>", "--no-bos", "--json"}), 1u);
}

TEST_F(Cli, GeneratedTextAloneGoesToStdout) {
  const Arguments arguments = with_model({"run", "-p", "Hello", "-n", "12", "--ignore-end"});
  const Outcome plain = run(arguments);
  EXPECT_EQ(plain.status, 0) << plain.error;
  EXPECT_TRUE(has(plain.error, "prefill ") && has(plain.error, " decode ")) << plain.error;
  EXPECT_FALSE(has(plain.error, "\x1b")) << "no colours or bars where there is no terminal";

  Arguments as_json = arguments;
  as_json.push_back("--json");
  const json object = json_of(as_json);
  EXPECT_EQ(object.at("text").get<std::string>() + "\n", plain.out);
  EXPECT_EQ(object.at("tokens").size(), 12u);
  EXPECT_EQ(object.at("finish"), "length");
  EXPECT_EQ(object.at("timing").at("decode_tokens"), 11);
}

TEST_F(Cli, TheSameSeedGivesTheSameText) {
  const auto text = [&](const char* seed) {
    return run(with_model({"run", "-p", "Hello", "-n", "20", "--ignore-end", "--temp", "1", "--seed", seed})).out;
  };
  EXPECT_EQ(text("1"), text("1"));
  EXPECT_NE(text("1"), text("2"));
}

TEST_F(Cli, PromptsComeFromArgumentsFilesAndPipes) {
  const TemporaryFolder folder;
  write_file(folder / "prompt.txt", "Hello there");
  const std::string expected = run(with_model({"run", "-p", "Hello there", "-n", "8"})).out;
  EXPECT_EQ(run(with_model({"run", "-f", (folder / "prompt.txt").string(), "-n", "8"})).out, expected);
  EXPECT_EQ(run(with_model({"run", "-f", "-", "-n", "8"}), "Hello there").out, expected);
  EXPECT_EQ(run(with_model({"run", "-n", "8"}), "Hello there").out, expected);
}

TEST_F(Cli, NoTokensMeansOnlyThePrompt) {
  const Outcome outcome = run(with_model({"run", "-p", "Hello there", "-n", "0", "--stats"}));
  EXPECT_EQ(outcome.status, 0) << outcome.error;
  EXPECT_EQ(outcome.out, "\n");
  const json stats = json::parse(outcome.error.substr(outcome.error.find('{')));
  EXPECT_GT(stats.at("computed_tokens"), 0);
  EXPECT_EQ(stats.at("reused_tokens"), 0);
  EXPECT_EQ(stats.at("decode_tokens"), 0);
}

TEST_F(Cli, AForbiddenTokenIsNotGenerated) {
  const json first = json_of(with_model({"run", "-p", "Hello", "-n", "1", "--ignore-end", "--json"}));
  const std::string ban = first.at("tokens").at(0).dump() + ":-inf";
  const json second = json_of(with_model({"run", "-p", "Hello", "-n", "1", "--ignore-end", "--json", "--logit-bias", ban}));
  EXPECT_NE(first.at("tokens"), second.at("tokens"));
}

TEST_F(Cli, WhatDoesNotFitTheContextIsRefused) {
  expect_failure(run(with_model({"run", "-p", "Hello there", "-n", "50", "-c", "10"})), "");
}

TEST_F(Cli, LogitsAreTheSameBytesForAnyChunkAndThreads) {
  const TemporaryFolder folder;
  const fs::path oracle = kData / "oracle" / "gemma3_odd_untied";
  const auto logits = [&](const Arguments& extra) {
    const fs::path out = folder / "logits.npy";
    Arguments arguments = {"logits", "-m", oracle.string(), "--tokens", (oracle / "tokens.npy").string(), "--out", out.string()};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.error;
    EXPECT_TRUE(outcome.out.empty());
    return read_file(out);
  };
  const std::string expected = logits({});
  EXPECT_EQ(expected.size(), 128 + 92 * 131 * sizeof(float));
  // Compared in parentheses: a failure must not print a thousand numbers.
  EXPECT_TRUE((logits({"--chunk", "1"}) == expected));
  EXPECT_TRUE((logits({"--chunk", "7", "-t", "1"}) == expected));
  EXPECT_TRUE((logits({"-t", "2"}) == expected));
  EXPECT_FALSE((logits({"--kv-global", "f16"}) == expected));
  EXPECT_TRUE((logits({"--kv", "auto"}) == expected)) << "there is room for bf16";
  const std::string apart = logits({"--kv", "v=tq4,k=int8"});
  EXPECT_FALSE((apart == expected));
  EXPECT_TRUE((logits({"--kv-local", "k=int8,v=tq4", "--kv-global", "k=int8,v=tq4", "--chunk", "5"}) == apart));
}

TEST_F(Cli, LogitsAppearCompleteOrNotAtAll) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run({"logits", "-m", (kData / "oracle" / "llama").string(), "--tokens",
           (kData / "oracle" / "gemma3_odd_untied" / "tokens.npy").string(), "--out", (folder / "no" / "such" / "folder.npy").string()});
  expect_failure(outcome, "folder.npy");
}

TEST_F(Cli, PerplexityCountsTheSecondHalfOfEveryChunk) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "line " + std::to_string(i) + " of a text. ";
  const json result = json_of(with_model({"perplexity", "-c", "32", "--chunks", "3", "--json"}), text);
  EXPECT_EQ(result.at("chunks"), 3);
  EXPECT_EQ(result.at("context"), 32);
  EXPECT_EQ(result.at("tokens"), 3 * 15);
  EXPECT_GT(result.at("perplexity"), 1);
  EXPECT_GT(result.at("standard_error"), 0);
  EXPECT_EQ(result, json_of(with_model({"perplexity", "-c", "32", "--chunks", "3", "--json", "-t", "1"}), text));
  expect_failure(run(with_model({"perplexity", "-c", "512", "--chunks", "300"}), text), "text");
}

TEST_F(Cli, BenchReportsEveryPhaseAtEveryDepth) {
  const json result = json_of(with_model({"bench", "-p", "16", "-n", "4", "-d", "0,32", "-r", "2", "--chunk", "16", "-t", "2", "--json"}));
  EXPECT_EQ(result.at("threads"), 2);
  EXPECT_TRUE(result.at("model").is_string());
  const json& rows = result.at("results");
  ASSERT_EQ(rows.size(), 4u);
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].at("phase"), i % 2 ? "decode" : "prefill");
    EXPECT_EQ(rows[i].at("tokens"), i % 2 ? 4 : 16);
    EXPECT_EQ(rows[i].at("depth"), i < 2 ? 0 : 32);
    EXPECT_EQ(rows[i].at("tokens_per_s").size(), 2u);
    for (const json& rate : rows[i].at("tokens_per_s")) EXPECT_GT(rate, 0);
    EXPECT_GT(rows[i].at("bytes_per_token"), 0);
    EXPECT_GT(rows[i].at("gb_per_s"), 0);
    EXPECT_GE(rows[i].at("share_of_limit"), 0);
  }
}

TEST_F(Cli, ChatKeepsTheConversation) {
  const Outcome outcome =
      run(with_model({"run", "-i", "-n", "3", "--ignore-end", "--stats"}), "Hello\nAgain\n/reset\nHello\n/exit\nunread\n");
  EXPECT_EQ(outcome.status, 0) << outcome.error;
  std::vector<int64_t> computed, prompts;  // running totals after each answer
  std::istringstream lines(outcome.error);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("{")) continue;
    const json stats = json::parse(line);
    computed.push_back(stats.at("prefill_tokens"));
    prompts.push_back(computed.back() + stats.at("reused_tokens").get<int64_t>());
  }
  ASSERT_EQ(prompts.size(), 3u) << outcome.error;
  EXPECT_GT(prompts[1] - prompts[0], prompts[0]);  // the second prompt holds the first exchange
  EXPECT_EQ(prompts[2] - prompts[1], prompts[0]);  // after /reset it does not
  EXPECT_EQ(computed[2] - computed[1], 1);         // but the cache still knows it
}

TEST_F(Cli, AModelWithoutATemplateSaysThatItCannotChat) {
  const TemporaryFolder folder;
  write_tiny_model(folder);
  fs::remove(folder / "chat_template.jinja");
  fs::remove(folder / "tokenizer_config.json");
  const Outcome outcome = run({"run", "-m", folder.string(), "-i"}, "Hello\n");
  expect_failure(outcome, "");
  EXPECT_TRUE(has(outcome.error, "chat")) << outcome.error;
}

TEST_F(Cli, ModelsAreListedAndRefusedByName) {
  const TemporaryFolder folder;
  setenv("FOVEA_MODELS", folder.string().c_str(), 1);
  const json list = json_of({"models", "list", "--json"});
  EXPECT_EQ(list.at("folder"), folder.string());
  EXPECT_EQ(list.at("models").at(0).at("name"), "gemma3-270m");
  EXPECT_TRUE(list.at("models").at(0).at("path").is_null());
  EXPECT_TRUE(has(run({"models", "list"}).out, "gemma3-270m"));
  EXPECT_EQ(run({"models", "path"}).out, folder.string() + "\n");
  expect_failure(run({"models", "path", "gemma3-270m"}), "");
  expect_failure(run({"models", "install", "no-such-model"}), "");
  expect_failure(run({"run", "-p", "a", "-m", "gemma3-270m"}), "");
  unsetenv("FOVEA_MODELS");
}

// A long generation whose stdout is a pipe that this test reads from.
class Piped {
 public:
  explicit Piped(const Arguments& arguments) : error_(fs::path(folder_ / "error")) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int error = open(error_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    child_ = start(arguments, in, ends[1], error);
    reader_ = ends[0];
    for (const int descriptor : {in, error, ends[1]}) close(descriptor);
  }
  void read_some() {
    char byte;
    EXPECT_EQ(read(reader_, &byte, 1), 1);
  }
  void interrupt() { kill(child_, SIGINT); }
  void stop_reading() { close(reader_); }
  void read_to_the_end() {
    char bytes[4096];
    while (read(reader_, bytes, sizeof bytes) > 0) continue;
    stop_reading();
  }
  int wait() { return wait_for(child_); }
  std::string error_text() const { return read_file(error_); }

 private:
  TemporaryFolder folder_;
  fs::path error_;
  pid_t child_ = 0;
  int reader_ = -1;
};

const Arguments kEndless = {"run", "-p", "Hello", "-n", "400000", "-c", "500000", "--ignore-end", "--temp", "1"};

TEST_F(Cli, AnInterruptEndsTheTextWithItsTimingLine) {
  Piped program(with_model(kEndless));
  program.read_some();
  program.interrupt();
  program.read_to_the_end();
  EXPECT_EQ(program.wait(), 128 + SIGINT);
  EXPECT_TRUE(has(program.error_text(), "prefill ")) << program.error_text();
}

TEST_F(Cli, AReaderThatLeavesEndsTheProgramQuietly) {
  Piped program(with_model(kEndless));
  program.read_some();
  program.stop_reading();
  EXPECT_EQ(program.wait(), 128 + SIGPIPE);
  EXPECT_FALSE(has(program.error_text(), "fovea: ") || has(program.error_text(), "prefill ")) << program.error_text();
}

TEST_F(Cli, AFullDiskIsAFailure) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const TemporaryFolder folder;
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  const int error = open((folder / "error").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  EXPECT_EQ(wait_for(start(with_model({"tokenize", "-p", "Hello"}), in, full, error)), 1);
  EXPECT_TRUE(has(read_file(folder / "error"), "standard output"));
  for (const int descriptor : {in, full, error}) close(descriptor);
}

}  // namespace
}  // namespace fovea::cli_tests
