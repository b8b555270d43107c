#include "serve/tool_call_filter.h"

#include <gtest/gtest.h>

#include "serve/tools.h"

namespace fovea::serve {
namespace {

std::shared_ptr<const ToolSet> tools() {
  auto set = std::make_shared<ToolSet>();
  set->tools = {{"find", "", nlohmann::ordered_json::object(), false}, {"add", "", nlohmann::ordered_json::object(), false}};
  return set;
}

// "text|name(arguments)|..." of a text that comes in pieces of so many bytes.
std::string read(const std::string& text, size_t piece) {
  ToolCallFilter filter(tools());
  std::string said, calls;
  const auto take = [&](const ToolCallFilter::Said& more) {
    said += more.text;
    for (const ToolCall& call : more.calls) calls += "|" + call.name + call.arguments;
  };
  for (size_t at = 0; at < text.size(); at += piece) take(filter.push(text.substr(at, piece)));
  take(filter.finish());
  return said + calls;
}

// Whatever the pieces were.
std::string read(const std::string& text) {
  const std::string whole = read(text, text.size());
  for (size_t piece = 1; piece < text.size(); ++piece) EXPECT_EQ(read(text, piece), whole) << piece;
  return whole;
}

TEST(ToolCallFilter, TextIsText) {
  for (const char* text : {"Hello, <b>you</b>.", "  a < b\n\n", "{\"a\": 1}", "[1, 2]", "```python\nx = 1\n```", "{", "", " ", "<tool", "`x`"}) {
    EXPECT_EQ(read(text), text);
  }
  const std::string deep = "{\"name\": \"find\", \"arguments\": {\"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}}";
  EXPECT_EQ(read(deep, deep.size()), deep);
  EXPECT_EQ(read(deep, 1000), deep);
}

TEST(ToolCallFilter, TaggedCallsAreTakenOutOfTheText) {
  EXPECT_EQ(read("<tool_call>\n{\"name\": \"find\", \"arguments\": {\"b\": 1, \"a\": [2]}}\n</tool_call>"), "|find{\"b\":1,\"a\":[2]}");
  EXPECT_EQ(read("Let me see.\n\n<tool_call>{\"name\": \"find\", \"arguments\": {}}</tool_call>\n<tool_call>{\"name\": \"add\"}</tool_call>"),
            "Let me see.|find{}|add{}");
  EXPECT_EQ(read("<tool_call>\n{\"name\": \"add\", \"arguments\": \"{\\\"x\\\": 1}\"}"), "|add{\"x\":1}");
}

TEST(ToolCallFilter, AnAnswerThatIsACallIsOne) {
  EXPECT_EQ(read("{\"name\": \"find\", \"parameters\": {\"q\": \"x\"}}"), "|find{\"q\":\"x\"}");
  EXPECT_EQ(read(" [{\"name\": \"find\", \"arguments\": {}}, {\"name\": \"add\", \"arguments\": {}}]\n"), "|find{}|add{}");
  EXPECT_EQ(read("```json\n{\"name\": \"add\", \"arguments\": {}}\n```"), "|add{}");
  EXPECT_EQ(read("{\"type\": \"function\", \"function\": {\"name\": \"add\", \"arguments\": {}}}"), "|add{}");
}

TEST(ToolCallFilter, WhatIsNoCallOfAKnownToolStays) {
  for (const char* text : {"<tool_call>{\"name\": \"other\", \"arguments\": {}}</tool_call>", "{\"name\": \"other\"}", "<tool_call>{\"name\": \"find\"",
                           "<tool_call>find</tool_call> it", "{\"name\": \"find\", \"parameters\": 7}", "{\"name\": 7}"}) {
    EXPECT_EQ(read(text), text);
  }
}

}  // namespace
}  // namespace fovea::serve
