#include "model/tensor_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "fovea/error.h"
#include "model/tensor_lookup.h"

namespace fovea::model {
namespace {

constexpr const char* kSizesDiffer = "the sizes in the file's metadata do not fit its tensors";

void require_plain(const files::Tensor& tensor, const char* what) {
  if (facts(tensor.format).block_values == 1) return;
  throw Error(fmt::format("tensor {} is stored as {}", tensor.name, facts(tensor.format).name), tensor.where,
              fmt::format("{} are stored as f32, f16 or bf16: convert the file again", what));
}

}  // namespace

bool is_text_tensor(std::string_view name) {
  constexpr std::string_view kOtherParts[] = {"vision_tower.", "audio_tower.", "multi_modal_projector.", "embed_vision.", "embed_audio."};
  const auto contains = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  return std::none_of(std::begin(kOtherParts), std::end(kOtherParts), contains) && !name.ends_with("rotary_emb.inv_freq");
}

TensorReader::TensorReader(const files::ModelFiles& files, std::string family, kernels::PanelMemory& memory, ThreadPool& pool,
                           const Progress& progress)
    : files_(files), family_(std::move(family)), memory_(memory), pool_(pool), progress_(progress) {
  for (const auto& [name, tensor] : files.tensors.all()) total_bytes_ += static_cast<int64_t>(tensor.bytes.size());
}

const files::Tensor* TensorReader::find(const std::string& pattern, int layer, int expert) {
  if (pattern.empty()) return nullptr;
  const files::Tensor* tensor = find_tensor(files_.tensors, tensor_name(pattern, layer, expert));
  if (tensor) used_.insert(tensor->name);
  return tensor;
}

const files::Tensor& TensorReader::require(const std::string& pattern, int layer, int expert) {
  if (const files::Tensor* tensor = find(pattern, layer, expert)) return *tensor;
  throw Error(fmt::format("tensor {} is missing", tensor_name(pattern, layer, expert)), files_.path,
              fmt::format("a {} model needs it: fetch or convert the file again", family_));
}

void TensorReader::check_shape(const files::Tensor& tensor, const std::vector<int64_t>& expected) const {
  if (tensor.shape == expected) return;
  throw Error(fmt::format("tensor {} is {}, expected {}", tensor.name, fmt::join(tensor.shape, "x"), fmt::join(expected, "x")),
              tensor.where, kSizesDiffer);
}

kernels::PackedMatrix TensorReader::pack(const MatrixPart& part) {
  const bool in_file = part.owned.empty();
  const auto packed = [&](std::span<const std::byte> bytes) {
    if (in_file) files_.forget(bytes);
    count(bytes.size());
  };
  return kernels::PackedMatrix::pack(part.format, static_cast<int>(part.outputs), static_cast<int>(part.inputs), part.bytes(), memory_,
                                     pool_, packed);
}

kernels::PackedMatrix TensorReader::matrix(const std::string& pattern, int layer, int outputs, int inputs, int expert) {
  const files::Tensor& tensor = require(pattern, layer, expert);
  check_shape(tensor, {outputs, inputs});
  return pack(whole(tensor));
}

kernels::PackedMatrix TensorReader::rows(const std::string& pattern, int layer, int total, int first, int count, int inputs) {
  const files::Tensor& tensor = require(pattern, layer);
  check_shape(tensor, {total, inputs});
  return pack(rows_of(whole(tensor), first, count));
}

AlignedArray<float> TensorReader::numbers(const std::string& pattern, int layer, int64_t count) {
  const files::Tensor& tensor = require(pattern, layer);
  if (tensor.values() != count) {
    throw Error(fmt::format("tensor {} holds {} numbers, expected {}", tensor.name, tensor.values(), count), tensor.where, kSizesDiffer);
  }
  require_plain(tensor, "vectors");
  const std::vector<float> read = floats_of(tensor);
  AlignedArray<float> values(read.size());
  std::copy(read.begin(), read.end(), values.data());
  forget(tensor);
  this->count(tensor.bytes.size());
  return values;
}

AlignedArray<float> TensorReader::vector(const std::string& pattern, int layer, int size) {
  check_shape(require(pattern, layer), {size});
  return numbers(pattern, layer, size);
}

std::vector<MatrixPart> TensorReader::stack(const std::string& pattern, int layer, int count, int outputs, int inputs, bool by_input) {
  std::vector<MatrixPart> parts;
  const bool apart = pattern.find("%e") != std::string::npos;
  if (!apart && !require(pattern, layer).scales.empty()) {  // stored by output, whatever plain ones are
    const files::Tensor& tensor = require(pattern, layer);
    check_shape(tensor, {count, outputs, inputs});
    for (int e = 0; e < count; ++e) parts.push_back(joined_rows(tensor, int64_t{e} * outputs, outputs));
    return parts;
  }
  const int64_t rows = by_input ? inputs : outputs, columns = by_input ? outputs : inputs;
  for (int e = 0; e < count; ++e) {
    const files::Tensor& tensor = require(pattern, layer, e);
    if (apart) check_shape(tensor, {rows, columns});
    else check_shape(tensor, {count, rows, columns});
    parts.push_back(rows_of(whole(tensor), apart ? 0 : e * rows, rows));
    if (!by_input) continue;
    require_plain(tensor, "matrices by input");
    parts.back() = transposed(parts.back());
  }
  return parts;
}

void TensorReader::refuse_leftovers(const std::vector<std::string>& ignored) const {
  for (const auto& [name, tensor] : files_.tensors.all()) {
    const auto begins = [&, &tensor_name = name](const std::string& prefix) { return tensor_name.starts_with(prefix); };
    if (used_.contains(name) || !is_text_tensor(name) || std::any_of(ignored.begin(), ignored.end(), begins)) continue;
    throw Error(fmt::format("tensor {} has no place in a {} model as this engine computes it", name, family_), tensor.where,
                "use a model without it: leaving it out would give wrong results");
  }
}

void TensorReader::count(size_t bytes) {
  done_bytes_ += static_cast<int64_t>(bytes);
  if (progress_ && !progress_("loading weights", std::min(done_bytes_, total_bytes_), total_bytes_)) throw Stopped();
}

}  // namespace fovea::model
