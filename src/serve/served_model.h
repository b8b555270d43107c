// What a server knows of a model that it offers, whether it is loaded or not.
#pragma once

#include <string>

#include "fovea/model.h"
#include "fovea/server.h"

namespace fovea::serve {

struct ServedModel {
  OfferedModel offered;  // its engine's options with nothing left open
  ModelFacts facts;
  bool has_chat_template = false;
  bool resident = false;   // is never put away
  int64_t plan_bytes = 0;  // that it takes while it is loaded
};

// From files' heads and the planner, without weights. memory_bytes: that it has to fit alone. errors: Error
ServedModel look_up(OfferedModel offered, int64_t memory_bytes);

// `model="..."` of metrics
std::string label_of(const std::string& name);

// In the folder of a server's state, for a model of that name: letters, digits, '-', '_' and '.' as they are, others as %XX.
std::string folder_name(const std::string& name);

}  // namespace fovea::serve
