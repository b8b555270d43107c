#include "model/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "base/half.h"
#include "fovea/error.h"
#include "model/rope.h"
#include "model/tensor_lookup.h"

namespace fovea::model {
namespace {

class Loader {
 public:
  Loader(ModelSpec& spec, const files::ModelFiles& files, ThreadPool& pool, const Progress& progress)
      : spec_(spec), files_(files), pool_(pool), progress_(progress) {
    for (const auto& [name, tensor] : files.tensors.all()) total_bytes_ += static_cast<int64_t>(tensor.bytes.size());
  }

  Weights load() {
    weights_.embedding = embedding();
    weights_.final_norm = norm(spec_.names.final_norm, 0, spec_.hidden);
    for (size_t i = 0; i < spec_.layers.size(); ++i) weights_.layers.push_back(layer(static_cast<int>(i)));
    if (find_tensor(files_.tensors, spec_.names.head)) {
      weights_.head = matrix(spec_.names.head, 0, spec_.vocabulary, spec_.hidden);
    } else if (!spec_.tied_head) {
      require(spec_.names.head, 0);
    }
    for (Rope& rope : spec_.ropes) divide(rope);
    refuse_leftovers();
    return std::move(weights_);
  }

 private:
  const files::Tensor& require(const std::string& pattern, int index) {
    const std::string name = tensor_name(pattern, index);
    if (const files::Tensor* tensor = find_tensor(files_.tensors, name)) {
      used_.insert(tensor->name);
      return *tensor;
    }
    throw Error(fmt::format("tensor {} is missing", name), files_.path,
                fmt::format("a {} model needs it: fetch or convert the file again", spec_.family));
  }

  void check_shape(const files::Tensor& tensor, const std::vector<int64_t>& expected, std::string_view mend) const {
    if (tensor.shape == expected) return;
    throw Error(fmt::format("tensor {} is {}, expected {}", tensor.name, fmt::join(tensor.shape, "x"),
                            fmt::join(expected, "x")),
                tensor.where, std::string(mend));
  }

  kernels::PackedMatrix embedding() {
    const files::Tensor& tensor = require(spec_.names.embedding, 0);
    if (spec_.vocabulary == 0 && tensor.shape.size() == 2 && tensor.shape[0] < (1 << 30)) {
      spec_.vocabulary = static_cast<int>(tensor.shape[0]);
    }
    return matrix(spec_.names.embedding, 0, spec_.vocabulary, spec_.hidden);
  }

  kernels::PackedMatrix matrix(const std::string& pattern, int index, int outputs, int inputs) {
    const files::Tensor& tensor = require(pattern, index);
    check_shape(tensor, {outputs, inputs}, "the sizes in the file's metadata do not fit its tensors");
    auto packed = kernels::PackedMatrix::pack(tensor.format, outputs, inputs, tensor.bytes, weights_.memory, pool_,
                                              [&](std::span<const std::byte> part) { done(part); });
    return packed;
  }

  // A vector of floats, stored in a plain format.
  AlignedArray<float> vector(const files::Tensor& tensor, int size) {
    check_shape(tensor, {size}, "the sizes in the file's metadata do not fit its tensors");
    AlignedArray<float> values(static_cast<size_t>(size));
    const std::byte* from = tensor.bytes.data();
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t half;
      switch (tensor.format) {
        case NumberFormat::f32: std::memcpy(&values[i], from + 4 * i, 4); break;
        case NumberFormat::f16:
        case NumberFormat::bf16:
          std::memcpy(&half, from + 2 * i, 2);
          values[i] = tensor.format == NumberFormat::f16 ? float_from_f16(half) : float_from_bf16(half);
          break;
        default:
          throw Error(fmt::format("tensor {} is stored as {}", tensor.name, facts(tensor.format).name), tensor.where,
                      "vectors are stored as f32, f16 or bf16: convert the file again");
      }
    }
    done(tensor.bytes);
    return values;
  }

  AlignedArray<float> norm(const std::string& pattern, int index, int size) {
    AlignedArray<float> weight = vector(require(pattern, index), size);
    for (float& value : weight.span()) value += spec_.norm_weight_offset;
    return weight;
  }

