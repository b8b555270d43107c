#include "text/chat_template.h"

#include <gtest/gtest.h>

#include "fovea/error.h"
#include "text/test_data.h"

namespace fovea::text {
namespace {

std::vector<ChatMessage> messages_of(const nlohmann::json& list) {
  std::vector<ChatMessage> messages;
  for (const auto& message : list) messages.push_back({message["role"], message["content"]});
  return messages;
}

TEST(ChatTemplate, RendersWhatJinjaInPythonRenders) {
  const nlohmann::json data = test_json("chat.json");
  ASSERT_GT(data["cases"].size(), 60u);
  for (const auto& entry : data["cases"]) {
    const std::string name = entry["template"];
    const ChatTemplate chat(test_file("templates/" + name + ".jinja"), data["bos_token"], data["eos_token"],
                            name);
    const auto render = [&] {
      return chat.render(messages_of(entry["messages"]), entry["add_generation_prompt"]);
    };
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
