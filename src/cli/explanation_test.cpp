#include "cli/explanation.h"

#include <gtest/gtest.h>

#include "cli/layer_table.h"

namespace fovea::cli {
namespace {

LayerFacts layer(int index, const char* kind) {
  LayerFacts facts;
  facts.index = index;
  facts.kind = kind;
  facts.q_heads = 8;
  facts.kv_heads = 2;
  facts.head_dim = facts.rope_dims = 64;
  facts.rope_base = 10000;
  facts.cache_bytes_per_token = 512;
  return facts;
}

ModelFacts one_of_each() {
  ModelFacts facts;
  facts.name = "tiny";
  facts.layers = {layer(0, "local"), layer(1, "global"), layer(2, "local"), layer(3, "state"), layer(4, "latent")};
  facts.layers[0].window = facts.layers[2].window = 128;
  facts.layers[1].rope_base = 0;
  facts.layers[1].sinks = true;
  facts.layers[1].experts = 32;
  facts.layers[1].experts_used = 4;
  facts.layers[2].shares_with = 0;
  facts.layers[2].cache_bytes_per_token = 0;
  facts.layers[3] = {};
  facts.layers[3].index = 3;
  facts.layers[3].kind = "state";
  facts.layers[3].state_bytes = 2048;
  facts.layers[1].values_in_keys = facts.layers[4].values_in_keys = true;
  return facts;
}

void expect_says(const std::string& text, const std::string& words) {
  EXPECT_NE(text.find(words), std::string::npos) << words << "\nis not in\n" << text;
}

TEST(Explanation, ShowsOneLetterPerLayerAndASmallOneWhereNothingIsKept) { expect_says(explanation_of(one_of_each()), "0  LGlSN\n"); }

TEST(Explanation, SaysWhatEachKindOfLayerSeesKeepsAndShares) {
  const std::string text = explanation_of(one_of_each());
  expect_says(text, "see the newest 128 tokens");
  expect_says(text, "see the whole past");
  expect_says(text, "no positional encoding");
  expect_says(text, "a sink per head");
  expect_says(text, "4 of 32 experts");
  expect_says(text, "they read the keys and values of layer 0");
  expect_says(text, "whatever the length");
  expect_says(text, "one narrow row stands for the keys and values of all heads");
  expect_says(text, "one is stored for both");
}

TEST(LayerTable, HasAColumnForWhatIsUnusualWhereAnythingIs) {
  const std::string table = layer_table(one_of_each().layers);
  expect_says(table, "also");
  expect_says(table, "sinks, 4 of 32 experts");
  EXPECT_EQ(layer_table({layer(0, "global")}).find("also"), std::string::npos);
}

}  // namespace
}  // namespace fovea::cli
