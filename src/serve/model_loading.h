// From a model that is offered to one that answers.
#pragma once

#include <memory>

#include "serve/loaded_model.h"
#include "serve/service.h"

namespace fovea::serve {

// Reads weights, makes the engine, restores conversations. errors: Error, also when the file is no longer the one that was planned; Stopped
std::shared_ptr<LoadedModel> load_model(const Service& service, const ServedModel& served, const Progress& progress);

// The same for weights that are there.
std::shared_ptr<LoadedModel> with_engine(const Service& service, const ServedModel& served, std::shared_ptr<const Model> model);

}  // namespace fovea::serve
