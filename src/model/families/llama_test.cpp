#include "files/model_files.h"
#include "model/families/family_fixture.h"
#include "model/rope.h"

namespace fovea::model {
namespace {

using files::Container;

// As published for Llama 3.2 1B.
constexpr const char* kLlama32 = R"({
  "model_type": "llama", "attention_bias": false, "bos_token_id": 128000, "eos_token_id": [128001, 128008],
  "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192,
  "max_position_embeddings": 131072, "mlp_bias": false, "num_attention_heads": 32, "num_hidden_layers": 16,
  "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                   "original_max_position_embeddings": 8192, "rope_type": "llama3"},
  "rope_theta": 500000.0, "tie_word_embeddings": true, "vocab_size": 128256})";

constexpr const char* kLlama32NewSpelling = R"({
  "model_type": "llama", "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192,
  "max_position_embeddings": 131072, "num_attention_heads": 32, "num_hidden_layers": 16,
  "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
  "rope_parameters": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                      "original_max_position_embeddings": 8192, "rope_theta": 500000.0, "rope_type": "llama3"},
  "tie_word_embeddings": true, "vocab_size": 128256})";

// As published for SmolLM2 135M.
constexpr const char* kSmolLm2 = R"({
  "model_type": "llama", "hidden_act": "silu", "hidden_size": 576, "intermediate_size": 1536,
  "max_position_embeddings": 8192, "num_attention_heads": 9, "num_hidden_layers": 30,
  "num_key_value_heads": 3, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 100000,
  "tie_word_embeddings": true, "vocab_size": 49152})";

files::Metadata smollm2_gguf() {  // the keys of a real file
  files::Metadata file("downloads/smollm2.gguf");
  file.set("general.architecture", std::string("llama"));
  file.set("llama.block_count", int64_t{30});
  file.set("llama.context_length", int64_t{8192});
  file.set("llama.embedding_length", int64_t{576});
  file.set("llama.feed_forward_length", int64_t{1536});
  file.set("llama.attention.head_count", int64_t{9});
  file.set("llama.attention.head_count_kv", int64_t{3});
  file.set("llama.rope.freq_base", 100000.0);
  file.set("llama.attention.layer_norm_rms_epsilon", 9.999999747378752e-06);
  file.set("llama.vocab_size", int64_t{49152});
  file.set("llama.rope.dimension_count", int64_t{64});
  return file;
}

void expect_smollm2_facts(const ModelSpec& spec) {
  EXPECT_EQ(spec.family, "llama");
  EXPECT_EQ(spec.layers.size(), 30u);
  EXPECT_EQ(spec.hidden, 576);
  EXPECT_EQ(spec.vocabulary, 49152);
  EXPECT_EQ(spec.context_tokens, 8192);
  EXPECT_FLOAT_EQ(spec.norm_eps, 1e-5f);
  EXPECT_EQ(spec.norm_weight_offset, 0);
  EXPECT_EQ(spec.embedding_scale, 1);
  EXPECT_TRUE(spec.tied_head);
  ASSERT_EQ(spec.ropes.size(), 1u);
  EXPECT_EQ(spec.ropes[0].base, 1e5f);
  for (const LayerSpec& layer : spec.layers) {
    EXPECT_EQ(layer.attention.window, kWholePast);
    EXPECT_EQ(layer.attention.q_heads, 9);
    EXPECT_EQ(layer.attention.kv_heads, 3);
    EXPECT_EQ(layer.attention.head_dim, 64);
    EXPECT_EQ(layer.attention.score_scale, 0.125f);
    EXPECT_EQ(layer.attention.rope, 0);
    EXPECT_EQ(layer.attention.qk_norm, HeadNorm::none);
    EXPECT_FALSE(layer.post_norms);
    EXPECT_EQ(layer.feed_forward.width, 1536);
    EXPECT_EQ(layer.feed_forward.activation, Activation::silu);
  }
}

TEST(Llama, PublishedTiedModel) {
  const ModelSpec spec = read_config_json(kSmolLm2);
  expect_smollm2_facts(spec);
  EXPECT_EQ(spec.ropes[0], make_rope(Rope::Pairing::half, 64, 1e5));
  EXPECT_EQ(spec.names.ffn_norm, "model.layers.%d.post_attention_layernorm.weight");
  EXPECT_TRUE(spec.names.attn_post_norm.empty());
}

