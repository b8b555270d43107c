// Conversations that outlive the server.
#include <filesystem>
#include <fstream>
#include <mutex>

#include "serve_fixture.h"

namespace fovea::serve_tests {
namespace {

namespace fs = std::filesystem;

class ServeState : public Serve {
 protected:
  ServerOptions keeping(std::vector<std::string> keys = {}) const {
    ServerOptions options = server_options();
    options.state_folder = folder_.string();
    options.api_keys = std::move(keys);
    return options;
  }
  void restart(const ServerOptions& options) {
    end_server();
    serve(options);
  }

  json answer(const json& body, const std::string& key = "") {
    const HttpAnswer got = server().post("/v1/chat/completions", body, key.empty() ? "" : "Authorization: Bearer " + key + "\r\n");
    EXPECT_EQ(got.status, 200) << got.body;
    return json::parse(got.body);
  }
  static int cached(const json& answer) { return answer.at("usage").at("prompt_tokens_details").at("cached_tokens"); }
  static int prompt_tokens(const json& answer) { return answer.at("usage").at("prompt_tokens"); }

  // What follows the first turn.
  static json next_turn(const json& first, const json& got) {
    json body = first;
    body["messages"].push_back(got.at("choices").at(0).at("message"));
    body["messages"].push_back({{"role", "user"}, {"content", "And what became of the keeper?"}});
    return body;
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_.string())) {
      if (entry.path().extension() == ".session") found.push_back(entry.path());
    }
    return found;
  }

  testing_support::TemporaryFolder folder_;
  const json first_ =
      chat("The keeper of the old lighthouse climbed the stairs one last time, and when he reached the top there was nobody.");
};

TEST_F(ServeState, ARestartedServerContinuesWithWhatWasThere) {
  serve(keeping());
  const json got = answer(first_);
  const json follow = next_turn(first_, got);
  restart(keeping());
  const json continued = answer(follow);
  EXPECT_GE(cached(continued), prompt_tokens(got) - 8) << "all but what asks for an answer";
  end_server();
  serve(server_options());
  const json cold = answer(follow);
  EXPECT_EQ(cached(cold), 0);
  EXPECT_EQ(continued.at("choices").at(0).at("message"), cold.at("choices").at(0).at("message"));
}

TEST_F(ServeState, AConversationIsOneFileHoweverOftenItIsContinued) {
  serve(keeping());
  const json got = answer(first_);
  const json follow = next_turn(first_, got);
  answer(follow);
  restart(keeping());
  ASSERT_EQ(files().size(), 1u);
  answer(next_turn(follow, answer(follow)));
  answer(chat("Something else altogether, of which nothing has been said before, and which goes on for quite a while."));
  end_server();
  EXPECT_EQ(files().size(), 2u);
}

TEST_F(ServeState, KeysFindTheirOwnConversationsWhateverTheirOrder) {
  serve(keeping({"key-of-a", "key-of-b"}));
  answer(first_, "key-of-a");
  restart(keeping({"key-of-b", "key-of-c", "key-of-a"}));
  EXPECT_EQ(cached(answer(first_, "key-of-b")), 0);
  EXPECT_EQ(cached(answer(first_, "key-of-c")), 0);
  EXPECT_GT(cached(answer(first_, "key-of-a")), 0);
  end_server();
  for (const fs::path& file : files()) {
    std::ifstream bytes(file, std::ios::binary);
    const std::string all((std::istreambuf_iterator<char>(bytes)), {});
    EXPECT_EQ(all.find("key-of-a"), std::string::npos);
  }
}

TEST_F(ServeState, WhatCannotBeUsedStaysAndIsTold) {
  serve(keeping());
  answer(first_);
  end_server();
  const fs::path good = files().at(0), torn = folder_ / "torn.session", other = folder_ / "other.session";
  fs::copy_file(good, torn);
  fs::resize_file(torn, fs::file_size(torn) / 2);
  std::ofstream(other) << "no session at all";
  std::string log;
  std::mutex mutex;
  ServerOptions options = keeping();
  options.log = [&](std::string_view line) {
    const std::lock_guard lock(mutex);
    log.append(line).append("\n");
  };
  serve(options);
  EXPECT_GT(cached(answer(first_)), 0);
  end_server();
  EXPECT_NE(log.find(R"("event":"restored","conversations":1)"), std::string::npos) << log;
  EXPECT_NE(log.find("torn.session"), std::string::npos) << log;
  EXPECT_NE(log.find("other.session"), std::string::npos) << log;
  EXPECT_TRUE(fs::exists(torn) && fs::exists(other));
}

TEST_F(ServeState, BeyondItsSizeTheLeastRecentConversationGoes) {
  ServerOptions options = keeping();
  serve(options);
  answer(first_);
  end_server();
  options.state_bytes = static_cast<int64_t>(fs::file_size(files().at(0))) * 3 / 2;
  serve(options);
  for (const char* subject : {"sea", "wind", "fog"}) {
    answer(chat(std::string("Tell me of the ") + subject + ", and of those who lived with it, year after year, until they left."));
  }
  end_server();
  EXPECT_EQ(files().size(), 1u);
  serve(options);
  EXPECT_LT(cached(answer(first_)), 8) << "the oldest is the one that went";
}

TEST_F(ServeState, WhatTheClientDoesNotWantStoredIsNot) {
  serve(keeping());
  json body = first_;
  body["store"] = false;
  answer(body);
  end_server();
  EXPECT_TRUE(files().empty());
}

TEST_F(ServeState, AFolderBelongsToOneServer) {
  serve(keeping());
  EXPECT_THROW(Server(model_, engine_options(), keeping()), Error);
  ServerOptions nowhere = keeping();
  nowhere.state_folder = "/proc/nowhere";
  EXPECT_THROW(Server(model_, engine_options(), nowhere), Error);
}

}  // namespace
}  // namespace fovea::serve_tests
