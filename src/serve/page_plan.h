// What the planner says of settings that the page's sliders have, as JSON.
#pragma once

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "fovea/plan.h"

namespace fovea::serve {

// threads  any
class PagePlanner {
 public:
  using Models = std::vector<std::pair<std::string, std::string>>;  // names and files

  // own: the models that are served. Others are the built-in configurations, by name: no path comes from a request
  explicit PagePlanner(Models own) : own_(std::move(own)) {}

  nlohmann::ordered_json choices() const;  // models, codecs, formats
  // The plan of a request's settings, layer by layer, and keys and values against context: with them, and as the model is.
  // errors: ApiError
  nlohmann::ordered_json plan(const nlohmann::json& body);

 private:
  const Planner& planner_of(const std::string& model);

  const Models own_;  // at least one
  std::mutex mutex_;
  std::map<std::string, Planner> planners_;  // opened so far; in place for life
};

}  // namespace fovea::serve
