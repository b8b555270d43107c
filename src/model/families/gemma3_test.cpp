#include "files/model_files.h"
#include "model/families/family_fixture.h"
#include "model/rope.h"

namespace fovea::model {
namespace {

using files::Container;
using Texts = std::vector<std::string>;

// As published for 270M: flat keys, a list of layer types, the pattern under its private name.
constexpr const char* kSmall = R"({
  "model_type": "gemma3_text", "_sliding_window_pattern": 6, "attention_bias": false,
  "attn_logit_softcapping": null, "final_logit_softcapping": null, "head_dim": 256,
  "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 640, "intermediate_size": 2048,
  "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention",
    "sliding_attention", "full_attention", "sliding_attention", "sliding_attention", "sliding_attention",
    "sliding_attention", "sliding_attention", "full_attention", "sliding_attention", "sliding_attention",
    "sliding_attention", "sliding_attention", "sliding_attention", "full_attention"],
  "max_position_embeddings": 32768, "num_attention_heads": 4, "num_hidden_layers": 18,
  "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
  "rope_local_base_freq": 10000.0, "rope_scaling": null, "rope_theta": 1000000.0, "sliding_window": 512,
  "use_bidirectional_attention": false, "vocab_size": 262144})";

// The same facts as transformers 5 spells them.
constexpr const char* kSmallNewSpelling = R"({
  "model_type": "gemma3_text", "head_dim": 256, "hidden_size": 640, "intermediate_size": 2048,
  "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention",
    "sliding_attention", "full_attention", "sliding_attention", "sliding_attention", "sliding_attention",
    "sliding_attention", "sliding_attention", "full_attention", "sliding_attention", "sliding_attention",
    "sliding_attention", "sliding_attention", "sliding_attention", "full_attention"],
  "max_position_embeddings": 32768, "num_attention_heads": 4, "num_hidden_layers": 18,
  "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
  "rope_parameters": {"full_attention": {"rope_theta": 1000000.0, "rope_type": "default"},
                      "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"}},
  "sliding_window": 512, "tie_word_embeddings": true, "vocab_size": 262144})";

// As published for 4B: nested, and silent about everything that equals the class defaults.
constexpr const char* kMiddle = R"({
  "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "mm_tokens_per_image": 256,
  "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
    "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
  "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27, "num_attention_heads": 16}})";

constexpr const char* kLarge = R"({
  "model_type": "gemma3",
  "text_config": {"head_dim": 128, "hidden_size": 5376, "intermediate_size": 21504,
    "model_type": "gemma3_text", "num_attention_heads": 32, "num_hidden_layers": 62,
    "num_key_value_heads": 16, "query_pre_attn_scalar": 168,
    "rope_scaling": {"factor": 8.0, "type": "linear"}, "sliding_window": 1024}})";

files::Metadata small_gguf() {  // the keys of a real file: no pattern, no local base
  files::Metadata file("small.gguf");
  file.set("general.architecture", std::string("gemma3"));
  file.set("general.name", std::string("Gemma 3 270m"));
  file.set("gemma3.context_length", int64_t{32768});
  file.set("gemma3.embedding_length", int64_t{640});
  file.set("gemma3.block_count", int64_t{18});
  file.set("gemma3.feed_forward_length", int64_t{2048});
  file.set("gemma3.attention.head_count", int64_t{4});
  file.set("gemma3.attention.head_count_kv", int64_t{1});
  file.set("gemma3.attention.layer_norm_rms_epsilon", 9.999999974752427e-07);
  file.set("gemma3.attention.key_length", int64_t{256});
  file.set("gemma3.attention.value_length", int64_t{256});
  file.set("gemma3.attention.sliding_window", int64_t{512});
  file.set("gemma3.rope.freq_base", 1e6);
  file.set("tokenizer.ggml.tokens", Texts(1000, "token"));
  return file;
}

