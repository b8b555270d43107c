#include "conversion/gguf_form.h"

#include <algorithm>
#include <type_traits>

#include "conversion/same_facts.h"
#include "fovea/error.h"
#include "model/registry.h"
#include "model/weights.h"

namespace fovea::conversion {
namespace {

using model::ModelSpec;

files::Value as_metadata(const files::GgufValue& value) {
  const auto plain = []<typename T>(const T& one) {
    if constexpr (std::is_same_v<T, bool>) return one;
    else if constexpr (std::is_floating_point_v<T>) return static_cast<double>(one);
    else return static_cast<int64_t>(one);
  };
  return std::visit(
      [&]<typename T>(const T& held) -> files::Value {
        if constexpr (std::is_arithmetic_v<T>) return plain(held);
        else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::string>> ||
                           std::is_same_v<T, std::vector<bool>>)
          return held;
        else {
          std::vector<decltype(plain(held.front()))> list;
          for (const auto& one : held) list.push_back(plain(one));
          return list;
        }
      },
      value);
}

// What a reader of the file will know, before any data is written.
files::Metadata as_metadata(const std::vector<files::GgufKey>& keys, const std::string& source) {
  files::Metadata metadata(source);
  for (const files::GgufKey& key : keys) metadata.set(key.name, as_metadata(key.value));
  return metadata;
}

files::TensorTable as_table(const std::vector<PlannedTensor>& planned, const std::vector<model::MatrixPart>& outline) {
  files::TensorTable table;
  size_t made = 0;
  for (const PlannedTensor& each : planned) {
    files::Tensor tensor{each.tensor.name, each.tensor.format, each.tensor.shape, {}, each.tensor.name};
    if (each.sources.empty()) tensor.bytes = outline[made++].bytes();
    table.add(std::move(tensor));
  }
  return table;
}

void drop_windows(ModelSpec& spec) {
  for (model::LayerSpec& layer : spec.layers) {
    int& window = layer.attention.window;
    if (window != model::kWholePast) spec.context_tokens = std::min(spec.context_tokens, window);
    window = model::kWholePast;
  }
}

bool turns_neighbours(const ModelSpec& folder, const ModelSpec& file) {
  return !folder.ropes.empty() && !file.ropes.empty() && folder.ropes.front().pairing == model::Rope::Pairing::half &&
         file.ropes.front().pairing == model::Rope::Pairing::adjacent;
}

// The folder's facts, as the matrices of the file have them.
ModelSpec in_form_of(const ModelSpec& folder, const ModelSpec& file) {
  ModelSpec spec = folder;
  spec.names = file.names;
  spec.norm_weight_offset = 0;
  for (size_t i = 0; i < spec.ropes.size() && i < file.ropes.size(); ++i) {
    const model::Rope& written = file.ropes[i];
    if (same_rope(spec.ropes[i], written)) spec.ropes[i] = written;
    spec.ropes[i].pairing = written.pairing;
    spec.ropes[i].divisors.clear();
    spec.ropes[i].far_divisors.clear();
  }
  return spec;
}

std::vector<files::GgufKey> general_keys(const model::GgufOutline& outline, const ModelSpec& spec,
                                         const std::optional<synthesis::WeightFormats>& formats) {
  std::vector<files::GgufKey> keys = {{"general.architecture", outline.architecture},
                                      {"general.type", std::string("model")},
                                      {"general.name", spec.name},
                                      {"general.quantization_version", uint32_t{2}}};
  if (formats) keys.push_back({"general.file_type", formats->quantization.file_type});
  keys.insert(keys.end(), outline.keys.begin(), outline.keys.end());
  return keys;
}

model::MatrixPart one_row(const std::vector<float>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {NumberFormat::f32, 1, static_cast<int64_t>(values.size()), {}, {bytes.begin(), bytes.end()}};
}

}  // namespace

GgufForm gguf_form(const files::ModelFiles& folder, const std::optional<synthesis::WeightFormats>& formats, bool no_window) {
  if (folder.container != files::Container::hugging_face) {
    throw Error("is no Hugging Face folder", folder.path, "name a folder with config.json and safetensors");
  }
  ModelSpec spec = model::read_spec(folder.metadata, folder.container);
  model::complete_spec(spec, folder.tensors);
  if (no_window) drop_windows(spec);
  const model::GgufOutline outline = model::gguf_outline(folder.metadata, spec);

  GgufForm form;
  form.architecture = outline.architecture;
  form.name = spec.name;
  form.keys = general_keys(outline, spec, formats);
  const files::Metadata metadata = as_metadata(form.keys, folder.path + ", as GGUF");
  ModelSpec file = model::read_spec(metadata, files::Container::gguf);
  form.tensors = plan_tensors(folder, spec, file.names, turns_neighbours(spec, file), formats);
  std::vector<model::MatrixPart> rows;
  for (const model::GgufOutline::Tensor& tensor : outline.tensors) {
    rows.push_back(one_row(tensor.values));
    form.tensors.push_back({{tensor.name, NumberFormat::f32, {static_cast<int64_t>(tensor.values.size())}},
                            1,
                            [values = tensor.values](int) { return one_row(values); },
                            0,
                            {}});
  }
  model::complete_spec(file, as_table(form.tensors, rows));
  form.lost = first_difference(spec, file);
  form.spec = in_form_of(spec, file);
  return form;
}

}  // namespace fovea::conversion
