#include "fovea/options.h"

#include <array>

#include "fovea/error.h"
#include "fovea/request.h"

namespace fovea {
namespace {

constexpr std::array<std::string_view, 3> kCodecNames = {"f32", "f16", "bf16"};  // in the order of KvCodec

constexpr std::array<std::string_view, 4> kPolicyNames = {"none", "streaming", "h2o", "scissorhands"};  // of EvictionPolicy

}  // namespace

EvictionPolicy eviction_policy_from_name(std::string_view name) {
  for (size_t i = 0; i < kPolicyNames.size(); ++i) {
    if (kPolicyNames[i] == name) return static_cast<EvictionPolicy>(i);
  }
  throw Error("no way to forget is called '" + std::string(name) + "'", "", "choose none, streaming, h2o or scissorhands");
}

std::string_view name_of(EvictionPolicy policy) { return kPolicyNames[static_cast<size_t>(policy)]; }

KvCodec kv_codec_from_name(std::string_view name) {
  for (size_t i = 0; i < kCodecNames.size(); ++i) {
    if (kCodecNames[i] == name) return static_cast<KvCodec>(i);
  }
  throw Error("no K/V codec is called '" + std::string(name) + "'", "", "choose f32, f16 or bf16");
}

std::string_view name_of(KvCodec codec) { return kCodecNames[static_cast<size_t>(codec)]; }

std::string_view name_of(FinishReason reason) {
  constexpr std::array<std::string_view, 4> kNames = {"none", "stop", "length", "cancelled"};
  return kNames[static_cast<size_t>(reason)];
}

}  // namespace fovea
