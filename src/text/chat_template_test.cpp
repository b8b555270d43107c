#include "text/chat_template.h"

#include <gtest/gtest.h>

#include "fovea/error.h"
#include "text/test_data.h"

namespace fovea::text {
namespace {

std::vector<ChatTurn> messages_of(const nlohmann::json& list) {
  std::vector<ChatTurn> messages;
  for (const auto& message : list) messages.push_back({message["role"], message["content"]});
  return messages;
}

TEST(ChatTemplate, RendersWhatJinjaInPythonRenders) {
  const nlohmann::json data = test_json("chat.json");
  ASSERT_GT(data["cases"].size(), 60u);
  for (const auto& entry : data["cases"]) {
    const std::string name = entry["template"];
    const ChatTemplate chat(test_file("templates/" + name + ".jinja"), data["bos_token"], data["eos_token"], name);
    const auto render = [&] { return chat.render(messages_of(entry["messages"]), entry["add_generation_prompt"]); };
    if (entry.contains("expected")) {
      EXPECT_EQ(render(), entry["expected"].get<std::string>()) << name << " " << entry["messages"];
      continue;
    }
    try {
      render();
      ADD_FAILURE() << name << " must raise";
    } catch (const Error& error) {
      EXPECT_NE(error.problem().find(entry["raises"].get<std::string>()), std::string::npos) << error.what();
      EXPECT_EQ(error.problem().find("line "), 0u) << error.what();
    }
  }
}

TEST(ChatTemplate, AMalformedOneIsRefusedWithPlaceAndLine) {
  try {
    ChatTemplate("ok\n{% for %}", "", "", "model.gguf");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "model.gguf");
    EXPECT_EQ(error.problem().find("line 2: "), 0u) << error.what();
  }
}

TEST(ChatTemplate, AMessageIsTextWhateverItHolds) {
  const ChatTemplate chat("{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}", "", "", "x");
  const std::string hostile = "{{ 7 * 7 }}{% raise %}\"\\\n<b>&\x01";
  EXPECT_EQ(chat.render({{"user", hostile}}, false), "user:" + hostile + ";");
}

constexpr const char* kTools = R"([{"type":"function","function":{"name":"find","description":"","parameters":{"type":"object"}}}])";

TEST(ChatTemplate, OneThatKnowsOfToolsGetsThemAndTheirCalls) {
  const ChatTemplate chat(
      "{% for t in tools %}[{{ t.function.name }}]{% endfor %}{% for m in messages %}{{ m.role }}:{{ m.content }}"
      "{% for c in m.tool_calls %}<{{ c.function.name }} {{ c.function.arguments.q }} {{ c.id }}>{% endfor %}{{ m.tool_call_id }};{% "
      "endfor %}",
      "", "", "x");
  const std::vector<ChatTurn> turns = {
      {"user", "a"}, {"assistant", "", {{"c1", "find", R"({"q": [1]})"}}}, {"tool", "r", {}, "c1", "find"}};
  EXPECT_EQ(chat.render(turns, false, kTools), "[find]user:a;assistant:<find [1] c1>;tool:rc1;");
  EXPECT_EQ(chat.render({{"user", "a"}}, false), "user:a;");
}

TEST(ChatTemplate, OneThatDoesNotKnowOfToolsIsToldInText) {
  const ChatTemplate chat("{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}", "", "", "x");
  const std::vector<ChatTurn> turns = {{"user", "a"},
                                       {"assistant", "hm", {{"1", "find", R"({"q": 1})"}, {"2", "find", "{}"}}},
                                       {"tool", "r", {}, "1"},
                                       {"tool", "s", {}, "2"},
                                       {"user", "b"}};
  const std::string text = chat.render(turns, false, kTools);
  EXPECT_TRUE(text.starts_with("system:# Tools")) << text;
  EXPECT_NE(text.find(R"("name":"find")"), std::string::npos) << text;
  const std::string rest =
      "user:a;assistant:hm\n<tool_call>\n{\"name\": \"find\", \"arguments\": {\"q\": 1}}\n</tool_call>\n<tool_call>\n{\"name\": \"find\", "
      "\"arguments\": {}}\n</tool_call>;user:<tool_response>\nr\n</tool_response>\n<tool_response>\ns\n</tool_response>;user:b;";
  EXPECT_TRUE(text.ends_with(rest)) << text;
  EXPECT_EQ(chat.render(turns, false), rest);
  EXPECT_TRUE(chat.render({{"system", "Be brief."}, {"user", "a"}}, false, kTools).starts_with("system:Be brief.\n\n# Tools"));
}

TEST(ChatTemplate, SaysHowCallsAreWritten) {
  const auto form = [](const char* source) { return ChatTemplate(source, "", "", "x").tool_call_form(); };
  EXPECT_TRUE(form("{{ messages }}").tagged);
  EXPECT_TRUE(form("{% if tools %}<tool_call>{% endif %}").tagged);
  EXPECT_FALSE(form("{% if tools %}{\"name\": function name, \"parameters\": values}{% endif %}").tagged);
  EXPECT_EQ(form("{% if tools %}{\"name\": function name, \"parameters\": values}{% endif %}").arguments, "parameters");
  EXPECT_EQ(form("{% if tools %}[TOOL_CALLS]{% endif %}").arguments, "arguments");
}

TEST(ChatTemplate, ArgumentsThatNestWithoutEndStayText) {
  const ChatTemplate chat("{% if tools %}{% endif %}{{ messages[0].tool_calls[0].function.arguments }}", "", "", "x");
  const auto rendered = [&](const std::string& arguments) { return chat.render({{"assistant", "", {{"", "f", arguments}}}}, false); };
  const std::string deep = "{\"a\":" + std::string(1000000, '[') + std::string(1000000, ']') + "}";
  EXPECT_EQ(rendered(deep), deep);
  EXPECT_EQ(rendered("{\"a\":   1}").find("   "), std::string::npos) << "an object is printed as the template prints one";
}

TEST(ChatTemplate, EndlessTemplatesAreStopped) {
  const ChatTemplate loops(
      "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor "
      "%}{% endfor %}",
      "", "", "x");
  EXPECT_THROW(loops.render({}, false), Error);
  const ChatTemplate recurses("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "", "", "x");
  EXPECT_THROW(recurses.render({}, false), Error);
}

TEST(ChatTemplate, DeeplyNestedSourcesAreRefused) {
  std::string source = "{{ ";
  source += std::string(100000, '(') + "1" + std::string(100000, ')') + " }}";
  EXPECT_THROW(ChatTemplate(source, "", "", "x"), Error);
}

}  // namespace
}  // namespace fovea::text
