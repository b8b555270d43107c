// Sessions and the picture of the cache, by the program: fovea run --session, --kv-report, fovea inspect --session.
#include "cli_fixture.h"

namespace fovea::cli_tests {
namespace {

class SessionCli : public Cli {
 protected:
  std::string session() const { return (folder_ / "talk.fovea").string(); }
  nlohmann::json stats_of(const std::string& text, Arguments more = {}) {
    Arguments arguments = with_model({"run", "-p", text, "-n", "8", "--session", session(), "--stats", "--json"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.error;
    return nlohmann::json::parse(outcome.error);
  }

  TemporaryFolder folder_;
};

TEST_F(SessionCli, ATextGoesOnInAnotherProcessWithoutBeingReadAgain) {
  EXPECT_EQ(stats_of("The sea at night is")["reused_tokens"], 0);
  const nlohmann::json before = json_of({"inspect", "--session", session(), "--json"});
  const nlohmann::json stats = stats_of(" and then");
  EXPECT_EQ(stats["reused_tokens"], before["held_tokens"]);
  EXPECT_EQ(stats["reuse_hits"], 1);
  EXPECT_EQ(stats["requests"], 1);
  EXPECT_TRUE(stats["miss_reasons"].empty());
  const nlohmann::json after = json_of({"inspect", "--session", session(), "--json"});
  EXPECT_GT(after["held_tokens"], before["held_tokens"]);
  EXPECT_EQ(after["saves"], 2);
}

TEST_F(SessionCli, InspectTellsWhatAFileHoldsAndWhomItFits) {
  stats_of("Once upon a time there was");
  const nlohmann::json facts = json_of({"inspect", "--session", session(), "-m", model(), "--json"});
  EXPECT_EQ(facts["checksums"], "fit");
  EXPECT_EQ(facts["continues"], true);
  EXPECT_EQ(facts["boundaries"], nlohmann::json::array({facts["held_tokens"]}));
  ASSERT_EQ(facts["groups"].size(), 1u);
  const nlohmann::json& group = facts["groups"][0];
  EXPECT_EQ(group["kind"], "global");
  EXPECT_EQ(group["codec"], "bf16");
  EXPECT_EQ(group["layers"], (nlohmann::json{0, 1}));
  EXPECT_EQ(group["end_position"], facts["held_tokens"]);
  EXPECT_GE(facts["file_bytes"].get<int64_t>(), group["bytes"].get<int64_t>());

  EXPECT_TRUE(json_of({"inspect", "--session", session(), "--json"})["continues"].is_null());
  const nlohmann::json other = json_of({"inspect", "--session", session(), "-m", model(), "--kv-global", "f32", "--json"});
  EXPECT_EQ(other["continues"], false);
  EXPECT_TRUE(has(other["misfit"].get<std::string>(), "--kv-global bf16"));
  const Outcome text = run({"inspect", "--session", session(), "-m", model()});
  EXPECT_EQ(text.status, 0);
  for (const char* part : {"continues   yes", "checksums   fit", "global", "bf16"}) EXPECT_TRUE(has(text.out, part)) << part << text.out;
}

TEST_F(SessionCli, InspectNamesTheOptionsThatASessionWasSavedWith) {
  for (const Arguments& options : std::vector<Arguments>{
           {"--kv-global", "tq4"}, {"--kv-global", "tq4", "--kv-newest", "0"}, {"--kv-global", "int8", "--kv-newest", "7"}}) {
    stats_of("Once upon a time", options);
    const std::string misfit = json_of({"inspect", "--session", session(), "-m", model(), "--json"})["misfit"];
    std::string named = ":";
    for (const std::string& option : options) named += " " + option;
    EXPECT_TRUE(misfit.ends_with(named)) << misfit;
    std::filesystem::remove(session());
  }
}

TEST_F(SessionCli, ADamagedFileIsToldAboutByInspectAndRefusedByRun) {
  stats_of("Once upon a time there was");
  std::string bytes = read_file(session());
  bytes[bytes.size() / 2] ^= 4;
  write_file(session(), bytes);
  const Outcome told = run({"inspect", "--session", session(), "--json"});
  EXPECT_EQ(told.status, 1);
  EXPECT_EQ(nlohmann::json::parse(told.out)["checksums"], "damaged");
  expect_failure(run(with_model({"run", "-p", "x", "--session", session()})), session());
  EXPECT_EQ(read_file(session()), bytes) << "what is refused is left alone";
  write_file(session(), "no session");
  expect_failure(run({"inspect", "--session", session()}), session());
  EXPECT_EQ(run({"inspect"}).status, 2);
}

TEST_F(SessionCli, TheReportIsOnePageThatNeedsNothingElse) {
  const std::string page = (folder_ / "cache.html").string();
  const Outcome outcome = run(with_model({"run", "-p", "The sea at night is", "-n", "30", "--kv-report", page}));
  ASSERT_EQ(outcome.status, 0) << outcome.error;
  const std::string html = read_file(page);
  for (const char* part : {"<!doctype html>", "<svg", "prefers-color-scheme:dark", "width=device-width", "Kept prefix 1",
                           "Running sequence 1", "global, bf16", "Bytes by group", "nothing kept begins like this", "boundary"}) {
    EXPECT_TRUE(has(html, part)) << part;
  }
  for (const char* part : {"http:", "https:", "<script", "<link", "@import"}) EXPECT_FALSE(has(html, part)) << part;
  const Outcome nowhere = run(with_model({"run", "-p", "x", "-n", "1", "--kv-report", (folder_ / "no/such/folder.html").string()}));
  EXPECT_EQ(nowhere.status, 1);
  EXPECT_TRUE(has(nowhere.error, "folder.html")) << nowhere.error;
}

}  // namespace
}  // namespace fovea::cli_tests
