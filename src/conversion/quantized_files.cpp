#include "conversion/quantized_files.h"

#include <cassert>
#include <cstring>

#include "conversion/gguf_form.h"
#include "conversion/tensor_bytes.h"
#include "conversion/weight_formats.h"

namespace fovea::conversion {
namespace {

QuantizedFiles without_data(const files::ModelFiles& folder, const GgufForm& form) {
  QuantizedFiles made;
  made.spec = form.spec;
  made.files.container = folder.container;
  made.files.path = folder.path;
  made.files.metadata = folder.metadata;
  return made;
}

files::Tensor tensor_of(const PlannedTensor& planned, std::span<const std::byte> bytes, const std::string& path) {
  return {planned.tensor.name, planned.tensor.format, planned.tensor.shape, bytes, path + ", tensor " + planned.tensor.name};
}

// Those that came from configuration have done their work in the spec.
std::vector<PlannedTensor> from_folder(GgufForm& form) {
  std::erase_if(form.tensors, [](const PlannedTensor& planned) { return planned.sources.empty(); });
  return std::move(form.tensors);
}

}  // namespace

QuantizedFiles quantized_files(const files::ModelFiles& folder, const std::string& quant, int threads, const Progress& progress) {
  GgufForm form = gguf_form(folder, weight_formats(quant));
  QuantizedFiles made = without_data(folder, form);
  const std::vector<PlannedTensor> planned = from_folder(form);
  ThreadPool pool(threads > 0 ? threads : usable_processors());
  int64_t total = 0, done = 0;
  for (const PlannedTensor& each : planned) total += static_cast<int64_t>(files::bytes_of(each.tensor));
  for (const PlannedTensor& each : planned) {
    LargeBytes& memory = made.files.memory.emplace_back(files::bytes_of(each.tensor));
    size_t at = 0;
    make_tensor(each, pool, [&](std::span<const std::byte> bytes) {
      assert(at + bytes.size() <= memory.size());
      std::memcpy(memory.data() + at, bytes.data(), bytes.size());
      at += bytes.size();
      done += static_cast<int64_t>(bytes.size());
      if (progress && !progress("quantizing weights", done, total)) throw Stopped();
    });
    for (const files::Tensor* source : each.sources) folder.forget(source->bytes);
    made.files.tensors.add(tensor_of(each, {memory.data(), memory.size()}, folder.path));
  }
  return made;
}

QuantizedFiles planned_files(const files::ModelFiles& folder, const std::string& quant) {
  GgufForm form = gguf_form(folder, weight_formats(quant));
  QuantizedFiles made = without_data(folder, form);
  for (const PlannedTensor& each : from_folder(form)) made.files.tensors.add(tensor_of(each, {}, folder.path));
  return made;
}

}  // namespace fovea::conversion
