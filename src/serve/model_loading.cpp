#include "serve/model_loading.h"

#include <fmt/format.h>

#include <utility>

#include "fovea/engine_plan.h"
#include "fovea/error.h"

namespace fovea::serve {
namespace {

// What the budget was told is what will be taken, though somebody may have put another file in the place.
void require_planned(const ServedModel& served) {
  const OfferedModel& offered = served.offered;
  const int64_t bytes = Planner::open(offered.path, offered.load.quant).plan(plan_options(offered.engine)).total_bytes;
  if (bytes == served.plan_bytes) return;
  throw Error(fmt::format("its file is not the one that was there when the server started: it takes {}, not {}", memory_text(bytes),
                          memory_text(served.plan_bytes)),
              offered.path, "start the server again");
}

std::unique_ptr<ConversationSaver> saver_of(const Service& service, const ServedModel& served, AsyncEngine& engine) {
  const ServerOptions& options = service.options;
  if (options.state_folder.empty()) return nullptr;
  const std::string& all = options.state_folder;
  const std::string own = service.several() ? all + "/models/" + folder_name(served.offered.name) : all;
  auto saver =
      std::make_unique<ConversationSaver>(own, options.state_bytes, [&service](const nlohmann::ordered_json& line) { service.log(line); });
  saver->restore(engine, service.several() ? all : "");
  return saver;
}

}  // namespace

std::shared_ptr<LoadedModel> load_model(const Service& service, const ServedModel& served, const Progress& progress) {
  require_planned(served);
  LoadOptions options = served.offered.load;
  options.progress = [own = std::move(options.progress), progress](std::string_view stage, int64_t done, int64_t total) {
    return (!own || own(stage, done, total)) && (!progress || progress(stage, done, total));
  };
  return with_engine(service, served, Model::load(served.offered.path, options));
}

std::shared_ptr<LoadedModel> with_engine(const Service& service, const ServedModel& served, std::shared_ptr<const Model> model) {
  auto loaded = std::make_shared<LoadedModel>();
  loaded->name = served.offered.name;
  loaded->label = service.label(loaded->name);
  loaded->model = std::move(model);
  loaded->engine = std::make_unique<AsyncEngine>(loaded->model, served.offered.engine, AsyncEngineOptions{service.options.limits.waiting});
  loaded->conversations = saver_of(service, served, *loaded->engine);
  loaded->prompts = std::make_unique<PromptReader>(loaded->model, loaded->engine->options().context_tokens);
  return loaded;
}

}  // namespace fovea::serve
