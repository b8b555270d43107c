#include "fovea/options.h"

#include <array>
#include <string>

#include "fovea/error.h"
#include "fovea/request.h"

namespace fovea {
namespace {

constexpr std::array<std::string_view, 4> kPolicyNames = {"none", "streaming", "h2o", "scissorhands"};  // of EvictionPolicy

}  // namespace

EvictionPolicy eviction_policy_from_name(std::string_view name) {
  for (size_t i = 0; i < kPolicyNames.size(); ++i) {
    if (kPolicyNames[i] == name) return static_cast<EvictionPolicy>(i);
  }
  throw Error("no way to forget is called '" + std::string(name) + "'", "", "choose none, streaming, h2o or scissorhands");
}

std::string_view name_of(EvictionPolicy policy) { return kPolicyNames[static_cast<size_t>(policy)]; }

std::string_view name_of(FinishReason reason) {
  constexpr std::array<std::string_view, 6> kNames = {"none", "stop", "length", "cancelled", "failed", "expired"};
  return kNames[static_cast<size_t>(reason)];
}

}  // namespace fovea