std::vector<int> global_layers(const ModelSpec& spec) {
  std::vector<int> global;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    if (spec.layers[i].attention.window == kWholePast) global.push_back(static_cast<int>(i));
  }
  return global;
}

const Rope& rope_of(const ModelSpec& spec, size_t layer) {
  return spec.ropes.at(static_cast<size_t>(spec.layers.at(layer).attention.rope));
}

void expect_small_facts(const ModelSpec& spec) {
  EXPECT_EQ(spec.layers.size(), 18u);
  EXPECT_EQ(global_layers(spec), (std::vector<int>{5, 11, 17}));
  EXPECT_EQ(spec.hidden, 640);
  EXPECT_EQ(spec.context_tokens, 32768);
  EXPECT_FLOAT_EQ(spec.norm_eps, 1e-6f);
  EXPECT_FLOAT_EQ(spec.embedding_scale, 25.298221281347036f);
  EXPECT_EQ(spec.final_softcap, 0);
  EXPECT_TRUE(spec.tied_head);
  for (const LayerSpec& layer : spec.layers) {
    const bool local = layer.attention.window != kWholePast;
    EXPECT_EQ(layer.attention.window, local ? 512 : kWholePast);
    EXPECT_EQ(layer.attention.q_heads, 4);
    EXPECT_EQ(layer.attention.kv_heads, 1);
    EXPECT_EQ(layer.attention.head_dim, 256);
    EXPECT_EQ(layer.attention.score_scale, 0.0625f);
    EXPECT_EQ(layer.attention.qk_norm, HeadNorm::each_head);
    EXPECT_TRUE(layer.post_norms);
    EXPECT_EQ(layer.feed_forward.width, 2048);
    EXPECT_EQ(layer.feed_forward.activation, Activation::gelu_tanh);
    const Rope& rope = spec.ropes.at(static_cast<size_t>(layer.attention.rope));
    EXPECT_EQ(rope, make_rope(Rope::Pairing::half, 256, local ? 1e4 : 1e6));
  }
}

TEST(Gemma3, PublishedSmallModel) {
  const ModelSpec spec = read_config_json(kSmall);
  expect_small_facts(spec);
  EXPECT_EQ(spec.family, "gemma3");
  EXPECT_EQ(spec.name, "folder");
  EXPECT_EQ(spec.vocabulary, 262144);
  EXPECT_EQ(spec.norm_weight_offset, 1);
  EXPECT_EQ(spec.names.attn_post_norm, "model.layers.%d.post_attention_layernorm.weight");
  EXPECT_EQ(spec.names.ffn_norm, "model.layers.%d.pre_feedforward_layernorm.weight");
}

TEST(Gemma3, PublishedMiddleModelRestsOnDefaults) {
  const ModelSpec spec = read_config_json(kMiddle);
  EXPECT_EQ(global_layers(spec), (std::vector<int>{5, 11, 17, 23, 29}));
  EXPECT_EQ(spec.vocabulary, 262208);
  EXPECT_EQ(spec.context_tokens, 131072);
  EXPECT_TRUE(spec.tied_head);
  const AttentionSpec& local = spec.layers[0].attention;
  EXPECT_EQ(local.q_heads, 8);
  EXPECT_EQ(local.kv_heads, 4);
  EXPECT_EQ(local.head_dim, 256);
  EXPECT_EQ(local.window, 1024);
  EXPECT_EQ(local.score_scale, 0.0625f);
}

TEST(Gemma3, LinearFactorStretchesGlobalLayersOnly) {
  const ModelSpec spec = read_config_json(kMiddle);
  EXPECT_EQ(rope_of(spec, 0), make_rope(Rope::Pairing::half, 256, 1e4));
  EXPECT_EQ(rope_of(spec, 5), make_rope(Rope::Pairing::half, 256, 1e6, {.kind = RopeScaling::Kind::linear, .factor = 8}));
}

