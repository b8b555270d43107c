#include "engine/fingerprint.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

namespace fovea {
namespace {

constexpr size_t kSampleBytes = 1024;  // from the beginning, the middle and the end of each matrix

// FNV-1a.
class Hash {
 public:
  void add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) value_ = (value_ ^ static_cast<uint64_t>(byte)) * 0x100000001b3u;
  }
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  void add(int number) { add(std::as_bytes(std::span(&number, 1))); }
  void add(const kernels::PackedMatrix& matrix) {
    add(matrix.outputs());
    add(matrix.inputs());
    const std::span<const std::byte> all(matrix.data(), matrix.bytes());
    const size_t length = std::min(kSampleBytes, all.size());
    for (const size_t begin : {size_t{0}, (all.size() - length) / 2, all.size() - length}) add(all.subspan(begin, length));
  }
  void add(const AlignedArray<float>& norm) {
    if (!norm.empty()) add(std::as_bytes(std::span<const float>(norm.data(), norm.size())));
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325u;
};

}  // namespace

uint64_t fingerprint(const model::ModelSpec& spec, const model::Weights& weights) {
  Hash hash;
  hash.add(std::string_view(spec.family));
  hash.add(weights.embedding);
  hash.add(weights.final_norm);
  for (const model::LayerWeights& layer : weights.layers) {
    for (const auto* norm : {&layer.attn_norm, &layer.attn_post_norm, &layer.ffn_norm, &layer.ffn_post_norm}) hash.add(*norm);
    for_each_matrix(layer, [&hash](const kernels::PackedMatrix& matrix) { hash.add(matrix); });
  }
  return hash.value();
}

}  // namespace fovea
