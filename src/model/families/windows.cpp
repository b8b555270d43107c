#include "model/families/windows.h"

#include "files/untrusted_text.h"

namespace fovea::model {
namespace {

void check_count(const ConfigView& file, const char* name, size_t listed, size_t layers) {
  if (listed == layers) return;
  file.refuse(name, "lists " + std::to_string(listed) + " layers of " + std::to_string(layers));
}

}  // namespace

std::vector<bool> local_by_period(size_t layers, int period) {
  std::vector<bool> local(layers);
  for (size_t i = 0; i < layers; ++i) local[i] = (i + 1) % static_cast<size_t>(period) != 0;
  return local;
}

std::vector<bool> gguf_local_layers(const ConfigView& file, size_t layers, int window, int period) {
  constexpr const char* kKey = "attention.sliding_window_pattern";
  if (window == kWholePast) return std::vector<bool>(layers, false);
  const files::Value* value = file.file().find(file.key(kKey));
  if (!value || !std::holds_alternative<std::vector<bool>>(*value)) return local_by_period(layers, file.size_or(kKey, period));
  std::vector<bool> local = file.file().flags(file.key(kKey));
  check_count(file, kKey, local.size(), layers);
  return local;
}

int gguf_window(const ConfigView& file) {
  constexpr const char* kKey = "attention.sliding_window";
  return file.file().integer(file.key(kKey), 0) == 0 ? kWholePast : file.size(kKey);
}

std::vector<bool> hugging_face_local_layers(const ConfigView& file, const std::vector<bool>& fallback, const std::string& local_type) {
  const std::vector<std::string>& types = file.file().texts(file.key("layer_types"));
  if (types.empty()) return fallback;
  check_count(file, "layer_types", types.size(), fallback.size());
  std::vector<bool> local;
  for (const std::string& type : types) {
    if (type != local_type && type != "full_attention") {
      file.refuse_as_not_computed("layer_types", "asks for " + files::in_quotes(type));
    }
    local.push_back(type == local_type);
  }
  return local;
}

int hugging_face_period(const ConfigView& file, int fallback) {
  return file.size_or(file.has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern", fallback);
}

int hugging_face_window(const ConfigView& file, int fallback) {
  return file.has("sliding_window") ? file.size("sliding_window") : fallback;
}

void set_windows(ModelSpec& spec, const std::vector<bool>& local, int window) {
  for (size_t i = 0; i < spec.layers.size(); ++i) spec.layers[i].attention.window = local[i] ? window : kWholePast;
}

}  // namespace fovea::model
