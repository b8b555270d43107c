#include "serve/page_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fovea/error.h"
#include "serve/json_fields.h"

namespace fovea::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kFirstContext = 512, kLeastLastContext = 131072;  // of the curve
constexpr int kMostWindow = 1 << 24, kMostHeads = 4096, kMostRatio = 999;

std::optional<std::pair<int, int>> ratio_of(Fields& fields) {
  const json* ratio = fields.find("ratio");
  if (!ratio) return std::nullopt;
  const auto part = [&](size_t i) {
    const json& value = ratio->at(i);
    return value.is_number_unsigned() && value.get<uint64_t>() <= kMostRatio ? value.get<int>() : -1;
  };
  if (!ratio->is_array() || ratio->size() != 2 || part(0) < 0 || part(1) < 0 || part(0) + part(1) == 0) {
    fields.wrong_type("ratio", "two whole numbers, of local and of global layers");
  }
  return std::pair(part(0), part(1));
}

std::optional<int> small(std::optional<int64_t> value) { return value ? std::optional(static_cast<int>(*value)) : std::nullopt; }

PlanOptions options_of(Fields& fields) {
  PlanOptions options;
  options.context_tokens = static_cast<int>(fields.integer("context", 1, EngineLimits::kMostContextTokens).value_or(0));
  options.sequences = static_cast<int>(fields.integer("sequences", 1, EngineLimits::kMostSequences).value_or(1));
  options.kv_local = fields.text("kv_local").value_or(options.kv_local);
  options.kv_global = fields.text("kv_global").value_or(options.kv_global);
  options.weights = fields.text("weights").value_or("");
  options.what_if.ratio = ratio_of(fields);
  options.what_if.window = small(fields.integer("window", 1, kMostWindow));
  options.what_if.kv_heads = small(fields.integer("kv_heads", 1, kMostHeads));
  options.what_if.k_eq_v = fields.boolean("k_eq_v");
  return options;
}

// The same model, context and number of sequences without a change of the model, at the usual codecs.
PlanOptions as_it_is(const PlanOptions& options) {
  PlanOptions plain;
  plain.context_tokens = options.context_tokens;
  plain.sequences = options.sequences;
  return plain;
}

ordered_json layers_json(const Plan& plan) {
  ordered_json layers = ordered_json::array();
  for (const PlanLayer& layer : plan.layers) {
    layers.push_back({{"kind", layer.kind},
                      {"window", layer.window ? ordered_json(*layer.window) : ordered_json()},
                      {"shares_with", layer.shares_with ? ordered_json(*layer.shares_with) : ordered_json()},
                      {"bytes", 0}});
  }
  for (const PlanGroup& group : plan.groups) {  // a layer may be in two: of all it sees, and of its newest tokens
    for (const int layer : group.layers) {
      ordered_json& bytes = layers[static_cast<size_t>(layer)]["bytes"];
      bytes = bytes.get<int64_t>() + group.bytes / static_cast<int64_t>(group.layers.size());
    }
  }
  return layers;
}

// Powers of two and what lies half way between, on that scale.
std::vector<int> contexts_to(int last) {
  std::vector<int> contexts;
  for (int i = 0;; ++i) {
    const int context = static_cast<int>(std::lround(kFirstContext * std::exp2(i / 2.0)));
    if (context > last) return contexts;
    contexts.push_back(context);
  }
}

ordered_json curve_json(const Planner& planner, PlanOptions options) {
  ordered_json curve = {
      {"context", json::array()}, {"kv_bytes", json::array()}, {"as_is_bytes", json::array()}, {"all_global_bytes", json::array()}};
  for (const int context :
       contexts_to(std::max(kLeastLastContext, 2 * std::min(options.context_tokens, EngineLimits::kMostContextTokens / 2)))) {
    options.context_tokens = context;
    const Plan plan = planner.plan(options), plain = planner.plan(as_it_is(options));
    curve["context"].push_back(context);
    curve["kv_bytes"].push_back(plan.kv_bytes);
    curve["as_is_bytes"].push_back(plain.kv_bytes);
    curve["all_global_bytes"].push_back(plain.kv_all_global_bytes);
  }
  return curve;
}

}  // namespace

ordered_json PagePlanner::choices() const {
  ordered_json object = {{"models", ordered_json::array()}, {"codecs", ordered_json::array()}, {"weights", kPlanWeights}};
  for (const auto& [name, path] : own_) object["models"].push_back(name);
  for (const KnownConfiguration& known : known_configurations()) object["models"].push_back(known.name);
  for (const KvCodecFacts& codec : kv_codec_facts()) object["codecs"].push_back(codec.name);
  return object;
}

const Planner& PagePlanner::planner_of(const std::string& model) {
  const std::lock_guard lock(mutex_);
  if (const auto open = planners_.find(model); open != planners_.end()) return open->second;
  const std::vector<KnownConfiguration>& known = known_configurations();
  const auto own =
      model.empty() ? own_.begin() : std::find_if(own_.begin(), own_.end(), [&](const auto& one) { return one.first == model; });
  const bool is_own = own != own_.end();
  if (!is_own && std::none_of(known.begin(), known.end(), [&](const KnownConfiguration& one) { return one.name == model; })) {
    throw ApiError(404, "invalid_request_error", fmt::format("No configuration '{}' is built in.", model.substr(0, 128)), "model",
                   "model_not_found");
  }
  return planners_.emplace(model, Planner::open(is_own ? own->second : model)).first->second;
}

namespace {

// Where the file lies is the server's own business.
ordered_json without_source(const Plan& plan) {
  ordered_json object = ordered_json::parse(json_text(plan));
  object.erase("source");
  return object;
}

}  // namespace

ordered_json PagePlanner::plan(const json& body) {
  Fields fields(body);
  const Planner& planner = planner_of(fields.text("model").value_or(""));
  const PlanOptions options = options_of(fields);
  fields.refuse_others();
  const Plan plan = planner.plan(options), plain = planner.plan(as_it_is(options));
  PlanOptions settled = options;
  settled.context_tokens = plan.context_tokens;
  const int64_t memory = free_memory_bytes();
  return {{"plan", without_source(plan)}, {"as_is", without_source(plain)},     {"layers", layers_json(plan)},
          {"memory_bytes", memory},       {"fits", plan.total_bytes <= memory}, {"curve", curve_json(planner, settled)}};
}

}  // namespace fovea::serve
