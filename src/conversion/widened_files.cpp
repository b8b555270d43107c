#include "conversion/widened_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/memory_info.h"
#include "base/thread_pool.h"
#include "fovea/error.h"
#include "kernels/packed_matrix.h"
#include "model/matrix_part.h"

namespace fovea::conversion {
namespace {

bool is_plain(const files::Tensor& tensor) { return facts(tensor.format).block_values == 1; }

size_t widened_bytes(const files::Tensor& tensor) { return static_cast<size_t>(tensor.values()) * sizeof(float); }

void require_memory(const files::ModelFiles& files) {
  int64_t needed = 0;
  for (const auto& [name, tensor] : files.tensors.all()) {
    if (!is_plain(tensor)) needed += static_cast<int64_t>(widened_bytes(tensor));  // the others stay where they are
  }
  const int64_t available = available_memory_bytes();
  if (needed <= available) return;
  throw Error(fmt::format("its weights take {} MB as f32 and {} MB are free", needed >> 20, available >> 20), files.path,
              "use a smaller model, or the weights as they are stored");
}

model::MatrixPart rows_of_blocks(const files::Tensor& tensor) {
  if (tensor.scales.empty()) return model::whole(tensor);
  return model::joined_rows(tensor, 0, tensor.values() / tensor.shape.back());
}

files::ModelFiles without_tensors(const files::ModelFiles& files) {
  files::ModelFiles made;
  made.container = files.container;
  made.path = files.path;
  made.metadata = files.metadata;
  return made;
}

// Through the packed form, so that they are what the kernels would multiply with.
LargeBytes widened(const files::Tensor& tensor, ThreadPool& pool) {
  const model::MatrixPart part = rows_of_blocks(tensor);
  const auto outputs = static_cast<int>(part.outputs), inputs = static_cast<int>(part.inputs);
  kernels::PanelMemory memory;
  const auto matrix = kernels::PackedMatrix::pack(part.format, outputs, inputs, part.bytes(), memory, pool);
  LargeBytes floats(widened_bytes(tensor));
  auto* to = reinterpret_cast<float*>(floats.data());
  constexpr int kRows = 64;  // a piece of work
  pool.run((outputs + kRows - 1) / kRows, [&](int piece, int) {
    for (int row = piece * kRows; row < std::min(outputs, (piece + 1) * kRows); ++row) {
      matrix.read_row(row, {to + static_cast<ptrdiff_t>(row) * inputs, static_cast<size_t>(inputs)});
    }
  });
  return floats;
}

}  // namespace

bool widens(const files::ModelFiles& files, const std::string& quant) {
  return quant == "f32" && files.container == files::Container::gguf;
}

files::ModelFiles planned_widened_files(const files::ModelFiles& files) {
  files::ModelFiles made = without_tensors(files);
  for (const auto& [name, tensor] : files.tensors.all()) {
    files::Tensor plain = tensor;
    if (!is_plain(tensor)) {
      plain.format = NumberFormat::f32;
      plain.bytes = plain.scales = {};
    }
    made.tensors.add(std::move(plain));
  }
  return made;
}

files::ModelFiles widened_files(const files::ModelFiles& files, int threads, const Progress& progress) {
  require_memory(files);
  files::ModelFiles made = without_tensors(files);
  ThreadPool pool(threads > 0 ? threads : usable_processors());
  int64_t total = 0, done = 0;
  for (const auto& [name, tensor] : files.tensors.all()) total += static_cast<int64_t>(tensor.bytes.size());
  for (const auto& [name, tensor] : files.tensors.all()) {
    files::Tensor plain = tensor;
    if (!is_plain(tensor)) {
      const LargeBytes& memory = made.memory.emplace_back(widened(tensor, pool));
      plain.format = NumberFormat::f32;
      plain.bytes = {memory.data(), memory.size()};
      plain.scales = {};
      files.forget(tensor.bytes);
    }
    made.tensors.add(std::move(plain));
    done += static_cast<int64_t>(tensor.bytes.size());
    if (progress && !progress("unfolding weights", done, total)) throw Stopped();
  }
  return made;
}

}  // namespace fovea::conversion
