// A plan as people and programs read it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "fovea/plan.h"

namespace fovea::cli {

struct PlanSpeed {
  double read_gb_per_s = 0;
  double tokens_per_s = 0;
};

std::string plan_table(const Plan& plan, const std::optional<PlanSpeed>& speed, int64_t memory_bytes);
std::string plan_lines(const Plan& plan, int64_t memory_bytes);  // the same in three lines
// These lines on stderr, for whoever watches a program begin; nothing where nobody does.
void show_plan(const Plan& plan);
std::string kinds_table(const std::vector<AttentionKindRow>& rows);
std::string changes_table(const std::vector<PlanChange>& changes);

nlohmann::ordered_json json_of(const Plan& plan);
nlohmann::ordered_json json_of(const PlanChange& change);

}  // namespace fovea::cli
