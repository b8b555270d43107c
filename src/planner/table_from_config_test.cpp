// Configurations of families that nobody here computes still say where memory goes.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fovea/error.h"
#include "fovea/plan.h"
#include "support/temporary_folder.h"

namespace fovea {
namespace {

using nlohmann::json;

int64_t kv_bytes_of(const json& config, int context) {
  const testing_support::TemporaryFolder folder;
  std::ofstream(folder / "config.json") << config;
  PlanOptions options;
  options.context_tokens = context;
  return Planner::open((folder / "config.json").string()).plan(options).kv_bytes;
}

json base() {
  return {{"model_type", "a-family-of-tomorrow"},
          {"hidden_size", 512},
          {"intermediate_size", 1024},
          {"num_hidden_layers", 12},
          {"num_attention_heads", 8},
          {"vocab_size", 1000},
          {"max_position_embeddings", 65536}};
}

json with(json config, const json& more) {
  config.update(more);
  return config;
}

constexpr int kContext = 16384;

TEST(Config, WithoutAWindowIsAllGlobal) {
  EXPECT_EQ(kv_bytes_of(base(), kContext), int64_t{12} * 2 * 512 * 2 * kContext);
  EXPECT_EQ(kv_bytes_of(with(base(), {{"num_key_value_heads", 2}}), kContext), int64_t{12} * 2 * 128 * 2 * kContext);
}

TEST(Config, ListsItsLayersOrTheirPeriod) {
  const int64_t layer_token = 2 * 512 * 2, expected = layer_token * (2 * kContext + 10 * 256);
  EXPECT_EQ(kv_bytes_of(with(base(), {{"sliding_window", 256}, {"sliding_window_pattern", 6}}), kContext), expected);
  json types = json::array();
  for (int i = 0; i < 12; ++i) types.push_back(i % 6 == 5 ? "full_attention" : "sliding_attention");
  EXPECT_EQ(kv_bytes_of(with(base(), {{"sliding_window", 256}, {"layer_types", types}}), kContext), expected);
  EXPECT_THROW(kv_bytes_of(with(base(), {{"layer_types", {"full_attention"}}}), kContext), Error);
}

TEST(Config, NamesCompressedSharedAndRecurrentState) {
  const json latent = {{"kv_lora_rank", 128}, {"qk_rope_head_dim", 32}, {"qk_nope_head_dim", 64}, {"v_head_dim", 64}};
  EXPECT_EQ(kv_bytes_of(with(base(), latent), kContext), int64_t{12} * 160 * 2 * kContext);
  EXPECT_EQ(kv_bytes_of(with(base(), {{"num_kv_shared_layers", 4}}), kContext), int64_t{8} * 2 * 512 * 2 * kContext);
  const json recurrent = {{"attn_layer_period", 4}, {"attn_layer_offset", 1}};
  EXPECT_EQ(kv_bytes_of(with(base(), recurrent), kContext), int64_t{3} * 2 * 512 * 2 * kContext + int64_t{9} * 1024 * 19 * 4);
}

TEST(Config, OfAbsurdSizesIsRefused) {
  for (const char* key : {"hidden_size", "num_attention_heads", "head_dim", "num_key_value_heads", "intermediate_size"}) {
    json config = with(base(), {{"hidden_size", 1 << 20}, {"head_dim", 1 << 20}, {"num_attention_heads", 1 << 20}});
    config[key] = 1 << 24;
    EXPECT_THROW(kv_bytes_of(config, kContext), Error) << key;
  }
  const json mixture = {{"num_experts", 8}, {"moe_intermediate_size", 1 << 20}, {"n_shared_experts", 1 << 20}};
  EXPECT_THROW(kv_bytes_of(with(base(), mixture), kContext), Error);
  const json states = {{"attn_layer_period", 4}, {"hidden_size", 1 << 20}, {"mamba_expand", 1 << 20}};
  EXPECT_THROW(kv_bytes_of(with(base(), states), kContext), Error);
}

TEST(Config, MissesNothingQuietly) {
  for (const char* key : {"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"}) {
    json config = base();
    config.erase(key);
    EXPECT_THROW(kv_bytes_of(config, kContext), Error) << key;
    config[key] = -1;
    EXPECT_THROW(kv_bytes_of(config, kContext), Error) << key;
  }
}

}  // namespace
}  // namespace fovea
