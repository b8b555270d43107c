#include "model/registry.h"

#include <gtest/gtest.h>

#include <set>

#include "model/families/family_fixture.h"

namespace fovea::model {
namespace {

TEST(Registry, NoArchitectureBelongsToTwoFamilies) {
  std::set<std::string> gguf, hugging_face;
  for (const Family& family : families()) {
    EXPECT_EQ(family.from_gguf == nullptr, std::string(family.gguf_architecture).empty()) << family.name;
    if (family.from_gguf) {
      EXPECT_TRUE(gguf.insert(family.gguf_architecture).second) << family.gguf_architecture;
    }
    for (const std::string& type : family.hugging_face_types) {
      EXPECT_TRUE(hugging_face.insert(type).second) << type;
    }
  }
}

TEST(Registry, AnUnknownArchitectureIsRefusedWithTheListOfKnownOnes) {
  files::Metadata gguf("model.gguf");
  gguf.set("general.architecture", std::string("gpt9"));
  expect_refused(gguf, files::Container::gguf, "gpt9");
  for (const Family& family : families()) {
    expect_refused(gguf, files::Container::gguf, family.gguf_architecture);
    for (const std::string& type : family.hugging_face_types) {
      expect_refused(config_json(R"({"model_type": "gpt9"})"), files::Container::hugging_face, type);
    }
  }
}

TEST(Registry, AFileThatDoesNotSayItsArchitectureIsRefused) {
  expect_refused(files::Metadata("model.gguf"), files::Container::gguf, "general.architecture");
  expect_refused(config_json(R"({"hidden_size": 64})"), files::Container::hugging_face, "model_type");
}

TEST(Registry, ANestedConfigurationIsKnownByItsLanguageModel) {
  EXPECT_EQ(read_config_json(R"({"model_type": "llava", "text_config": {"model_type": "llama"}})").family, "llama");
  EXPECT_EQ(read_config_json(R"({"model_type": "gemma3", "text_config": {"hidden_size": 64}})").hidden, 64);
  expect_refused(config_json(R"({"model_type": "llama", "text_config": {"model_type": "gpt9"}})"), files::Container::hugging_face,
                 "text_config.model_type");
}

}  // namespace
}  // namespace fovea::model
