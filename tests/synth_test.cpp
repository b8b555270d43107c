// Synthetic models through the whole engine: they load, their text side works, and numbers stay in range.
#include <gtest/gtest.h>

#include <cmath>

#include "files/model_files.h"
#include "fovea/engine.h"
#include "fovea/synthetic.h"
#include "model/registry.h"
#include "support/temporary_folder.h"

namespace fovea {
namespace {

using testing_support::TemporaryFolder;

constexpr int kTokens = 300;

SyntheticOptions tiny(const std::string& like, const std::string& quant) {
  SyntheticOptions options;
  options.like = like;
  options.quant = quant;
  options.layers = 2;
  options.vocabulary = kTokens;
  return options;
}

// Root mean square of all logits of a short prompt; NaN if any is not finite.
double logit_size(const std::string& path) {
  EngineOptions options;
  options.context_tokens = 32;
  Engine engine(Model::load(path), options);
  double squares = 0;
  int count = 0;
  Request request;
  request.prompt = {2, 17, 299, 42, 42, 260, 100};
  request.on_logits = [&](int, std::span<const float> logits) {
    for (const float logit : logits) squares += double{logit} * logit;
    count += static_cast<int>(logits.size());
  };
  engine.generate(request, [](int32_t) { return true; });
  EXPECT_EQ(count, 7 * kTokens);
  return std::sqrt(squares / count);
}

TEST(Synth, LogitsAreOfSizeOneInEveryQuantization) {
  for (const char* like : {"gemma3-270m", "smollm2-135m"}) {
    for (const std::string_view quant : synthetic_quants()) {
      const TemporaryFolder folder;
      write_synthetic_model(tiny(like, std::string(quant)), folder / "x.gguf");
      const double size = logit_size(folder / "x.gguf");
      EXPECT_GT(size, 0.5) << like << " " << quant;
      EXPECT_LT(size, 4) << like << " " << quant;
    }
  }
}

TEST(Synth, TheSpecIsThatOfTheOriginal) {
  const TemporaryFolder folder;
  SyntheticOptions options = tiny("gemma3-1b", "q8_0");
  options.layers = 6;
  write_synthetic_model(options, folder / "x.gguf");
  const files::ModelFiles file = files::open_model(folder / "x.gguf");
  const model::ModelSpec spec = model::read_spec(file.metadata, file.container);
  EXPECT_EQ(spec.family, "gemma3");
  EXPECT_EQ(spec.name, "synthetic gemma3-1b q8_0, 6 layers, 300 tokens");
  EXPECT_EQ(spec.hidden, 1152);
  EXPECT_EQ(spec.vocabulary, kTokens);
  EXPECT_EQ(spec.context_tokens, 32768);
  ASSERT_EQ(spec.layers.size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    const model::AttentionSpec& attention = spec.layers[i].attention;
    EXPECT_EQ(attention.window, i == 5 ? model::kWholePast : 512);
    EXPECT_EQ(attention.q_heads, 4);
    EXPECT_EQ(attention.kv_heads, 1);
    EXPECT_EQ(attention.head_dim, 256);
    EXPECT_EQ(spec.layers[i].feed_forward.width, 6912);
    EXPECT_EQ(spec.ropes.at(static_cast<size_t>(attention.rope)).base, i == 5 ? 1e6f : 1e4f);
  }
}

TEST(Synth, TextGoesThroughTheTokenizerAndBack) {
  const TemporaryFolder folder;
  for (const int vocabulary : {261, 300, 5000}) {
    SyntheticOptions options = tiny("smollm2-135m", "q8_0");
    options.vocabulary = vocabulary;
    write_synthetic_model(options, folder / "x.gguf");
    const auto model = Model::load_text(folder / "x.gguf");
    for (const char* text : {"The sea at night is dark.", " two  spaces\n\ttab", "Grüße 🌍 <0x41>", ""}) {
      const std::vector<int32_t> tokens = model->tokenize(text);
      EXPECT_EQ(tokens.front(), 2);
      for (const int32_t token : tokens) EXPECT_LT(token, vocabulary);
      EXPECT_EQ(model->detokenize(tokens), text);
    }
  }
}

}  // namespace
}  // namespace fovea
