#include "serve/tool_call_filter.h"

#include <gtest/gtest.h>

#include "serve/tools.h"

namespace fovea::serve {
namespace {

std::shared_ptr<const ToolSet> tools(ToolChoice choice) {
  auto set = std::make_shared<ToolSet>();
  set->choice = choice;
  set->tools = {{"find", "", nlohmann::ordered_json::object(), false}, {"add", "", nlohmann::ordered_json::object(), false}};
  return set;
}

// "text|name{arguments}|...", with ! behind what was cut.
std::string as_text(const std::vector<AnswerPart>& parts) {
  std::string text;
  for (const AnswerPart& part : parts) {
    text += part.text;
    if (!part.call.tool.empty()) text += "|" + part.call.tool;
    text += part.call.arguments;
    if (part.call.end == CallPart::End::cut) text += "!";
  }
  return text;
}

// A text that comes in pieces of so many bytes.
std::string read(const std::string& text, size_t piece, ToolChoice choice = ToolChoice::automatic) {
  ToolCallFilter filter(tools(choice));
  std::string said;
  for (size_t at = 0; at < text.size(); at += piece) said += as_text(filter.push(text.substr(at, piece)));
  return said + as_text(filter.finish());
}

// Whatever the pieces were.
std::string read(const std::string& text, ToolChoice choice = ToolChoice::automatic) {
  const std::string whole = read(text, text.size(), choice);
  for (size_t piece = 1; piece < text.size(); ++piece) EXPECT_EQ(read(text, piece, choice), whole) << piece;
  return whole;
}

TEST(ToolCallFilter, TextIsText) {
  for (const char* text :
       {"Hello, <b>you</b>.", "  a < b\n\n", "{\"a\": 1}", "[1, 2]", "```python\nx = 1\n```", "{", "", " ", "<tool", "`x`"}) {
    EXPECT_EQ(read(text), text);
  }
  const std::string deep = "{\"name\": \"find\", \"arguments\": {\"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}}";
  EXPECT_EQ(read(deep, deep.size()), deep);
  EXPECT_EQ(read(deep, 1000), deep);
}

TEST(ToolCallFilter, TaggedCallsAreTakenOutOfTheText) {
  EXPECT_EQ(read("<tool_call>\n{\"name\": \"find\", \"arguments\": {\"b\": 1, \"a\": [2]}}\n</tool_call>"), "|find{\"b\": 1, \"a\": [2]}");
  EXPECT_EQ(
      read("Let me see.\n\n<tool_call>{\"name\": \"find\", \"arguments\": {}}</tool_call>\n<tool_call>{\"name\": \"add\"}</tool_call>"),
      "Let me see.|find{}|add{}");
  EXPECT_EQ(read("<tool_call>\n{\"name\": \"add\", \"arguments\": \"{\\\"x\\\": 1}\"}"), "|add{\"x\":1}");
}

TEST(ToolCallFilter, AnAnswerThatIsACallIsOne) {
  EXPECT_EQ(read("{\"name\": \"find\", \"parameters\": {\"q\": \"x\"}}"), "|find{\"q\":\"x\"}");
  EXPECT_EQ(read(" [{\"name\": \"find\", \"arguments\": {}}, {\"name\": \"add\", \"arguments\": {}}]\n"), "|find{}|add{}");
  EXPECT_EQ(read("```json\n{\"name\": \"add\", \"arguments\": {}}\n```"), "|add{}");
  EXPECT_EQ(read("{\"type\": \"function\", \"function\": {\"name\": \"add\", \"arguments\": {}}}"), "|add{}");
}

TEST(ToolCallFilter, ArgumentsAreWhatTheModelWrote) {
  EXPECT_EQ(read("<tool_call>{\"name\": \"find\", \"arguments\": { \"q\" : \"}</tool_call>\\\"{\" } }</tool_call> so"),
            "|find{ \"q\" : \"}</tool_call>\\\"{\" } so");
  EXPECT_EQ(read("a <tool_call>{\"name\": \"find\", \"arguments\": {}, \"id\": \"x\"}<tool_call>{\"name\": \"add\", \"parameters\": {}}"),
            "a|find{}|add{}");
}

TEST(ToolCallFilter, ArgumentsArePassedOnAsSoonAsTheToolIsKnown) {
  ToolCallFilter filter(tools(ToolChoice::automatic));
  EXPECT_EQ(as_text(filter.push("Well <tool_call>\n{\"name\": \"fin")), "Well");
  EXPECT_EQ(as_text(filter.push("d\", \"arguments\"")), "");
  EXPECT_EQ(as_text(filter.push(": {\"a")), "|find{\"a");
  EXPECT_EQ(as_text(filter.push("\": 1")), "\": 1");
  EXPECT_EQ(as_text(filter.push("}}\n</tool_")), "}");
  EXPECT_EQ(as_text(filter.push("call>")), "");
  EXPECT_EQ(as_text(filter.finish()), "");
}

TEST(ToolCallFilter, AnAnswerOfNothingButCallsIsPassedOnWithoutTags) {
  const std::string two = "[{\"name\": \"find\", \"arguments\": {\"a\": [1, {}]}}, {\"name\": \"add\", \"arguments\": {\"}\": 2}}]";
  EXPECT_EQ(read(two, ToolChoice::required), "|find{\"a\": [1, {}]}|add{\"}\": 2}");
  ToolCallFilter filter(tools(ToolChoice::required));
  EXPECT_EQ(as_text(filter.push("{\"name\": \"find\", \"arguments\": {\"a")), "|find{\"a");
}

TEST(ToolCallFilter, ACallThatIsCutIsToldAsSuch) {
  const std::string begun = " <tool_call>\n{\"name\": \"find\", \"arguments\": {\"a\": [1";
  EXPECT_EQ(read(begun), "|find{\"a\": [1!");
  EXPECT_EQ(read("<tool_call>{\"name\": \"find\", \"arguments\": {\"a\": Oslo}}</tool_call>"), "|find{\"a\": Oslo}!");
  ToolCallFilter filter(tools(ToolChoice::automatic));
  filter.push(begun);
  EXPECT_EQ(filter.finish().back().call.written, begun);
}

TEST(ToolCallFilter, WhatIsNoCallOfAKnownToolStays) {
  for (const char* text : {"<tool_call>{\"name\": \"other\", \"arguments\": {}}</tool_call>", "{\"name\": \"other\"}",
                           "<tool_call>{\"name\": \"find\"", "<tool_call>find</tool_call> it", "{\"name\": \"find\", \"parameters\": 7}",
                           "{\"name\": 7}", "<tool_call>{\"name\": \"find\", \"arguments\": ", "a <tool_call> b"}) {
    EXPECT_EQ(read(text), text);
  }
}

}  // namespace
}  // namespace fovea::serve
