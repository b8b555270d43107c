// The page's files and numbers over HTTP.
#include <algorithm>

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
  for (const auto& [end, type] : {std::pair(".js", "text/javascript; charset=utf-8"), {".css", "text/css; charset=utf-8"}, {".svg", "image/svg+xml"}}) {
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

}  // namespace
}  // namespace fovea::serve_tests
