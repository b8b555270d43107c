#include "fovea/synthetic.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/half.h"
#include "files/gguf.h"
#include "fovea/error.h"
#include "support/temporary_folder.h"
#include "synthesis/filler_vocabulary.h"
#include "synthesis/quantization.h"
#include "synthesis/random_weights.h"
#include "synthesis/shape.h"
#include "synthesis/tensor_list.h"

namespace fovea::synthesis {
namespace {

class Folder : public testing_support::TemporaryFolder {
 public:
  std::string operator/(const std::string& name) const { return TemporaryFolder::operator/(name).string(); }
  bool is_empty() const { return std::filesystem::is_empty(string()); }
};

std::string bytes_in(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

SyntheticOptions tiny(const std::string& like, const std::string& quant) {
  SyntheticOptions options;
  options.like = like;
  options.quant = quant;
  options.layers = 2;
  options.vocabulary = 300;
  options.threads = 2;
  return options;
}

std::string written(const SyntheticOptions& options) {
  const Folder folder;
  write_synthetic_model(options, folder / "x.gguf");
  return bytes_in(folder / "x.gguf");
}

uint64_t hash_of(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
  return hash;
}

std::string error_of(const SyntheticOptions& options) {
  try {
    describe_synthetic_model(options);
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

// ---- the file

TEST(Synthetic, TheFileHasTheShapeThatWasAskedFor) {
  const Folder folder;
  const SyntheticModel model = write_synthetic_model(tiny("gemma3-270m", "q4_k_m"), folder / "x.gguf");
  EXPECT_EQ(model.name, "synthetic gemma3-270m q4_k_m, 2 layers, 300 tokens");
  const files::ModelFiles file = files::open_gguf(folder / "x.gguf");
  EXPECT_EQ(file.metadata.text("general.name"), model.name);
  EXPECT_EQ(file.metadata.integer("gemma3.block_count"), 2);
  EXPECT_EQ(file.metadata.integer("gemma3.attention.sliding_window"), 512);
  EXPECT_EQ(file.metadata.texts("tokenizer.ggml.tokens").size(), 300u);
  EXPECT_EQ(file.tensors.size(), 28u);
  EXPECT_EQ(static_cast<int>(file.tensors.size()), model.tensors);
  EXPECT_EQ(static_cast<int64_t>(bytes_in(folder / "x.gguf").size()), model.file_bytes);
  int64_t values = 0;
  for (const auto& [name, tensor] : file.tensors.all()) values += tensor.values();
  EXPECT_EQ(values, model.values);
  EXPECT_EQ(file.tensors.find("blk.1.attn_q.weight")->shape, (std::vector<int64_t>{1024, 640}));
}

TEST(Synthetic, EveryQuantizationOfEveryArchitectureOpens) {
  for (const char* like : {"gemma3-270m", "smollm2-135m", "llama3.2-1b"}) {
    for (const std::string_view quant : synthetic_quants()) {
      for (const bool pure : {false, true}) {
        if (std::string_view(like) == "llama3.2-1b" && quant != "q4_k_m") continue;  // large
        SyntheticOptions options = tiny(like, std::string(quant));
        options.layers = 1;
        options.pure = pure;
        const std::string file = written(options);
        const auto contents = files::parse_gguf(std::as_bytes(std::span(file)), "x.gguf");
        EXPECT_EQ(static_cast<int64_t>(file.size()), describe_synthetic_model(options).file_bytes);
        EXPECT_TRUE(contents.tensors.find("blk.0.ffn_down.weight")) << like << " " << quant;
      }
    }
  }
}

TEST(Synthetic, TheSameOptionsGiveTheSameBytesWithAnyNumberOfThreads) {
  SyntheticOptions options = tiny("gemma3-270m", "q4_k_m");
  const std::string file = written(options);
  options.threads = 1;
  EXPECT_EQ(written(options), file);
  EXPECT_EQ(hash_of(file), 15697391562030888662u) << "the bytes of a seed changed";
  options.seed = 1;
  const std::string other = written(options);
  EXPECT_EQ(other.size(), file.size());
  EXPECT_NE(other, file);
}

TEST(Synthetic, AShallowModelHasTheFirstLayersOfADeepOne) {
  SyntheticOptions options = tiny("smollm2-135m", "q8_0");
  const std::string shallow = written(options);
  options.layers = 3;
  const std::string deep = written(options);
  const auto few = files::parse_gguf(std::as_bytes(std::span(shallow)), "few");
  const auto many = files::parse_gguf(std::as_bytes(std::span(deep)), "many");
  for (const auto& [name, tensor] : few.tensors.all()) {
    const files::Tensor* same = many.tensors.find(name);
    ASSERT_TRUE(same) << name;
    EXPECT_TRUE(std::equal(tensor.bytes.begin(), tensor.bytes.end(), same->bytes.begin(), same->bytes.end())) << name;
  }
}

TEST(Synthetic, StoppingLeavesNothing) {
  const Folder folder;
  const auto stop = [](std::string_view, int64_t done, int64_t) { return done < 1'000'000; };
  EXPECT_THROW(write_synthetic_model(tiny("gemma3-270m", "q8_0"), folder / "x.gguf", stop), Stopped);
  EXPECT_TRUE(folder.is_empty());
}

TEST(Synthetic, WrongNamesListThoseThatExist) {
  const std::string shape = error_of(tiny("gemma3-5b", "q4_k_m"));
  for (const SyntheticShape& known : synthetic_shapes()) {
    EXPECT_NE(shape.find(std::string(known.name)), std::string::npos) << shape;
  }
  const std::string quant = error_of(tiny("gemma3-1b", "q4_k_x"));
  for (const std::string_view known : synthetic_quants()) {
    EXPECT_NE(quant.find(std::string(known)), std::string::npos) << quant;
  }
  EXPECT_NE(shape.find("'gemma3-5b'"), std::string::npos);
  EXPECT_NE(error_of(tiny("", "q8_0")).find("known are"), std::string::npos);
}

TEST(Synthetic, NumbersOutOfRangeAreRefused) {
  SyntheticOptions options = tiny("gemma3-270m", "q8_0");
  options.vocabulary = FillerVocabulary::kLeastTokens - 1;
  EXPECT_NE(error_of(options).find("--vocabulary"), std::string::npos);
  options = tiny("gemma3-270m", "q8_0");
  options.layers = -1;
  EXPECT_NE(error_of(options).find("--layers"), std::string::npos);
}

TEST(Synthetic, AliasesNameTheSameShape) {
  for (const SyntheticShape& shape : synthetic_shapes()) {
    if (shape.alias.empty()) continue;
    EXPECT_EQ(shape_named(shape.alias).name, shape.name);
  }
}

// Sums of the matrices of the published models.
TEST(Synthetic, SizesAreThoseOfTheModels) {
  const auto billions = [](const char* like) {
    SyntheticOptions options;
    options.like = like;
    return static_cast<double>(describe_synthetic_model(options).values) / 1e9;
  };
  EXPECT_NEAR(billions("gemma3-270m"), 0.268, 0.001);
  EXPECT_NEAR(billions("gemma3-1b"), 1.000, 0.001);
  EXPECT_NEAR(billions("gemma3-4b"), 3.88, 0.01);
  EXPECT_NEAR(billions("gemma3-12b"), 11.77, 0.01);
  EXPECT_NEAR(billions("gemma3-27b"), 27.01, 0.01);
  EXPECT_NEAR(billions("smollm2-135m"), 0.1345, 0.0001);
  EXPECT_NEAR(billions("smollm2-360m"), 0.3618, 0.0001);
  EXPECT_NEAR(billions("smollm2-1.7b"), 1.711, 0.001);
  EXPECT_NEAR(billions("llama3.2-1b"), 1.236, 0.001);
  EXPECT_NEAR(billions("llama3.2-3b"), 3.213, 0.001);
  EXPECT_NEAR(billions("llama3.1-8b"), 8.030, 0.001);
}

// ---- formats

std::string formats(const Shape& shape, const char* quant, const char* tensor) {
  std::string all;
  for (const PlannedTensor& planned : tensors_of(shape, quantization_named(quant), false)) {
    if (planned.tensor.name.find(tensor) == std::string::npos) continue;
    if (!all.empty()) all += " ";
    all += facts(planned.tensor.format).name;
  }
  return all;
}

Shape with_layers(const char* name, int layers) {
  Shape shape = shape_named(name);
  shape.layers = layers;
  return shape;
}

TEST(Quantization, MixtureSpendsMoreOnTheFirstAndTheLastEighthAndEveryThirdBetween) {
  const Shape shape = with_layers("gemma3-4b", 16);
  const std::string expected = "q6_k q6_k q4_k q4_k q6_k q4_k q4_k q6_k q4_k q4_k q6_k q4_k q4_k q6_k q6_k q6_k";
  EXPECT_EQ(formats(shape, "q4_k_m", "attn_v"), expected);
  EXPECT_EQ(formats(shape, "q4_k_m", "ffn_down"), expected);
  EXPECT_EQ(formats(with_layers("gemma3-4b", 1), "q4_k_m", "token_embd"), "q6_k");
  EXPECT_EQ(formats(with_layers("llama3.1-8b", 1), "q4_k_m", "token_embd"), "q4_k");
  EXPECT_EQ(formats(with_layers("llama3.1-8b", 1), "q4_k_m", "output.weight"),
            "q6_k q4_k");  // head, attn_output
}

// As in the published Gemma 3 270M (rows of 640 are no whole number of blocks of 256).
TEST(Quantization, RowsThatBlocksDoNotDivideGetSmallerBlocks) {
  const Shape shape = with_layers("gemma3-270m", 3);
  EXPECT_EQ(formats(shape, "q4_k_m", "token_embd"), "q8_0");
  EXPECT_EQ(formats(shape, "q4_k_m", "attn_q.weight"), "q5_0 q5_0 q5_0");
  EXPECT_EQ(formats(shape, "q4_k_m", "attn_output"), "q4_k q4_k q4_k");
  EXPECT_EQ(formats(with_layers("gemma3-270m", 18), "q4_k_m", "attn_v").substr(0, 14), "q8_0 q8_0 q5_0");
  EXPECT_EQ(formats(shape, "q5_k_s", "ffn_gate"), "q5_1 q5_1 q5_1");
  EXPECT_EQ(formats(shape, "q6_k", "ffn_gate"), "q8_0 q8_0 q8_0");
  EXPECT_EQ(formats(shape, "q2_k", "ffn_gate"), "iq4_nl iq4_nl iq4_nl");
}

TEST(Quantization, NormsAreNeverQuantized) {
  for (const Quantization& quantization : quantizations()) {
    for (const PlannedTensor& planned : tensors_of(with_layers("gemma3-1b", 2), quantization, true)) {
      if (planned.content == Content::weights) continue;
      EXPECT_EQ(planned.tensor.format, NumberFormat::f32);
    }
  }
}

// ---- weights

// The stored values of one block by the layouts of docs/formats.md; only formats whose scales are set by
// hand.
double value_q4_k(const uint8_t* p, int i) {
  const auto half = [&](int at) { return float_from_f16(static_cast<uint16_t>(p[at] | p[at + 1] << 8)); };
  const int part = i / 32, j = part % 4;
  const uint8_t* s = p + 4;
  const int scale = part < 4 ? s[j] & 63 : (s[j + 8] & 15) | (s[j] >> 6 << 4);
  const int minimum = part < 4 ? s[j + 4] & 63 : s[j + 8] >> 4 | (s[j + 4] >> 6 << 4);
  const uint8_t nibbles = p[16 + 32 * (part / 2) + i % 32];
  const int q = part % 2 ? nibbles >> 4 : nibbles & 15;
  return double{half(0)} * scale * q - double{half(2)} * minimum;
}

struct Moments {
  double mean = 0, deviation = 0;
};

template <typename ValueAt> Moments moments(int count, ValueAt value_at) {
  double sum = 0, squares = 0;
  for (int i = 0; i < count; ++i) {
    sum += value_at(i);
    squares += value_at(i) * value_at(i);
  }
  return {sum / count, std::sqrt(squares / count)};
}

std::vector<std::byte> weights(NumberFormat format, float deviation, size_t blocks) {
  std::vector<std::byte> bytes(blocks * facts(format).block_bytes);
  fill_weights(format, deviation, stream_of(0, "t"), 0, bytes);
  return bytes;
}

void expect_moments(const Moments& found, double deviation) {
  EXPECT_NEAR(found.mean / deviation, 0, 0.02);
  EXPECT_NEAR(found.deviation / deviation, 1, 0.02);
}

TEST(RandomWeights, HaveMeanZeroAndTheDeviationAskedFor) {
  constexpr float kDeviation = 0.02f;
  constexpr int kValues = 1 << 16;
  const auto plain = weights(NumberFormat::f32, kDeviation, kValues);
  expect_moments(moments(kValues, [&](int i) { return double{reinterpret_cast<const float*>(plain.data())[i]}; }), kDeviation);
  const auto halves = weights(NumberFormat::f16, kDeviation, kValues);
  expect_moments(moments(kValues, [&](int i) { return double{float_from_f16(reinterpret_cast<const uint16_t*>(halves.data())[i])}; }),
                 kDeviation);
  const auto blocks = weights(NumberFormat::q4_k, kDeviation, kValues / 256);
  const auto* p = reinterpret_cast<const uint8_t*>(blocks.data());
  expect_moments(moments(kValues, [&](int i) { return value_q4_k(p + i / 256 * 144, i % 256); }), kDeviation);
}

TEST(RandomWeights, DoNotDependOnHowATensorIsCut) {
  for (const NumberFormat format : {NumberFormat::f16, NumberFormat::q8_0, NumberFormat::q6_k, NumberFormat::q3_k}) {
    const auto whole = weights(format, 0.1f, 40);
    const size_t cut = 8 * facts(format).block_bytes;
    std::vector<std::byte> rest(whole.size() - cut);
    fill_weights(format, 0.1f, stream_of(0, "t"), cut, rest);
    EXPECT_EQ(std::memcmp(rest.data(), whole.data() + cut, rest.size()), 0);
  }
}

TEST(RandomWeights, SeedsAndNamesGiveDifferentStreams) {
  std::set<uint64_t> streams;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (const char* name : {"a", "b", "ab", "ba", ""}) streams.insert(stream_of(seed, name));
  }
  EXPECT_EQ(streams.size(), 500u);
}

TEST(RandomWeights, NormsAreNearOne) {
  std::vector<float> norm(1000);
  fill_norm(stream_of(0, "n"), norm);
  for (const float weight : norm) EXPECT_NEAR(weight, 1, 0.2);
  EXPECT_NE(norm[0], norm[1]);
}

// ---- vocabulary and rope

TEST(FillerVocabulary, TokensAreDistinctAndEachIsAShorterOneAndALetter) {
  for (const int count : {FillerVocabulary::kLeastTokens, 300, 40'000}) {
    const FillerVocabulary vocabulary = filler_vocabulary(count);
    ASSERT_EQ(vocabulary.tokens.size(), static_cast<size_t>(count));
    ASSERT_EQ(vocabulary.scores.size(), vocabulary.tokens.size());
    ASSERT_EQ(vocabulary.types.size(), vocabulary.tokens.size());
    const std::set<std::string> seen(vocabulary.tokens.begin(), vocabulary.tokens.end());
    EXPECT_EQ(seen.size(), vocabulary.tokens.size());
    for (size_t i = FillerVocabulary::kLeastTokens; i < seen.size(); ++i) {
      const std::string& token = vocabulary.tokens[i];
      if (token.size() == 1) continue;
      EXPECT_TRUE(seen.contains(token.substr(0, token.size() - 1))) << token;
      EXPECT_TRUE(seen.contains(token.substr(token.size() - 1))) << token;
    }
  }
}

// Expected values from transformers 5 (rope type "llama3") for the configuration of Llama 3.2 1B.
TEST(RopeDivisors, KeepShortWavesAndStretchLongOnes) {
  const std::vector<float> divisors = rope_divisors(shape_named("llama3.2-1b"));
  ASSERT_EQ(divisors.size(), 32u);
  for (size_t pair = 0; pair <= 14; ++pair) EXPECT_EQ(divisors[pair], 1);
  EXPECT_NEAR(divisors[15], 1.65133, 1e-5);
  EXPECT_NEAR(divisors[16], 3.29226, 1e-5);
  EXPECT_NEAR(divisors[17], 9.66673, 1e-5);
  for (size_t pair = 18; pair < 32; ++pair) EXPECT_EQ(divisors[pair], 32);
}

}  // namespace
}  // namespace fovea::synthesis
