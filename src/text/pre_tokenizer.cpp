#include "text/pre_tokenizer.h"

#include <algorithm>

#include "fovea/error.h"

namespace fovea::text {
namespace {

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kOneDigit = R"(\p{N})";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Files name the model they were first made for; many names share one way of cutting.
struct Family {
  std::vector<std::string_view> names;
  PreTokenizer pre_tokenizer;
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {{"gpt-2", "a.x-4.0", "exaone4", "gigachat", "granite-docling", "jais", "mellum", "mpt", "olmo",
        "phi-2", "trillion"},
       {{kGpt2}, false, false}},
      {{"smollm", "codeshell", "command-r", "exaone", "mellum2", "minerva-7b", "refact", "starcoder"},
       {{kOneDigit, kGpt2}, false, false}},
      {{"llama-bpe", "falcon-h1", "falcon3", "lfm2", "llama-v3", "llama3", "midm-2.0", "pixtral"},
       {{kLlama3}, true, true}},
      {{"chatglm-bpe", "dbrx", "glm4", "smaug-bpe"}, {{kLlama3}, false, false}},
      {{"qwen2", "deepseek-r1-qwen", "f2llmv2", "grok-2", "hunyuan", "kormo", "megrez", "solar-open",
        "stablelm2"},
       {{kQwen2}, false, false}},
      {{"default"}, {{R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}, false, false}},
  };
  return all;
}

std::string known_names() {
  std::string names;
  for (const Family& family : families()) {
    for (const std::string_view name : family.names) names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

}  // namespace

PreTokenizer pre_tokenizer_named(std::string_view name, const std::string& source) {
  for (const Family& family : families()) {
    if (std::find(family.names.begin(), family.names.end(), name) != family.names.end())
      return family.pre_tokenizer;
  }
  throw Error("pre-tokenizer \"" + std::string(name) + "\" is not known", source,
              "known are " + known_names());
}

}  // namespace fovea::text