TEST(Llama, PublishedModelWithLlama3Scaling) {
  const ModelSpec spec = read_config_json(kLlama32);
  const Rope& rope = spec.ropes.at(0);
  EXPECT_EQ(rope.dims, 64);
  EXPECT_EQ(rope.scale, 32);
  EXPECT_TRUE(rope.divisors.empty());
  EXPECT_NEAR(rope.frequencies[14], 0.003211445994752591, 1e-14);
  EXPECT_NEAR(rope.frequencies[16], 0.0004295567965593682, 1e-14);
  EXPECT_NEAR(rope.frequencies[31], 9.41830672543491e-08, 1e-18);
}

TEST(Llama, OldAndNewSpellingsGiveTheSameSpec) { EXPECT_EQ(read_config_json(kLlama32), read_config_json(kLlama32NewSpelling)); }

TEST(Llama, NestedAndPlainGiveTheSameSpec) {
  EXPECT_EQ(read_config_json(std::string(R"({"model_type": "llava", "text_config": )") + kLlama32 + "}"), read_config_json(kLlama32));
}

TEST(Llama, KeysLeftOutMeanWhatTheReferenceAssumes) {
  const ModelSpec spec = read_config_json(R"({"model_type": "llama"})");
  EXPECT_EQ(spec.layers.size(), 32u);
  EXPECT_EQ(spec.layers[0].attention.kv_heads, 32);
  EXPECT_EQ(spec.layers[0].attention.head_dim, 128);
  EXPECT_EQ(spec.ropes.at(0).base, 1e4f);
  EXPECT_FLOAT_EQ(spec.norm_eps, 1e-6f);
  EXPECT_FALSE(spec.tied_head);
}

TEST(Llama, HeadDimensionsMayDifferFromHiddenPerHead) {
  files::Metadata config = config_json(kSmolLm2);
  config.set("head_dim", int64_t{80});
  EXPECT_EQ(read_spec(config, Container::hugging_face).layers[0].attention.head_dim, 80);
}

TEST(Llama, GoldenConfigurationsAreRead) {
  for (const std::string folder : {"llama", "llama3", "llama3_odd_v5", "llama_odd_v5", "smollm2", "smollm2_odd_v5"}) {
    const std::string path = std::string(FOVEA_TEST_DATA) + "/oracle/" + folder;
    const ModelSpec spec = read_spec(files::read_config(path), Container::hugging_face);
    EXPECT_EQ(spec.name, folder);
    EXPECT_EQ(spec.layers.size(), 3u) << folder;
    EXPECT_EQ(spec.ropes.at(0).scale > 1, folder.starts_with("llama3")) << folder;
  }
}

// ---- GGUF

TEST(LlamaGguf, PairsAreNeighboursAndDivisorsMayFollow) {
  const ModelSpec spec = read_gguf(smollm2_gguf());
  expect_smollm2_facts(spec);
  EXPECT_EQ(spec.name, "smollm2");  // the file does not name itself
  Rope expected = make_rope(Rope::Pairing::adjacent, 64, 1e5);
  expected.divisors = "rope_freqs.weight";
  EXPECT_EQ(spec.ropes[0], expected);
  EXPECT_EQ(spec.names.ffn_norm, "blk.%d.ffn_norm.weight");
}

// The converter writes llama3 scaling as divisors: both ways must end at the same angles.
TEST(LlamaGguf, DivisorsGiveTheFrequenciesOfTheConfiguration) {
  const Rope scaled = read_config_json(kLlama32).ropes.at(0);
  Rope divided = make_rope(Rope::Pairing::adjacent, 64, 5e5);
  std::vector<float> divisors(32, 1.f);  // as the converter computes them
  divisors[15] = 1.6513292457638986f;
  divisors[16] = 3.2922621029408843f;
  divisors[17] = 9.666728978753293f;
  for (size_t k = 18; k < 32; ++k) divisors[k] = 32;
  apply_divisors(divided, divisors, "rope_freqs.weight");
  for (size_t k = 0; k < 32; ++k) {
    EXPECT_NEAR(divided.frequencies[k] / scaled.frequencies[k], 1, 1e-6) << "k = " << k;
  }
}