TEST(Gemma3, PublishedLargeModelScalesScoresByItsScalar) {
  const ModelSpec spec = read_config_json(kLarge);
  EXPECT_EQ(spec.layers.size(), 62u);
  EXPECT_EQ(spec.layers[61].attention.head_dim, 128);
  EXPECT_FLOAT_EQ(spec.layers[61].attention.score_scale, 0.07715167498104596f);  // 168^-0.5
  EXPECT_EQ(rope_of(spec, 5).scale, 8);                                          // "type" is the older name of "rope_type"
}

TEST(Gemma3, OldAndNewSpellingsGiveTheSameSpec) { EXPECT_EQ(read_config_json(kSmall), read_config_json(kSmallNewSpelling)); }

TEST(Gemma3, NestedAndPlainGiveTheSameSpec) {
  EXPECT_EQ(read_config_json(std::string(R"({"model_type": "gemma3", "text_config": )") + kSmall + "}"), read_config_json(kSmall));
}

TEST(Gemma3, LayerTypesWinOverThePattern) {
  const std::string start = R"({"model_type": "gemma3_text", "num_hidden_layers": 4, "sliding_window_pattern": 2)";
  EXPECT_EQ(global_layers(read_config_json(start + "}")), (std::vector<int>{1, 3}));
  EXPECT_EQ(global_layers(read_config_json(start + R"(, "layer_types": ["full_attention", "sliding_attention",
      "sliding_attention", "sliding_attention"]})")),
            (std::vector<int>{0}));
}

TEST(Gemma3, TheHeadIsTiedUnlessTheFileSaysOtherwise) {
  const std::string text = R"("text_config": {"model_type": "gemma3_text")";
  EXPECT_TRUE(read_config_json("{" + text + "}}").tied_head);
  EXPECT_FALSE(read_config_json(R"({"tie_word_embeddings": false, )" + text + "}}").tied_head);
  EXPECT_FALSE(read_config_json("{" + text + R"(, "tie_word_embeddings": false}})").tied_head);
}

TEST(Gemma3, FinalSoftcapIsRead) {
  files::Metadata config = config_json(kSmall);
  config.set("final_logit_softcapping", 30.0);
  EXPECT_EQ(read_spec(config, Container::hugging_face).final_softcap, 30);
}

TEST(Gemma3, GoldenConfigurationsOfBothSpellingsAgree) {
  const auto read = [](const std::string& folder) {
    const std::string path = std::string(FOVEA_TEST_DATA) + "/oracle/" + folder;
    ModelSpec spec = read_spec(files::read_config(path), Container::hugging_face);
    spec.name.clear();
    return spec;
  };
  EXPECT_EQ(read("gemma3"), read("gemma3_v5"));
  EXPECT_EQ(read("gemma3_linear"), read("gemma3_wrapped"));
  EXPECT_EQ(read("gemma3_odd_linear_v5"), read("gemma3_wrapped_v5"));
  EXPECT_NE(read("gemma3"), read("gemma3_linear"));
}

// ---- GGUF

TEST(Gemma3Gguf, AFileWithoutPatternAndLocalBaseHasTheUsualOnes) {
  const ModelSpec spec = read_gguf(small_gguf());
  expect_small_facts(spec);
  EXPECT_EQ(spec.name, "Gemma 3 270m");
  EXPECT_EQ(spec.vocabulary, 1000);
  EXPECT_EQ(spec.norm_weight_offset, 0);  // converters add the 1
  EXPECT_EQ(spec.names.ffn_post_norm, "blk.%d.post_ffw_norm.weight");
}

TEST(Gemma3Gguf, WithoutAWindowEveryLayerIsGlobalWithTheGlobalRope) {
  for (const bool zero : {false, true}) {
    files::Metadata file("model.gguf");
    const files::Metadata whole = small_gguf();
    for (const auto& [key, value] : whole.values()) {
      if (key != "gemma3.attention.sliding_window") file.set(key, value);
    }
    if (zero) file.set("gemma3.attention.sliding_window", int64_t{0});
    const ModelSpec spec = read_gguf(file);
    EXPECT_EQ(global_layers(spec).size(), 18u);
    for (size_t i = 0; i < 18; ++i) EXPECT_EQ(rope_of(spec, i).base, 1e6f);
  }
}