  LayerWeights layer(int i) {
    const LayerSpec& facts = spec_.layers[static_cast<size_t>(i)];
    const AttentionSpec& attention = facts.attention;
    const TensorNames& names = spec_.names;
    const int hidden = spec_.hidden, width = facts.feed_forward.width;
    const int q_width = attention.q_heads * attention.head_dim, kv_width = attention.kv_heads * attention.head_dim;
    LayerWeights w;
    w.attn_norm = norm(names.attn_norm, i, hidden);
    w.q = matrix(names.q, i, q_width, hidden);
    w.k = matrix(names.k, i, kv_width, hidden);
    w.v = matrix(names.v, i, kv_width, hidden);
    if (attention.qk_norm) {
      w.q_norm = norm(names.q_norm, i, attention.head_dim);
      w.k_norm = norm(names.k_norm, i, attention.head_dim);
    }
    w.attn_out = matrix(names.attn_out, i, hidden, q_width);
    w.ffn_norm = norm(names.ffn_norm, i, hidden);
    w.gate = matrix(names.gate, i, width, hidden);
    w.up = matrix(names.up, i, width, hidden);
    w.down = matrix(names.down, i, hidden, width);
    if (facts.post_norms) {
      w.attn_post_norm = norm(names.attn_post_norm, i, hidden);
      w.ffn_post_norm = norm(names.ffn_post_norm, i, hidden);
    }
    return w;
  }

  void divide(Rope& rope) {
    if (rope.divisors.empty()) return;
    const files::Tensor* tensor = find_tensor(files_.tensors, rope.divisors);
    if (!tensor) return;
    used_.insert(tensor->name);
    const AlignedArray<float> divisors = vector(*tensor, rope.dims / 2);
    apply_divisors(rope, divisors.span(), tensor->where);
  }

  // A tensor that no role claims would be left out of the computation without a word (a bias, say).
  void refuse_leftovers() const {
    for (const auto& [name, tensor] : files_.tensors.all()) {
      if (used_.contains(name) || !is_text_tensor(name)) continue;
      throw Error(fmt::format("tensor {} has no place in a {} model as this engine computes it", name, spec_.family),
                  tensor.where, "use a model without it: leaving it out would give wrong results");
    }
  }

  // These bytes of the file are not needed any more.
  void done(std::span<const std::byte> part) {
    files_.forget(part);
    done_bytes_ += static_cast<int64_t>(part.size());
    if (progress_ && !progress_("loading weights", std::min(done_bytes_, total_bytes_), total_bytes_)) throw Stopped();
  }

  ModelSpec& spec_;
  const files::ModelFiles& files_;
  ThreadPool& pool_;
  const Progress& progress_;
  std::set<std::string, std::less<>> used_;
  Weights weights_;
  int64_t total_bytes_ = 0, done_bytes_ = 0;
};

template <typename Visit>
void for_each_matrix(const LayerWeights& layer, Visit visit) {
  for (const kernels::PackedMatrix* m :
       {&layer.q, &layer.k, &layer.v, &layer.attn_out, &layer.gate, &layer.up, &layer.down}) {
    visit(*m);
  }
}

}  // namespace

bool is_text_tensor(std::string_view name) {
  constexpr std::string_view kOtherParts[] = {"vision_tower.", "audio_tower.", "multi_modal_projector.",
                                              "embed_vision.", "embed_audio."};
  const auto contains = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  return std::none_of(std::begin(kOtherParts), std::end(kOtherParts), contains) &&
         !name.ends_with("rotary_emb.inv_freq");
}

int64_t Weights::bytes() const {
  auto total = static_cast<int64_t>(embedding.bytes() + head.bytes() + 4 * final_norm.size());
  for (const LayerWeights& layer : layers) {
    for_each_matrix(layer, [&](const auto& m) { total += static_cast<int64_t>(m.bytes()); });
    for (const auto* norm : {&layer.attn_norm, &layer.attn_post_norm, &layer.ffn_norm, &layer.ffn_post_norm,
                             &layer.q_norm, &layer.k_norm}) {
      total += static_cast<int64_t>(4 * norm->size());
    }
  }
  return total;
}

int64_t Weights::bytes_per_token() const {
  auto total = static_cast<int64_t>(output().bytes());
  for (const LayerWeights& layer : layers) {
    for_each_matrix(layer, [&](const auto& m) { total += static_cast<int64_t>(m.bytes()); });
  }
  return total;
}

int64_t Weights::macs_per_token() const {
  int64_t total = 0;
  for (const LayerWeights& layer : layers) {
    for_each_matrix(layer, [&](const auto& m) { total += static_cast<int64_t>(m.inputs()) * m.outputs(); });
  }
  return total;
}

Weights load_weights(ModelSpec& spec, const files::ModelFiles& files, ThreadPool& pool, const Progress& progress) {
  return Loader(spec, files, pool, progress).load();
}

}  // namespace fovea::model