TEST(LlamaGguf, DefaultsOfKeysLeftOut) {
  files::Metadata file("model.gguf");
  const files::Metadata whole = smollm2_gguf();
  for (const auto& [key, value] : whole.values()) {
    if (key != "llama.rope.freq_base" && key != "llama.attention.head_count_kv" && key != "llama.rope.dimension_count" &&
        key != "llama.vocab_size") {
      file.set(key, value);
    }
  }
  const ModelSpec spec = read_gguf(file);
  EXPECT_EQ(spec.ropes[0].base, 1e4f);
  EXPECT_EQ(spec.ropes[0].dims, 64);
  EXPECT_EQ(spec.layers[0].attention.kv_heads, 9);
  EXPECT_EQ(spec.vocabulary, 0);  // the embedding tensor says
}

TEST(LlamaGguf, LayersMayDifferInHeadsAndWidths) {
  files::Metadata file = smollm2_gguf();
  std::vector<int64_t> kv_heads(30, 3), widths(30, 1536);
  kv_heads[7] = 9;
  widths[8] = 768;
  file.set("llama.attention.head_count_kv", kv_heads);
  file.set("llama.feed_forward_length", widths);
  const ModelSpec spec = read_gguf(file);
  EXPECT_EQ(spec.layers[7].attention.kv_heads, 9);
  EXPECT_EQ(spec.layers[8].attention.kv_heads, 3);
  EXPECT_EQ(spec.layers[8].feed_forward.width, 768);
}

TEST(LlamaGguf, AWindowIsNotApplied) {
  files::Metadata file = smollm2_gguf();
  file.set("llama.attention.sliding_window", int64_t{4096});
  EXPECT_EQ(read_gguf(file).layers[0].attention.window, kWholePast);
}

// ---- refusals

TEST(Llama, WhatIsNotComputedIsRefused) {
  const files::Metadata config = config_json(kLlama32);
  expect_config_refused(config, "mlp_bias", true);
  expect_config_refused(config, "hidden_act", std::string("gelu"));
  expect_config_refused(config, "partial_rotary_factor", 0.5);
  expect_object_refused(config, "quantization_config", "bits");
  for (const char* type : {"longrope", "dynamic", "su"}) {
    expect_config_refused(config, "rope_scaling.rope_type", std::string(type));
    expect_gguf_refused(smollm2_gguf(), "llama.rope.scaling.type", std::string(type));
  }
  expect_object_refused(config_json(kLlama32NewSpelling), "rope_parameters.full_attention", "rope_theta");
  expect_gguf_refused(smollm2_gguf(), "llama.attention.causal", false);
  expect_gguf_refused(smollm2_gguf(), "llama.attention.value_length", int64_t{32});
}

TEST(Llama, AbsurdSizesAreRefusedByTheirKeys) {
  expect_absurd_sizes_refused(config_json(kLlama32), Container::hugging_face,
                              {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                               "head_dim", "max_position_embeddings", "vocab_size", "rope_scaling.original_max_position_embeddings"});
  expect_absurd_sizes_refused(smollm2_gguf(), Container::gguf,
                              {"llama.embedding_length", "llama.feed_forward_length", "llama.block_count", "llama.attention.head_count",
                               "llama.attention.head_count_kv", "llama.context_length", "llama.rope.dimension_count", "llama.vocab_size"});
}

TEST(Llama, SizesThatDoNotFitTogetherAreRefused) {
  expect_config_refused(config_json(kSmolLm2), "num_attention_heads", int64_t{7});
  expect_config_refused(config_json(kLlama32), "num_key_value_heads", int64_t{5});
  expect_config_refused(config_json(kLlama32), "head_dim", int64_t{63});
  expect_gguf_refused(smollm2_gguf(), "llama.attention.head_count", int64_t{10});
  expect_gguf_refused(smollm2_gguf(), "llama.attention.head_count", std::vector<int64_t>(29, 9));
}

TEST(Llama, ScalingThatCannotBeRightIsRefused) {
  const files::Metadata config = config_json(kLlama32);
  for (const char* key : {"rope_scaling.factor", "rope_scaling.low_freq_factor", "rope_scaling.high_freq_factor"}) {
    expect_config_refused(config, key, 0.0);
    expect_config_refused(config, key, std::string("eight"));
  }
  expect_config_refused(config, "rope_scaling.high_freq_factor", 1.0);  // no higher than the low one
  expect_config_refused(config, "rope_theta", 1.0);
}

}  // namespace
}  // namespace fovea::model
