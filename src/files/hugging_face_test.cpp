#include "files/hugging_face.h"

#include <sys/stat.h>

#include "files/test_files.h"

namespace fovea::files {
namespace {

namespace fs = std::filesystem;

Metadata flattened(const std::string& json) {
  Metadata metadata("config.json");
  parse_config(json, "config.json", "", metadata);
  return metadata;
}

std::string seed(const std::string& kind, const std::string& name) { return read_text(kTestFiles / "seeds" / kind / name); }

void add_single(const TemporaryFolder& folder) {
  write_text(folder / "config.json", R"({"model_type": "llama", "eos_token_id": 2})");
  write_text(folder / "model.safetensors", seed("safetensors", "single.safetensors"));
}

void add_sharded(const TemporaryFolder& folder) {
  write_text(folder / "config.json", "{}");
  write_text(folder / "model.safetensors.index.json", seed("safetensors", "index.json"));
  for (const char* shard : {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}) {
    write_text(folder / shard, seed("safetensors", shard));
  }
}

TEST(Config, NestedNamesAreJoinedByDots) {
  const Metadata metadata = flattened(seed("config", "nested.json"));
  EXPECT_EQ(metadata.integer("text_config.sliding_window"), 512);
  EXPECT_EQ(metadata.number("text_config.rope_parameters.full_attention.factor"), 8.0f);
  EXPECT_EQ(metadata.number("text_config.rope_parameters.sliding_attention.rope_theta"), 10000.0f);
  EXPECT_EQ(metadata.integer("vision_config.hidden_size"), 1152);
}

TEST(Config, NullMeansAbsent) {
  const Metadata metadata = flattened(seed("config", "flat.json"));
  EXPECT_FALSE(metadata.has("rope_scaling"));
  EXPECT_TRUE(metadata.flag("tie_word_embeddings", false));
  EXPECT_EQ(metadata.integers("eos_token_id"), (std::vector<int>{1, 106}));
}

TEST(Config, OnlyListsOfOneKindAreKept) {
  const Metadata metadata = flattened(seed("config", "lists.json"));
  EXPECT_EQ(metadata.integers("integers"), (std::vector<int>{1, -2}));
  EXPECT_EQ(metadata.numbers("mixed"), (std::vector<float>{1.0f, 2.5f}));
  EXPECT_EQ(metadata.flags("flags"), (std::vector<bool>{true, false}));
  EXPECT_EQ(metadata.texts("texts"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(metadata.values().size(), 4u);
}

TEST(Config, LargestIntegerIsKept) {
  EXPECT_EQ(*flattened(R"({"n": 9223372036854775807})").find("n"), Value(int64_t{INT64_MAX}));
  EXPECT_EQ(*flattened(R"({"n": -9223372036854775808})").find("n"), Value(int64_t{INT64_MIN}));
}

TEST(HuggingFaceFolder, SingleFileIsOpened) {
  const TemporaryFolder folder;
  add_single(folder);
  const ModelFiles model = open_model(folder.string());
  EXPECT_EQ(model.container, Container::hugging_face);
  EXPECT_EQ(model.metadata.text("model_type"), "llama");
  EXPECT_EQ(model.tensors.size(), 4u);
}

TEST(HuggingFaceFolder, GenerationConfigStandsBelowItsOwnName) {
  const TemporaryFolder folder;
  add_single(folder);
  write_text(folder / "generation_config.json", R"({"eos_token_id": [1, 106], "top_k": 64})");
  const Metadata metadata = read_config(folder.string());
  EXPECT_EQ(metadata.integer("eos_token_id"), 2);
  EXPECT_EQ(metadata.integers("generation_config.eos_token_id"), (std::vector<int>{1, 106}));
  EXPECT_EQ(metadata.integer("generation_config.top_k"), 64);
}

TEST(HuggingFaceFolder, ShardsAreJoinedByTheIndex) {
  const TemporaryFolder folder;
  add_sharded(folder);
  const ModelFiles model = open_model(folder.string());
  EXPECT_EQ(model.files.size(), 2u);
  ASSERT_TRUE(model.tensors.find("first"));
  ASSERT_TRUE(model.tensors.find("second"));
  EXPECT_EQ(model.tensors.find("second")->format, NumberFormat::bf16);
}

TEST(HuggingFaceFolder, MissingShardIsNamed) {
  const TemporaryFolder folder;
  add_sharded(folder);
  fs::remove(folder / "model-00002-of-00002.safetensors");
  const std::string message = refusal([&] { open_model(folder.string()); });
  EXPECT_TRUE(holds(message, "model-00002-of-00002.safetensors")) << message;
}

TEST(HuggingFaceFolder, WithoutConfigSaysWhatToName) {
  const TemporaryFolder folder;
  const std::string message = refusal([&] { open_model(folder.string()); });
  EXPECT_TRUE(holds(message, "holds no config.json")) << message;
}

TEST(HuggingFaceFolder, WithPickledWeightsSaysHowToConvert) {
  const TemporaryFolder folder;
  write_text(folder / "config.json", "{}");
  EXPECT_TRUE(holds(refusal([&] { open_model(folder.string()); }), "fetch the model's *.safetensors"));
  write_text(folder / "pytorch_model.bin", "x");
  EXPECT_TRUE(holds(refusal([&] { open_model(folder.string()); }), "convert pytorch_model.bin"));
}

TEST(SideFile, IsReadByPlainNameOnly) {
  const TemporaryFolder folder;
  add_single(folder);
  write_text(folder / "tokenizer.json", "{\"version\": \"1.0\"}");
  const ModelFiles model = open_model(folder.string());
  EXPECT_EQ(model.side_file("tokenizer.json"), "{\"version\": \"1.0\"}");
  EXPECT_EQ(model.side_file("tokenizer.model"), std::nullopt);
  refusal([&] { model.side_file("../tokenizer.json"); });
  refusal([&] { model.side_file(".."); });
  refusal([&] { model.side_file("/etc/hostname"); });
}

TEST(SideFile, OfAGgufIsAbsent) {
  const ModelFiles model = open_model(kTestFiles / "seeds" / "gguf" / "small.gguf");
  EXPECT_EQ(model.side_file("small.gguf"), std::nullopt);
}

TEST(SideFile, ThatIsAPipeIsRefusedWithoutWaiting) {
  const TemporaryFolder folder;
  add_single(folder);
  ASSERT_EQ(mkfifo((folder / "tokenizer.json").c_str(), 0600), 0);
  const ModelFiles model = open_model(folder.string());
  EXPECT_TRUE(holds(refusal([&] { model.side_file("tokenizer.json"); }), "not a regular file"));
}

TEST(ReadConfig, TakesAFolderABareConfigOrAGguf) {
  const TemporaryFolder folder;
  write_text(folder / "config.json", R"({"model_type": "gemma3"})");
  EXPECT_EQ(read_config(folder.string()).text("model_type"), "gemma3");
  EXPECT_EQ(read_config(folder / "config.json").text("model_type"), "gemma3");
  const Metadata gguf = read_config(kTestFiles / "seeds" / "gguf" / "small.gguf");
  EXPECT_EQ(gguf.text("general.architecture"), "tiny");
}

TEST(OpenModel, OfMissingOrWrongPathsSaysWhatToName) {
  const TemporaryFolder folder;
  add_single(folder);
  EXPECT_TRUE(holds(refusal([&] { open_model(folder / "absent.gguf"); }), "cannot open"));
  EXPECT_TRUE(holds(refusal([&] { open_model(folder / "model.safetensors"); }), "name the folder"));
  EXPECT_TRUE(holds(refusal([&] { open_model(folder / "config.json"); }), "name a .gguf"));
}

}  // namespace
}  // namespace fovea::files
