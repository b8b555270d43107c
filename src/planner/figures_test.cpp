// Figures carry their numbers, and show them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "fovea/plan.h"

namespace fovea {
namespace {

using nlohmann::json;

json data_of(const std::string& svg) {
  const std::string open = "<metadata>", close = "</metadata>";
  const size_t begin = svg.find(open) + open.size();
  const std::string text = svg.substr(begin, svg.find(close) - begin);
  return json::parse(std::regex_replace(text, std::regex("&quot;"), "\""));
}

bool shows(const std::string& svg, const std::string& text) { return svg.find(">" + text + "<") != std::string::npos; }

TEST(Figures, MemoryHoldsThePlansOfEveryContext) {
  std::vector<Planner> models;
  for (const char* name : {"gemma3-4b", "llama3-8b"}) models.push_back(Planner::open(name));
  const std::string svg = memory_figure(models, {});
  const json data = data_of(svg);
  EXPECT_EQ(data.at("unit"), "bytes");
  ASSERT_EQ(data.at("series").size(), 2u);
  const json& first = data.at("series").at(0);
  ASSERT_EQ(first.at("context").size(), 8u);
  for (size_t i = 0; i < 8; ++i) {
    PlanOptions options{.context_tokens = first.at("context").at(i).get<int>()};
    EXPECT_EQ(first.at("kv_bytes").at(i), models[0].plan(options).kv_bytes);
  }
  for (const char* text : {"gemma3-4b", "llama3-8b", "context, tokens", "128k", "16.0 GiB", "if all layers were global"}) {
    EXPECT_TRUE(shows(svg, text)) << text;
  }
}

TEST(Figures, BarsFallWithEveryLocalLayerAndSmallerWindow) {
  const std::string svg = bars_figure(Planner::open("gemma3-4b"), {.weights = "q4_k_m"});
  const json bars = data_of(svg).at("bars");
  ASSERT_EQ(bars.size(), 5u);
  int64_t before = INT64_MAX;
  for (const json& bar : bars) {
    const int64_t kv = bar.at("kv_local_bytes").get<int64_t>() + bar.at("kv_global_bytes").get<int64_t>();
    EXPECT_LT(kv, before);
    EXPECT_EQ(bar.at("weights_bytes"), bars.at(0).at("weights_bytes"));
    before = kv;
  }
  EXPECT_EQ(bars.at(0).at("kv_global_bytes"), int64_t{4352} << 20);
  EXPECT_TRUE(shows(svg, "global only") && shows(svg, "window 1024") && shows(svg, "weights"));
}

TEST(Figures, LayersTellWhatEachKeeps) {
  const std::string svg = layers_figure(Planner::open("gemma4-e4b"), {.context_tokens = 32768});
  const json layers = data_of(svg).at("layers");
  ASSERT_EQ(layers.size(), 42u);
  EXPECT_EQ(layers.at(5).at("bytes"), int64_t{128} << 20);
  EXPECT_EQ(layers.at(0).at("bytes"), 512 * 2048);
  EXPECT_EQ(layers.at(24).at("shares_with"), 22);
  EXPECT_EQ(layers.at(29).at("shares_with"), 23);
  EXPECT_EQ(layers.at(24).at("bytes"), 0);
  EXPECT_TRUE(shows(svg, "local, window 512") && shows(svg, "global"));
}

TEST(Figures, AreWellFormedWhateverAModelIsCalled) {
  const std::string svg = layers_figure(Planner::open("lesson-30"), {});
  int depth = 0;
  for (size_t at = svg.find('<'); at != std::string::npos; at = svg.find('<', at + 1)) {
    const size_t end = svg.find('>', at);
    ASSERT_NE(end, std::string::npos);
    if (svg[at + 1] == '/') --depth;
    else if (svg[end - 1] != '/') ++depth;
    ASSERT_GE(depth, 0);
  }
  EXPECT_EQ(depth, 0);
  EXPECT_NE(as_html(svg, "t").find(svg), std::string::npos);
}

}  // namespace
}  // namespace fovea
