// fovea convert as users run it.
#include "cli_fixture.h"
#include "support/drawn_weights.h"

namespace fovea::cli_tests {
namespace {

class ConvertCli : public Cli {
 protected:
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  TemporaryFolder folder_;
};

TEST_F(ConvertCli, TheFileHasTheTokenizerOfTheFolder) {
  const nlohmann::json made = json_of({"convert", model(), file("x.gguf"), "--json"});
  EXPECT_EQ(made["file_bytes"].get<uintmax_t>(), fs::file_size(file("x.gguf")));
  EXPECT_FALSE(made["tokenizer"].get<std::string>().empty());
  const std::string text = "a b  ab\nba";
  const auto tokens_of = [&](const std::string& name) { return json_of({"tokenize", "-m", name, "--json"}, text)["tokens"]; };
  EXPECT_EQ(tokens_of(file("x.gguf")), tokens_of(model()));
}

TEST_F(ConvertCli, QuantizingAtLoadGivesTheLogitsOfTheConvertedFile) {
  std::ifstream config(kData / "families/qwen3_a1/config.json");
  fs::create_directory(folder_ / "qwen3");
  write_file(folder_ / "qwen3" / "config.json", std::string(std::istreambuf_iterator<char>(config), {}));
  testing_support::write_drawn_weights(kData / "families/qwen3_a1/weights.tsv", folder_ / "qwen3" / "model.safetensors");
  const std::string tokens = (kData / "families/qwen3_a1/tokens.npy").string();
  EXPECT_EQ(run({"convert", file("qwen3"), file("q.gguf"), "--quant", "q8_0"}).status, 0);
  EXPECT_EQ(run({"logits", "-m", file("qwen3"), "--quant", "q8_0", "--tokens", tokens, "--out", file("a.npy")}).status, 0);
  EXPECT_EQ(run({"logits", "-m", file("q.gguf"), "--tokens", tokens, "--out", file("b.npy")}).status, 0);
  EXPECT_GT(read_file(file("a.npy")).size(), 1000u);
  EXPECT_EQ(read_file(file("a.npy")), read_file(file("b.npy")));
}

TEST_F(ConvertCli, WhatCannotBeWrittenIsRefusedAndLeavesNothing) {
  expect_failure(run({"convert", file("nowhere"), file("x.gguf")}), "nowhere");
  expect_failure(run({"convert", model(), file("x.gguf"), "--quant", "q4_k_x"}), "--quant");
  expect_failure(run({"convert", model(), file("no/x.gguf")}), "no/x.gguf");
  EXPECT_TRUE(fs::is_empty(folder_.string()));
  EXPECT_EQ(run({"convert", model()}).status, 2);
}

}  // namespace
}  // namespace fovea::cli_tests
