// fovea plan, and what the program does with plans, from the outside.
#include <pty.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "cli_fixture.h"

namespace fovea::cli_tests {
namespace {

using nlohmann::json;

TEST_F(Cli, PlanHasTheKeysThatProgramsRelyOn) {
  const json plan = json_of({"plan", "gemma3-4b", "-c", "32768", "--sequences", "2", "--no-probe", "--json"});
  EXPECT_EQ(plan.at("context"), 32768);
  EXPECT_EQ(plan.at("sequences"), 2);
  EXPECT_EQ(plan.at("kv_bytes"), 2 * (int64_t{756} << 20));
  EXPECT_EQ(plan.at("kv_all_global_bytes"), 2 * (int64_t{4352} << 20));
  int64_t parts = 0;
  for (const char* key : {"weights_bytes", "kv_bytes", "page_slack_bytes", "chunk_bytes", "pinned_bytes", "retained_bytes", "scratch_bytes",
                          "vocabulary_bytes", "program_bytes"}) {
    parts += plan.at(key).get<int64_t>();
  }
  EXPECT_EQ(plan.at("total_bytes"), parts);
  ASSERT_EQ(plan.at("groups").size(), 2u);
  const json& local = plan.at("groups").at(0);
  EXPECT_EQ(local.at("kind"), "local");
  EXPECT_EQ(local.at("layers").size(), 29u);
  EXPECT_EQ(local.at("window"), 1024);
  EXPECT_EQ(local.at("bytes_per_token"), 29 * 4096);
  EXPECT_EQ(local.at("bytes"), 2 * int64_t{29 * 4096} * 1024);
  EXPECT_TRUE(plan.at("groups").at(1).at("window").is_null());
}

TEST_F(Cli, PlanReadsFilesFoldersAndBareConfigurations) {
  const fs::path folder = kData / "oracle" / "gemma3";
  const json whole = json_of({"plan", folder.string(), "-c", "100", "--no-probe", "--json"});
  const json bare = json_of({"plan", (folder / "config.json").string(), "-c", "100", "--no-probe", "--json"});
  EXPECT_EQ(whole.at("kv_bytes"), bare.at("kv_bytes"));
  EXPECT_EQ(whole.at("kv_bytes"), (6 * 8 + 100) * 2 * 2 * 16 * 2);
  EXPECT_TRUE(whole.at("not_computed").empty());
  // Values that are keys: 3 windows of 11, keys and values, and 2 layers that keep one stream of what both are made of.
  const fs::path one_stream = kData / "families" / "gemma4_b1" / "config.json";
  const json once = json_of({"plan", one_stream.string(), "-c", "100", "--no-probe", "--json"});
  EXPECT_EQ(once.at("kv_bytes"), (3 * 11 * 2 * 3 * 12 + 2 * 100 * 2 * 40) * 2);
}

TEST_F(Cli, RunShowsItsPlanInThreeLinesOnATerminalAndNotInAPipe) {
  const Arguments arguments = with_model({"run", "-p", "abc", "-n", "2", "-c", "64"});
  int terminal = -1, screen = -1;
  ASSERT_EQ(openpty(&screen, &terminal, nullptr, nullptr, nullptr), 0);
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  const pid_t child = start(arguments, nothing, nothing, terminal);
  close(terminal);
  std::string shown;
  char some[512];
  for (ssize_t count; (count = read(screen, some, sizeof some)) > 0;) shown.append(some, static_cast<size_t>(count));
  EXPECT_EQ(wait_for(child), 0);
  close(screen);
  close(nothing);
  const size_t plan = shown.find("plan: "), layers = shown.find("; layers: "), all_global = shown.find("all global it would be ");
  ASSERT_NE(all_global, std::string::npos) << shown;
  EXPECT_LT(plan, layers) << shown;
  EXPECT_LT(layers, all_global) << shown;
  EXPECT_EQ(std::count(shown.begin() + static_cast<ptrdiff_t>(plan), shown.begin() + static_cast<ptrdiff_t>(all_global), '\n'), 2) << shown;
  const Outcome piped = run(arguments);
  EXPECT_EQ(piped.status, 0);
  EXPECT_FALSE(has(piped.out + piped.error, "layers: ")) << piped.error;
}

TEST_F(Cli, PlanWalksTheDesignSpace) {
  const json plan = json_of({"plan", "lesson-30", "-c", "131072", "--ratio", "0:1", "--no-probe", "--json"});
  EXPECT_EQ(plan.at("kv_bytes"), int64_t{15} << 30);
  const json once = json_of({"plan", "gemma4-12b", "-c", "131072", "--k-eq-v", "on", "--no-probe", "--json"});
  EXPECT_EQ(once.at("kv_bytes"), int64_t{1344} << 20);
  const json kinds = json_of({"plan", "llama3-8b", "--compare", "--no-probe", "--json"}).at("kinds");
  EXPECT_EQ(kinds.size(), 9u);
}

TEST_F(Cli, PlanSaysWhatFitsAndWhatToChange) {
  const json fit = json_of({"plan", "gemma3-4b", "--weights", "q4_k_m", "-c", "131072", "--sequences", "16", "--ram", "16GiB", "--fit",
                            "--no-probe", "--json"})
                       .at("fit");
  EXPECT_EQ(fit.at("memory_bytes"), int64_t{16} << 30);
  EXPECT_FALSE(fit.at("fits"));
  EXPECT_GT(fit.at("longest_context"), 0);
  EXPECT_LT(fit.at("most_sequences"), 16);
  ASSERT_GE(fit.at("changes").size(), 2u);
  for (const json& change : fit.at("changes")) EXPECT_LE(change.at("total_bytes"), int64_t{16} << 30);
}

TEST_F(Cli, PlanReadsForPeople) {
  const Outcome outcome = run({"plan", "gemma3-27b", "-c", "32768", "--no-probe"});
  EXPECT_EQ(outcome.status, 0) << outcome.error;
  for (const char* part : {"2976 MiB", "15.5 GiB", "5.3 x", "1,024", "16 x 128", "total"}) {
    EXPECT_TRUE(has(outcome.out, part)) << part << "\n" << outcome.out;
  }
  EXPECT_TRUE(has(run({"plan", "--list"}).out, "gemma4-26b-a4b"));
}

TEST_F(Cli, PlanDrawsFigures) {
  const TemporaryFolder folder;
  for (const char* figure : {"memory", "bars", "layers"}) {
    const std::string path = folder / (std::string(figure) + ".svg");
    EXPECT_EQ(run({"plan", "gemma3-4b", "--figure", figure, "--out", path}).status, 0);
    EXPECT_TRUE(read_file(path).starts_with("<svg "));
  }
  EXPECT_EQ(run({"plan", "gemma3-4b", "llama3-8b", "--figure", "memory", "--out", folder / "f.html"}).status, 0);
  EXPECT_TRUE(has(read_file(folder / "f.html"), "<!doctype html>"));
  expect_failure(run({"plan", "gemma3-4b", "--figure", "bars", "--out", folder / "no" / "f.svg"}), "f.svg");
}

TEST_F(Cli, PlanRefusesWhatIsNoModelOrNoOption) {
  expect_failure(run({"plan", "no-such-model"}), "no-such-model");
  expect_failure(run({"plan", "lesson-30", "--kv-heads", "5", "--no-probe"}), "--kv-heads");
  expect_failure(run({"plan", "lesson-30", "--weights", "q9", "--no-probe"}), "--weights");
  for (const Arguments& arguments : std::vector<Arguments>{{"plan"},
                                                           {"plan", "lesson-30", "--ram", "lots"},
                                                           {"plan", "lesson-30", "--ratio", "5"},
                                                           {"plan", "lesson-30", "--kv-global", "q9"},
                                                           {"plan", "lesson-30", "--kv", "auto", "--kv-local", "f16"},
                                                           {"plan", "lesson-30", "-c", "-1"},
                                                           {"plan", "lesson-30", "--figure", "pie"},
                                                           {"plan", "lesson-30", "--figure", "bars"}}) {
    EXPECT_EQ(run(arguments).status, 2) << arguments.back();
  }
}

// A model whose K/V no machine holds: 1,000 layers of 64 heads.
void write_giant_config(const fs::path& folder) {
  json config = json::parse(read_file(folder / "config.json"));
  config["num_hidden_layers"] = 1000;
  config["hidden_size"] = 64 * 128;
  config["num_attention_heads"] = config["num_key_value_heads"] = 64;
  write_file(folder / "config.json", config.dump());
}

TEST_F(Cli, RunRefusesWhatCannotFitBeforeItReadsWeights) {
  const TemporaryFolder folder;
  for (const auto& entry : fs::directory_iterator(model())) fs::copy_file(entry.path(), folder / entry.path().filename());
  write_giant_config(fs::path(folder.string()));
  // The weights in the file do not fit this configuration: whoever read them would complain of that.
  const Outcome outcome = run({"run", "-m", folder.string(), "-p", "Hello", "-n", "1", "-c", "16777216"});
  expect_failure(outcome, "");
  EXPECT_TRUE(has(outcome.error, "keys and values of 1000 global layers")) << outcome.error;
  EXPECT_TRUE(has(outcome.error, "these fit: -c ")) << outcome.error;
}

// The settings of a refusal: "these fit: -c 4096 (1.2 GiB), or ..." -> {{"-c", "4096"}, ...}
std::vector<Arguments> settings_offered(const std::string& error) {
  std::vector<Arguments> all;
  const std::string begin = "these fit: ";
  for (size_t at = error.find(begin) + begin.size(); at < error.size();) {
    std::istringstream words(error.substr(at, error.find(" (", at) - at));
    all.push_back({std::istream_iterator<std::string>(words), {}});
    const size_t next = error.find("), or ", at);
    if (next == std::string::npos) break;
    at = next + 6;
  }
  return all;
}

// What others take meanwhile can exceed the margin of an offer; then the refusal makes a new one, which is taken.
bool runs_with_offer(const Arguments& wanted, size_t offer) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    const Arguments setting = settings_offered(run(wanted).error).at(offer);
    Arguments mended = wanted;
    if (setting.front() == "-c") mended.resize(mended.size() - 2);  // instead of the context that is too long
    mended.insert(mended.end(), setting.begin(), setting.end());
    if (run(mended).status == 0) return true;
  }
  return false;
}