TEST(Gemma3Gguf, ThePatternIsAPeriodOrAListOfLocalLayers) {
  files::Metadata file = small_gguf();
  file.set("gemma3.attention.sliding_window_pattern", int64_t{9});
  EXPECT_EQ(global_layers(read_gguf(file)), (std::vector<int>{8, 17}));
  std::vector<bool> local(18, true);
  local[2] = false;
  file.set("gemma3.attention.sliding_window_pattern", local);
  EXPECT_EQ(global_layers(read_gguf(file)), (std::vector<int>{2}));
}

TEST(Gemma3Gguf, ScalingAndBasesReachTheirLayers) {
  for (const char* factor_key : {"gemma3.rope.scaling.factor", "gemma3.rope.scale_linear"}) {
    files::Metadata file = small_gguf();
    file.set(factor_key, 8.0);
    file.set("gemma3.rope.freq_base_swa", 20'000.0);
    const ModelSpec spec = read_gguf(file);
    EXPECT_EQ(rope_of(spec, 0), make_rope(Rope::Pairing::half, 256, 2e4));
    EXPECT_EQ(rope_of(spec, 5), make_rope(Rope::Pairing::half, 256, 1e6, {.kind = RopeScaling::Kind::linear, .factor = 8}));
    file.set("gemma3.rope.scaling.type", std::string("none"));
    EXPECT_EQ(rope_of(read_gguf(file), 5).scale, 1);
  }
}

TEST(Gemma3Gguf, SixtyTwoLayersScaleScoresByHiddenPerHead) {
  files::Metadata file = small_gguf();
  file.set("gemma3.attention.key_length", int64_t{128});
  file.set("gemma3.attention.value_length", int64_t{128});
  file.set("gemma3.embedding_length", int64_t{5376});
  file.set("gemma3.attention.head_count", int64_t{32});
  file.set("gemma3.attention.head_count_kv", int64_t{16});
  file.set("gemma3.block_count", int64_t{48});
  EXPECT_FLOAT_EQ(read_gguf(file).layers[0].attention.score_scale, 0.08838834764831845f);  // 128^-0.5
  file.set("gemma3.block_count", int64_t{62});
  EXPECT_FLOAT_EQ(read_gguf(file).layers[0].attention.score_scale, 0.07715167498104596f);  // 168^-0.5
}

// ---- refusals

TEST(Gemma3, WhatIsNotComputedIsRefused) {
  const files::Metadata config = config_json(kSmall);
  expect_config_refused(config, "use_bidirectional_attention", true);
  expect_config_refused(config, "attention_bias", true);
  expect_config_refused(config, "attn_logit_softcapping", 50.0);
  expect_config_refused(config, "hidden_activation", std::string("relu"));
  expect_config_refused(config, "partial_rotary_factor", 0.5);
  expect_object_refused(config, "quantization_config", "bits");
  for (const char* type : {"longrope", "dynamic", "mrope"}) {
    expect_config_refused(config, "rope_scaling.rope_type", std::string(type));
    expect_config_refused(config, "rope_parameters.sliding_attention.rope_type", std::string(type));
    expect_gguf_refused(small_gguf(), "gemma3.rope.scaling.type", std::string(type));
  }
  Texts types(18, "full_attention");
  types[3] = "chunked_attention";
  expect_config_refused(config, "layer_types", types);
  expect_gguf_refused(small_gguf(), "gemma3.attention.causal", false);
  expect_gguf_refused(small_gguf(), "gemma3.attn_logit_softcapping", 50.0);
  expect_gguf_refused(small_gguf(), "gemma3.attention.value_length", int64_t{128});
  expect_gguf_refused(small_gguf(), "gemma3.rope.scaling.attn_factor", 1.5);
}

TEST(Gemma3, AbsurdSizesAreRefusedByTheirKeys) {
  expect_absurd_sizes_refused(config_json(kSmall), Container::hugging_face,
                              {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                               "head_dim", "sliding_window", "max_position_embeddings", "vocab_size"});
  expect_absurd_sizes_refused(small_gguf(), Container::gguf,
                              {"gemma3.embedding_length", "gemma3.feed_forward_length", "gemma3.block_count", "gemma3.attention.head_count",
                               "gemma3.attention.head_count_kv", "gemma3.attention.key_length", "gemma3.context_length",
                               "gemma3.rope.dimension_count", "gemma3.attention.sliding_window_pattern"});
}

TEST(Gemma3, SizesThatDoNotFitTogetherAreRefused) {
  const files::Metadata config = config_json(kSmall);
  expect_config_refused(config, "num_hidden_layers", int64_t{10'001});
  expect_config_refused(config, "num_key_value_heads", int64_t{3});
  expect_config_refused(config, "head_dim", int64_t{255});
  expect_config_refused(config, "num_attention_heads", int64_t{1} << 24);  // times 256 dimensions
  expect_config_refused(config, "layer_types", Texts(17, "full_attention"));
  expect_gguf_refused(small_gguf(), "gemma3.attention.sliding_window", int64_t{-5});
  expect_gguf_refused(small_gguf(), "gemma3.attention.sliding_window_pattern", std::vector<bool>(17, true));
  expect_gguf_refused(small_gguf(), "gemma3.attention.head_count_kv", std::vector<int64_t>(17, 1));
  expect_gguf_refused(small_gguf(), "gemma3.feed_forward_length", std::vector<int64_t>(19, 2048));
  expect_gguf_refused(small_gguf(), "gemma3.rope.dimension_count", int64_t{258});
  expect_gguf_refused(small_gguf(), "gemma3.rope.dimension_count", int64_t{255});
}

TEST(Gemma3, NumbersThatCannotBeRightAreRefused) {
  const files::Metadata config = config_json(kSmall);
  for (const char* key : {"rms_norm_eps", "rope_theta", "rope_local_base_freq", "query_pre_attn_scalar"}) {
    expect_config_refused(config, key, 0.0);
    expect_config_refused(config, key, -1.0);
    expect_config_refused(config, key, std::string("many"));
  }
  expect_config_refused(config, "final_logit_softcapping", -30.0);
  expect_config_refused(config, "rope_parameters.rope_theta", 1e6);
  files::Metadata scaled = config;
  scaled.set("rope_scaling.rope_type", std::string("linear"));
  expect_refused(scaled, Container::hugging_face, "rope_scaling.factor");
  expect_config_refused(scaled, "rope_scaling.factor", 0.0);
  expect_gguf_refused(small_gguf(), "gemma3.rope.freq_base", 0.0);
  expect_gguf_refused(small_gguf(), "gemma3.rope.scaling.factor", -8.0);
  expect_gguf_refused(small_gguf(), "gemma3.attention.layer_norm_rms_epsilon", 0.0);
}

TEST(Gemma3Gguf, EveryRequiredKeyIsMissedByName) {
  const files::Metadata whole = small_gguf();
  for (const char* missing : {"gemma3.context_length", "gemma3.embedding_length", "gemma3.block_count", "gemma3.feed_forward_length",
                              "gemma3.attention.head_count", "gemma3.attention.layer_norm_rms_epsilon"}) {
    files::Metadata file("model.gguf");
    for (const auto& [key, value] : whole.values()) {
      if (key != missing) file.set(key, value);
    }
    expect_refused(file, Container::gguf, missing);
  }
}

}  // namespace
}  // namespace fovea::model
