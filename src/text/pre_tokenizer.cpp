#include "text/pre_tokenizer.h"

#include <algorithm>

#include "fovea/error.h"

namespace fovea::text {
namespace {

constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kOneDigit = R"(\p{N})";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kThreeDigits = R"(\p{N}{1,3})";
constexpr std::string_view kCjk = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+";
constexpr std::string_view kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Files name the model they were first made for; many names share one way of cutting.
struct Family {
  std::vector<std::string_view> names;
  PreTokenizer pre_tokenizer;
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {{"gpt-2", "a.x-4.0", "exaone4", "gigachat", "granite-docling", "jais", "mellum", "mpt", "olmo", "phi-2", "trillion"},
       {{kGpt2}, false, false}},
      {{"smollm", "codeshell", "command-r", "exaone", "mellum2", "minerva-7b", "refact", "starcoder"}, {{kOneDigit, kGpt2}, false, false}},
      {{"llama-bpe", "falcon-h1", "falcon3", "lfm2", "llama-v3", "llama3", "midm-2.0", "pixtral"}, {{kLlama3}, true, true}},
      {{"dbrx", "chatglm-bpe", "glm4", "smaug-bpe"}, {{kLlama3}, false, false}},
      {{"qwen2", "deepseek-r1-qwen", "f2llmv2", "grok-2", "hunyuan", "kormo", "megrez", "solar-open", "stablelm2"},
       {{kQwen2}, false, false}},
      {{"gpt-4o", "llama4", "kanana2"}, {{kO200k}, false, false}},
      {{"tekken"}, {{kTekken}, true, true}},
      {{"deepseek-v3", "deepseek-r1", "hunyuan-dense"}, {{kThreeDigits, kCjk, kDeepseek3}, false, false}},
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

std::string_view pre_tokenizer_name(const std::vector<std::string>& splits, bool whole_words) {
  for (const Family& family : families()) {
    const PreTokenizer& known = family.pre_tokenizer;
    const bool same = std::equal(known.splits.begin(), known.splits.end(), splits.begin(), splits.end());
    if (same && known.whole_words == whole_words) return family.names.front();
  }
  return {};
}

PreTokenizer pre_tokenizer_named(std::string_view name, const std::string& source) {
  for (const Family& family : families()) {
    if (std::find(family.names.begin(), family.names.end(), name) != family.names.end()) return family.pre_tokenizer;
  }
  throw Error("pre-tokenizer \"" + std::string(name) + "\" is not known", source, "known are " + known_names());
}

}  // namespace fovea::text
