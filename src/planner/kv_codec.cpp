#include "planner/kv_codec.h"

#include <array>
#include <string>

#include "fovea/error.h"

namespace fovea {

// The one place for bytes per value. Block codecs keep an f16 scale (or norm) per block.
const std::vector<KvCodecFacts>& kv_codec_facts() {
  constexpr std::string_view kUnknown = "not measured: this engine does not compute with it";
  static const std::vector<KvCodecFacts> kFacts = {
      {"f32", 1, 4, true, "none: the reference"}, {"f16", 1, 2, true, "rounding to 11 bits"},
      {"bf16", 1, 2, true, "rounding to 8 bits"}, {"fp8", 1, 1, false, kUnknown},
      {"int8", 32, 34, false, kUnknown},          {"int4", 32, 18, false, kUnknown},
      {"tq4", 128, 66, false, kUnknown},  // rotation and codebook, 4, 3 or 2 bits and a norm per 128 values
      {"tq3", 128, 50, false, kUnknown},          {"tq2", 128, 34, false, kUnknown},
  };
  return kFacts;
}

namespace planner {
namespace {

constexpr std::array<std::pair<KvCodec, std::string_view>, 3> kEngineCodecs = {
    {{KvCodec::f32, "f32"}, {KvCodec::f16, "f16"}, {KvCodec::bf16, "bf16"}}};

}  // namespace

const KvCodecFacts& codec_named(std::string_view name) {
  std::string names;
  for (const KvCodecFacts& codec : kv_codec_facts()) {
    if (codec.name == name) return codec;
    names += (names.empty() ? "" : ", ") + std::string(codec.name);
  }
  throw Error("no K/V codec is called '" + std::string(name) + "'", "", "choose one of " + names);
}

std::optional<KvCodec> engine_codec(const KvCodecFacts& codec) {
  for (const auto& [engine, name] : kEngineCodecs) {
    if (name == codec.name) return engine;
  }
  return std::nullopt;
}

std::string_view codec_name(KvCodec codec) {
  for (const auto& [engine, name] : kEngineCodecs) {
    if (engine == codec) return name;
  }
  return "";
}

int64_t codec_bytes(const KvCodecFacts& codec, int64_t values) {
  return (values + codec.block_values - 1) / codec.block_values * codec.block_bytes;
}

}  // namespace planner
}  // namespace fovea
