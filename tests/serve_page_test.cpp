// The page's files and numbers over HTTP.
#include <algorithm>

#include "fovea/plan.h"
#include "serve_fixture.h"

namespace fovea::serve_tests {
namespace {

class Page : public Serve {
 protected:
  // Of a quoted attribute that ends with `end`.
  static std::string path_with(const std::string& html, const std::string& end) {
    const size_t last = html.find(end + "\"");
    if (last == std::string::npos) return "";
    const size_t first = html.rfind('"', last) + 1;
    return html.substr(first, last + end.size() - first);
  }
  void serve_with_keys() {
    ServerOptions options = server_options();
    options.api_keys = {"key-a", "key-b"};
    serve(options);
  }
  static std::string with_key(const std::string& key) { return "Authorization: Bearer " + key + "\r\n"; }
};

TEST_F(Page, IsWholeAndAsksNobodyElse) {
  const HttpAnswer html = server().get("/");
  ASSERT_EQ(html.status, 200);
  EXPECT_EQ(html.headers.at("content-type"), "text/html; charset=utf-8");
  for (const auto& [end, type] :
       {std::pair(".js", "text/javascript; charset=utf-8"), {".css", "text/css; charset=utf-8"}, {".svg", "image/svg+xml"}}) {
    const std::string path = path_with(html.body, end);
    const HttpAnswer file = server().get(path);
    EXPECT_EQ(file.status, 200) << path;
    EXPECT_EQ(file.headers.at("content-type"), type) << path;
    EXPECT_FALSE(file.body.empty());
  }
  EXPECT_EQ(html.body.find("//"), std::string::npos) << html.body;
}

TEST_F(Page, RunsNothingButItsOwnFiles) {
  const std::string policy = server().get("/").headers.at("content-security-policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';")) << policy;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  for (const char* part : {"frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"}) {
    EXPECT_NE(policy.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(server().get("/").headers.at("x-content-type-options"), "nosniff");
}

TEST_F(Page, IsAskedForAnewOnlyWhereItMayHaveChanged) {
  const HttpAnswer html = server().get("/");
  EXPECT_EQ(html.headers.at("cache-control"), "no-cache");
  const HttpAnswer same = server().get("/", "If-None-Match: " + html.headers.at("etag") + "\r\n");
  EXPECT_EQ(same.status, 304);
  EXPECT_TRUE(same.body.empty());
  EXPECT_EQ(server().get("/", "If-None-Match: W/\"other\"\r\n").status, 200);
  const HttpAnswer script = server().get(path_with(html.body, ".js"));
  EXPECT_EQ(script.headers.at("cache-control"), "public, max-age=31536000, immutable");
}

TEST_F(Page, IsCompressedForThoseWhoTakeIt) {
  const std::string path = path_with(server().get("/").body, ".js");
  const HttpAnswer plain = server().get(path), zipped = server().get(path, "Accept-Encoding: br, gzip\r\n");
  EXPECT_FALSE(plain.headers.contains("content-encoding"));
  EXPECT_EQ(zipped.headers.at("content-encoding"), "gzip");
  EXPECT_EQ(zipped.body.substr(0, 2), "\x1f\x8b");
  EXPECT_LT(2 * zipped.body.size(), plain.body.size());
  EXPECT_EQ(plain.headers.at("vary"), "Accept-Encoding");
  EXPECT_FALSE(server().get(path, "Accept-Encoding: gzip;q=0\r\n").headers.contains("content-encoding"));
}

TEST_F(Page, HeadIsGetWithoutTheBody) {
  HttpConnection connection(server().port());
  ASSERT_TRUE(connection.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  const HttpAnswer head = connection.read(false), get = server().get("/");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), std::to_string(get.body.size()));
  EXPECT_EQ(head.headers.at("etag"), get.headers.at("etag"));
  connection.get("/health");
  EXPECT_EQ(connection.read().status, 200);  // nothing of a body came between
}

TEST_F(Page, HasNoOtherPathsAndTakesNothing) {
  for (const char* path : {"/index.html", "/assets/", "/assets/../", "/assets/other.js", "//", "/page"}) {
    const HttpAnswer answer = server().get(path);
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  }
  EXPECT_EQ(server().post("/", json::object()).status, 405);
  EXPECT_EQ(server().get("/?a=b").status, 200);
}

TEST_F(Page, IsNotForOtherSitesPages) {
  EXPECT_EQ(server().get("/", "Origin: http://evil.example\r\n").status, 403);
  EXPECT_EQ(server().get("/page/info", "Origin: http://evil.example\r\n").status, 403);
  HttpConnection connection(server().port());
  ASSERT_TRUE(connection.send("GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n"));
  EXPECT_EQ(connection.read().status, 403);
}

TEST_F(Page, FilesNeedNoKeyAndNumbersDo) {
  serve_with_keys();
  const HttpAnswer html = server().get("/");
  EXPECT_EQ(html.status, 200);
  EXPECT_EQ(server().get(path_with(html.body, ".js")).status, 200);
  EXPECT_EQ(server().get("/page/info").status, 401);
  EXPECT_EQ(server().get("/page/info", with_key("key-c")).status, 401);
  EXPECT_EQ(server().get("/page/info", with_key("key-b")).status, 200);
  EXPECT_EQ(server().get("/assets/other.js").status, 401);
}

TEST_F(Page, KnowsWhatTheServerIs) {
  const json info = json::parse(server().get("/page/info").body);
  EXPECT_EQ(info.at("model"), "tiny");
  EXPECT_EQ(info.at("chat"), true);
  EXPECT_EQ(info.at("context_tokens"), engine_options().context_tokens);
  EXPECT_EQ(info.at("sequences"), engine_options().sequences);
  EXPECT_EQ(info.at("kv_global"), "bf16");
}

TEST_F(Page, PlansByThePlannersOwnFormula) {
  const testing_support::TemporaryFolder folder;
  cli_tests::write_tiny_model(folder);
  const RunningServer of_folder(Model::load(folder.string()), engine_options(), server_options());
  const Planner planner = Planner::open(folder.string());
  for (const char* codec : {"int8", "int4"}) {  // of the latter, layers keep their newest tokens in another form beside
    const json answer = json::parse(of_folder.post("/page/plan", {{"context", 512}, {"kv_global", codec}}).body);
    PlanOptions options;
    options.context_tokens = 512;
    options.kv_global = codec;
    const Plan plan = planner.plan(options);
    EXPECT_EQ(answer.dump().find(folder.string()), std::string::npos) << "where files lie is the server's own business";
    EXPECT_EQ(answer.at("plan").at("kv_bytes"), plan.kv_bytes);
    EXPECT_EQ(answer.at("plan").at("total_bytes"), plan.total_bytes);
    EXPECT_GT(answer.at("as_is").at("kv_bytes"), plan.kv_bytes);
    int64_t layers = 0;
    for (const json& layer : answer.at("layers")) layers += layer.at("bytes").get<int64_t>();
    EXPECT_EQ(layers, plan.kv_bytes) << codec;
  }
}

TEST_F(Page, CurveOfThePlanIsThePlanAtItsContexts) {
  const json settings = {{"model", "gemma3-4b"}, {"ratio", {1, 1}}, {"window", 2048}};
  const json curve = json::parse(server().post("/page/plan", settings).body).at("curve");
  const json& contexts = curve.at("context");
  EXPECT_EQ(contexts.front(), 512);
  EXPECT_GE(contexts.back(), 131072);
  for (const size_t i : {size_t{0}, contexts.size() - 1}) {
    json there = settings;
    there["context"] = contexts.at(i);
    const json answer = json::parse(server().post("/page/plan", there).body);
    EXPECT_EQ(curve.at("kv_bytes").at(i), answer.at("plan").at("kv_bytes"));
    EXPECT_EQ(curve.at("as_is_bytes").at(i), answer.at("as_is").at("kv_bytes"));
    EXPECT_EQ(curve.at("all_global_bytes").at(i), answer.at("as_is").at("kv_all_global_bytes"));
  }
}

TEST_F(Page, PlansRefuseWhatTheyCannotMean) {
  EXPECT_EQ(server().post("/page/plan", {{"model", "/etc/passwd"}}).status, 404);
  EXPECT_EQ(server().post("/page/plan", {{"model", "../tiny"}}).status, 404);
  for (const json& wrong :
       {json{{"context", 0}}, json{{"sequences", "two"}}, json{{"ratio", {0, 0}}}, json{{"ratio", {1, -1}}}, json{{"ratio", {1}}},
        json{{"kv_global", "int9"}}, json{{"weights", "q99"}}, json{{"window", 1e12}}, json{{"other", 1}}}) {
    const HttpAnswer answer = server().post("/page/plan", wrong);
    EXPECT_EQ(answer.status, 400) << wrong << answer.body;
    EXPECT_FALSE(json::parse(answer.body).at("error").at("message").get<std::string>().empty());
  }
  EXPECT_EQ(server().get("/page/plan").status, 405);
}

TEST_F(Page, LoadCountsWhatWasAsked) {
  const json before = json::parse(server().get("/page/load").body);
  EXPECT_EQ(before.at("recent").at("calls"), 0);
  EXPECT_TRUE(before.at("recent").at("call_seconds").is_null());
  ask(chat("Hello"));
  const json after = json::parse(server().get("/page/load").body);
  EXPECT_EQ(after.at("generated_tokens"), 24);
  EXPECT_EQ(after.at("requests"), 1);
  EXPECT_EQ(after.at("recent").at("calls"), 1);
  EXPECT_GT(after.at("recent").at("call_seconds").at("half"), 0);
  EXPECT_GT(after.at("seconds"), before.at("seconds"));
  EXPECT_EQ(after.at("running"), 0);
}

TEST_F(Page, CacheShowsPlacesAndNoText) {
  ask(chat("A very particular phrase"));
  ask(chat("A very particular phrase"));
  const std::string body = server().get("/page/cache").body;
  EXPECT_EQ(body.find("particular"), std::string::npos);
  const json cache = json::parse(body);
  ASSERT_FALSE(cache.at("paths").empty());
  const json& path = cache.at("paths").front();
  EXPECT_EQ(path.at("groups").size(), cache.at("groups").size());
  EXPECT_EQ(path.at("groups").at(0).at(0).at(0), 0);
  EXPECT_EQ(path.at("groups").at(0).back().at(1), path.at("tokens"));
  ASSERT_EQ(cache.at("recent").size(), 2u);
  EXPECT_EQ(cache.at("recent").at(0).at("reused_tokens"), 0);
  EXPECT_GT(cache.at("recent").at(1).at("reused_tokens"), 0);
  ASSERT_EQ(cache.at("layers").size(), 2u);
  EXPECT_EQ(cache.at("layers").at(1).at("groups"), json::array({0}));
  EXPECT_EQ(cache.at("reuse_hits"), 1);
}

TEST_F(Page, CacheShowsAKeyItsOwnAlone) {
  serve_with_keys();
  server().post("/v1/chat/completions", chat("Of a"), with_key("key-a"));
  server().post("/v1/chat/completions", chat("Of a", {{"cache_salt", "more"}}), with_key("key-a"));
  const json of_a = json::parse(server().get("/page/cache", with_key("key-a")).body),
             of_b = json::parse(server().get("/page/cache", with_key("key-b")).body);
  EXPECT_EQ(of_a.at("paths").size(), 2u);
  EXPECT_EQ(of_a.at("of_others"), 0);
  EXPECT_EQ(of_a.at("recent").size(), 2u);
  EXPECT_TRUE(of_b.at("paths").empty());
  EXPECT_EQ(of_b.at("of_others"), 2);
  EXPECT_TRUE(of_b.at("recent").empty());
  for (const char* path : {"/page/cache", "/page/load"}) EXPECT_EQ(server().get(path).status, 401) << path;
  EXPECT_EQ(server().post("/page/plan", json::object()).status, 401);
}

TEST_F(Page, CacheOfTheFirstKeyIsNotOfTheEleventh) {
  ServerOptions options = server_options();
  for (int i = 0; i < 11; ++i) options.api_keys.push_back("key-" + std::to_string(i));
  serve(options);
  server().post("/v1/chat/completions", chat("Of the eleventh"), with_key("key-10"));
  EXPECT_TRUE(json::parse(server().get("/page/cache", with_key("key-1")).body).at("paths").empty());
  EXPECT_EQ(json::parse(server().get("/page/cache", with_key("key-10")).body).at("paths").size(), 1u);
}

}  // namespace
}  // namespace fovea::serve_tests
