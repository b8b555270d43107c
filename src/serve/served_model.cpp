#include "serve/served_model.h"

#include <fmt/format.h>

#include <utility>

#include "fovea/engine_plan.h"
#include "fovea/error.h"

namespace fovea::serve {

ServedModel look_up(OfferedModel offered, int64_t memory_bytes) {
  ServedModel served;
  served.facts = inspect_model(offered.path);
  const std::shared_ptr<const Model> text = Model::load_text(offered.path);
  if (!text->has_tokenizer()) throw Error("has no tokenizer", offered.path, "put tokenizer.json or tokenizer.model beside the weights");
  served.has_chat_template = text->has_chat_template();
  EnginePlan planned = plan_engine(Planner::open(offered.path, offered.load.quant), offered.engine, memory_bytes);
  offered.engine = planned.options;
  served.plan_bytes = planned.plan.total_bytes;
  served.offered = std::move(offered);
  return served;
}

std::string label_of(const std::string& name) {
  std::string text = "model=\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

std::string folder_name(const std::string& name) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  std::string folder;
  for (const char c : name) {
    const bool plain = kPlain.find(c) != std::string_view::npos && !(c == '.' && folder.empty());
    folder += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return folder;
}

}  // namespace fovea::serve
