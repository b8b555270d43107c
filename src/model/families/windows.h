// Which layers see a window only, as files spell it.
#pragma once

#include <string>
#include <vector>

#include "model/families/config_view.h"
#include "model/spec.h"

namespace fovea::model {

// Layer i is global iff (i + 1) % period == 0.
std::vector<bool> local_by_period(size_t layers, int period);

// GGUF: "attention.sliding_window_pattern", a period or one truth per layer; all layers are global where there is no window.
std::vector<bool> gguf_local_layers(const ConfigView& file, size_t layers, int window, int period);
int gguf_window(const ConfigView& file);  // "attention.sliding_window"; absent or 0: none

// config.json: "layer_types" where it is listed, else `fallback`.
std::vector<bool> hugging_face_local_layers(const ConfigView& file, const std::vector<bool>& fallback,
                                            const std::string& local_type = "sliding_attention");
int hugging_face_period(const ConfigView& file, int fallback);
// "sliding_window"; null or absent: `fallback`.
int hugging_face_window(const ConfigView& file, int fallback);

void set_windows(ModelSpec& spec, const std::vector<bool>& local, int window);

}  // namespace fovea::model
