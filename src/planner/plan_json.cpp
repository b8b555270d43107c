#include <nlohmann/json.hpp>

#include "fovea/plan.h"

namespace fovea {
namespace {

nlohmann::ordered_json group_json(const PlanGroup& group) {
  return {{"kind", group.kind},
          {"layers", group.layers},
          {"window", group.window ? nlohmann::ordered_json(*group.window) : nlohmann::ordered_json()},
          {"kv_heads", group.kv_heads},
          {"head_dim", group.head_dim},
          {"codec", group.codec},
          {"one_stream", group.one_stream},
          {"bytes_per_token", group.bytes_per_token},
          {"bytes", group.bytes},
          {"page_slack_bytes", group.page_slack_bytes},
          {"chunk_bytes", group.chunk_bytes},
          {"pinned_bytes", group.pinned_bytes},
          {"all_global_bytes", group.all_global_bytes},
          {"read_bytes_per_token", group.read_bytes}};
}

}  // namespace

std::string json_text(const Plan& plan) {
  nlohmann::ordered_json object = {
      {"model", plan.model},
      {"family", plan.family},
      {"source", plan.source},
      {"context", plan.context_tokens},
      {"sequences", plan.sequences},
      {"shared_prefix", plan.shared_prefix_tokens},
      {"chunk", plan.chunk_tokens},
      {"threads", plan.threads},
      {"weights_format", plan.weights_format},
      {"weights_bytes", plan.weights_bytes},
      {"kv_bytes", plan.kv_bytes},
      {"page_slack_bytes", plan.page_slack_bytes},
      {"chunk_bytes", plan.chunk_bytes},
      {"pinned_bytes", plan.pinned_bytes},
      {"retained_bytes", plan.retained_bytes},
      {"kv_all_global_bytes", plan.kv_all_global_bytes},
      {"kv_share", plan.total_bytes > 0 ? static_cast<double>(plan.kv_bytes) / static_cast<double>(plan.total_bytes) : 0.0},
      {"scratch_bytes", plan.scratch_bytes},
      {"vocabulary_bytes", plan.vocabulary_bytes},
      {"program_bytes", plan.program_bytes},
      {"total_bytes", plan.total_bytes},
      {"read_bytes_per_token", plan.read_bytes},
      {"not_computed", plan.not_computed}};
  object["weights"] = nlohmann::ordered_json::array();
  for (const PlanWeights& part : plan.weights) {
    object["weights"].push_back(
        {{"kind", part.kind}, {"values", part.values}, {"bytes", part.bytes}, {"read_bytes_per_token", part.read_bytes}});
  }
  object["groups"] = nlohmann::ordered_json::array();
  for (const PlanGroup& group : plan.groups) object["groups"].push_back(group_json(group));
  return object.dump();
}

}  // namespace fovea