// 30 layers of 3 K/V heads of 64 in f32: 46 kB per token, 773 GB for 16 M tokens.
TEST_F(Cli, RunRefusesBeforeAnyLargeAllocationAndTheSettingsItOffersRun) {
  const TemporaryFolder folder;
  const std::string path = folder / "model.gguf";
  ASSERT_EQ(run({"synth", "--like", "smollm2-135m", "--vocabulary", "512", "--quant", "q4_k_m", path}).status, 0);
  const Arguments wanted = {"run", "-m", path, "-p", "x", "-n", "1", "--kv-global", "f32", "-c", "16777216"};
  const Outcome refused = run(wanted);
  expect_failure(refused, "");
  EXPECT_TRUE(has(refused.error, "keys and values of 30 global layers")) << refused.error;
#ifndef __SANITIZE_ADDRESS__  // whose shadow is larger than this file
  EXPECT_LT(refused.peak_bytes, static_cast<int64_t>(fs::file_size(path)) / 2);
#endif
  const std::vector<Arguments> settings = settings_offered(refused.error);
  ASSERT_EQ(settings.size(), 2u) << refused.error;
  for (size_t i = 0; i < settings.size(); ++i) EXPECT_TRUE(runs_with_offer(wanted, i)) << refused.error;
}

TEST_F(Cli, PlanCountsWhatIsKeptForLaterRequestsWhereAsked) {
  const Arguments plain = {"plan", "gemma3-4b", "-c", "8192", "--no-probe", "--json"};
  Arguments keeping = plain;
  keeping.insert(keeping.end(), {"--cache", "1GiB"});
  const json without = json_of(plain), with = json_of(keeping);
  EXPECT_EQ(without.at("retained_bytes"), 0);
  EXPECT_EQ(with.at("retained_bytes"), int64_t{1} << 30);
  EXPECT_EQ(with.at("total_bytes").get<int64_t>(), without.at("total_bytes").get<int64_t>() + (int64_t{1} << 30));
}

}  // namespace
}  // namespace fovea::cli_tests
