#include "fovea/synthetic.h"

#include <algorithm>
#include <cmath>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "files/gguf_writer.h"
#include "fovea/error.h"
#include "synthesis/filler_vocabulary.h"
#include "synthesis/keys.h"
#include "synthesis/quantization.h"
#include "synthesis/random_weights.h"
#include "synthesis/shape.h"
#include "synthesis/tensor_list.h"

namespace fovea {
namespace {

using namespace synthesis;

constexpr int kMostLayers = 10'000, kMostTokens = 1 << 24;  // beyond what engines read
constexpr int kMostThreads = 1024;
constexpr size_t kPieceBytes = 256 * 1024;  // about what one thread fills at a time: it stays in its cache
constexpr int kPieces = 32;                 // per write

struct Plan {
  Shape shape;  // as asked for
  std::string name;
  std::vector<PlannedTensor> tensors;
  files::GgufHeader header;
};

int checked(const char* option, int value, int least, int most, int fallback) {
  if (value == 0) return fallback;
  if (value >= least && value <= most) return value;
  throw Error("is " + std::to_string(value) + ", expected " + std::to_string(least) + " to " + std::to_string(most), option,
              "leave it out for the original's " + std::to_string(fallback));
}

std::string model_name(const Shape& shape, const Shape& original, const SyntheticOptions& options) {
  std::string name = "synthetic " + std::string(shape.name) + " " + options.quant;
  if (options.pure) name += " pure";
  if (shape.layers != original.layers) name += ", " + std::to_string(shape.layers) + " layers";
  if (shape.vocabulary != original.vocabulary) name += ", " + std::to_string(shape.vocabulary) + " tokens";
  return name;
}

Plan plan_for(const SyntheticOptions& options) {
  const Shape& original = shape_named(options.like);
  const Quantization& quantization = quantization_named(options.quant);
  Plan plan{.shape = original, .name = {}, .tensors = {}, .header = {}};
  plan.shape.layers = checked("--layers", options.layers, 1, kMostLayers, original.layers);
  plan.shape.vocabulary = checked("--vocabulary", options.vocabulary, FillerVocabulary::kLeastTokens, kMostTokens, original.vocabulary);
  plan.name = model_name(plan.shape, original, options);
  plan.tensors = tensors_of(plan.shape, quantization, options.pure);
  plan.header.keys = keys_of(plan.shape, quantization, plan.name);
  for (const PlannedTensor& planned : plan.tensors) plan.header.tensors.push_back(planned.tensor);
  return plan;
}

SyntheticModel description_of(const Plan& plan) {
  SyntheticModel model;
  model.name = plan.name;
  model.tensors = static_cast<int>(plan.tensors.size());
  model.file_bytes = static_cast<int64_t>(files::gguf_file_bytes(plan.header));
  for (const files::GgufTensor& tensor : plan.header.tensors) {
    int64_t values = 1;
    for (const int64_t extent : tensor.shape) values *= extent;
    model.values += values;
  }
  return model;
}

class TensorWriter {
 public:
  TensorWriter(files::GgufWriter& file, uint64_t seed, int threads, const Progress& progress)
      : file_(file), seed_(seed), pool_(threads), progress_(progress), buffer_(kPieces * kPieceBytes) {}

  void write(const PlannedTensor& planned, const Shape& shape) {
    switch (planned.content) {
      case Content::weights:
        return write_weights(planned.tensor);
      case Content::norm:
        return write_norm(planned.tensor);
      case Content::rope_divisors:
        return append_values(rope_divisors(shape));
    }
  }

 private:
  void append(std::span<const std::byte> bytes) {
    file_.write(bytes);
    done_ += bytes.size();
    if (progress_ && !progress_("writing weights", static_cast<int64_t>(done_), static_cast<int64_t>(file_.file_bytes()))) {
      throw Stopped();
    }
  }

  void append_values(std::span<const float> values) { append(std::as_bytes(values)); }

  void write_norm(const files::GgufTensor& tensor) {
    std::vector<float> weights(static_cast<size_t>(tensor.shape.back()));
    fill_norm(stream_of(seed_, tensor.name), weights);
    append_values(weights);
  }

  // Outputs have about the deviation of inputs: the sum over a row has that of one term times the root of
  // their number.
  void write_weights(const files::GgufTensor& tensor) {
    const float deviation = 1 / std::sqrt(static_cast<float>(tensor.shape.back()));
    const uint64_t stream = stream_of(seed_, tensor.name), size = files::bytes_of(tensor);
    const size_t eight_blocks = 8 * facts(tensor.format).block_bytes;  // so that pieces begin on multiples of 8
    const size_t piece_bytes = kPieceBytes / eight_blocks * eight_blocks;
    for (uint64_t begin = 0; begin < size; begin += kPieces * piece_bytes) {
      const size_t bytes = static_cast<size_t>(std::min<uint64_t>(kPieces * piece_bytes, size - begin));
      const int pieces = static_cast<int>((bytes + piece_bytes - 1) / piece_bytes);
      pool_.run(pieces, [&](int piece, int) {
        const size_t first = static_cast<size_t>(piece) * piece_bytes;
        const size_t count = std::min(piece_bytes, bytes - first);
        fill_weights(tensor.format, deviation, stream, begin + first, buffer_.span().subspan(first, count));
      });
      append(buffer_.span().first(bytes));
    }
  }

  files::GgufWriter& file_;
  uint64_t seed_;
  ThreadPool pool_;
  const Progress& progress_;
  AlignedArray<std::byte> buffer_;
  uint64_t done_ = 0;
};

int threads_for(const SyntheticOptions& options) { return checked("--threads", options.threads, 1, kMostThreads, usable_processors()); }

}  // namespace

std::vector<SyntheticShape> synthetic_shapes() {
  std::vector<SyntheticShape> all;
  for (const Shape& shape : shapes()) all.push_back({shape.name, shape.alias, shape.layers, shape.vocabulary});
  return all;
}

std::vector<std::string_view> synthetic_quants() {
  std::vector<std::string_view> names;
  for (const Quantization& quantization : quantizations()) names.push_back(quantization.name);
  return names;
}

SyntheticModel describe_synthetic_model(const SyntheticOptions& options) { return description_of(plan_for(options)); }

SyntheticModel write_synthetic_model(const SyntheticOptions& options, const std::string& path, const Progress& progress) {
  const Plan plan = plan_for(options);
  const int threads = threads_for(options);
  files::GgufWriter file(path, plan.header);
  TensorWriter writer(file, options.seed, threads, progress);
  for (const PlannedTensor& planned : plan.tensors) writer.write(planned, plan.shape);
  file.finish();
  return description_of(plan);
}

}  // namespace fovea
