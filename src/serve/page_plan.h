// What the planner says of settings that the page's sliders have, as JSON.
#pragma once

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "fovea/plan.h"

namespace fovea::serve {

// threads  any
class PagePlanner {
 public:
  // own: the model that is served, by name and file. Others are the built-in configurations, by name: no path comes from a request
  PagePlanner(std::string own_name, std::string own_path) : own_name_(std::move(own_name)), own_path_(std::move(own_path)) {}

  nlohmann::ordered_json choices() const;  // models, codecs, formats
  // The plan of a request's settings, layer by layer, and keys and values against context: with them, and as the model is.
  // errors: ApiError
  nlohmann::ordered_json plan(const nlohmann::json& body);

 private:
  const Planner& planner_of(const std::string& model);

  std::string own_name_, own_path_;
  std::mutex mutex_;
  std::map<std::string, Planner> planners_;  // opened so far; in place for life
};

}  // namespace fovea::serve
