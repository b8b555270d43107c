#include "synthesis/tensor_list.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

namespace fovea::synthesis {
namespace {

class TensorList {
 public:
  TensorList(const Shape& shape, const Quantization& quantization, bool pure) : shape_(shape), quantization_(quantization), pure_(pure) {}

  std::vector<PlannedTensor> take() { return std::move(tensors_); }

  void add_outside_layers() {
    add_norm("output_norm.weight", shape_.hidden);
    add_matrix("token_embd.weight", {.role = Role::embedding, .makes_logits = shape_.tied_head}, shape_.vocabulary, shape_.hidden);
    if (!shape_.tied_head) {
      add_matrix("output.weight", {.role = Role::head, .makes_logits = true}, shape_.vocabulary, shape_.hidden);
    }
    if (shape_.architecture == Architecture::llama && shape_.rope_factor != 1) {
      tensors_.push_back({{"rope_freqs.weight", NumberFormat::f32, {shape_.head_dim / 2}}, Content::rope_divisors});
    }
  }

  void add_layer(int layer) {
    const bool gemma = shape_.architecture == Architecture::gemma3;
    const int q_width = shape_.q_heads * shape_.head_dim, kv_width = shape_.kv_heads * shape_.head_dim;
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const auto matrix = [&](const char* name, Role role, int rows, int row_values) {
      add_matrix(prefix + name + ".weight", {.role = role, .layer = layer}, rows, row_values);
    };
    const auto norm = [&](const char* name, int values) { add_norm(prefix + name + ".weight", values); };
    norm("attn_norm", shape_.hidden);
    matrix("attn_q", Role::q, q_width, shape_.hidden);
    matrix("attn_k", Role::k, kv_width, shape_.hidden);
    matrix("attn_v", Role::v, kv_width, shape_.hidden);
    if (gemma) norm("attn_q_norm", shape_.head_dim);
    if (gemma) norm("attn_k_norm", shape_.head_dim);
    matrix("attn_output", Role::attn_out, shape_.hidden, q_width);
    if (gemma) norm("post_attention_norm", shape_.hidden);
    norm("ffn_norm", shape_.hidden);
    matrix("ffn_gate", Role::gate, shape_.width, shape_.hidden);
    matrix("ffn_up", Role::up, shape_.width, shape_.hidden);
    matrix("ffn_down", Role::down, shape_.hidden, shape_.width);
    if (gemma) norm("post_ffw_norm", shape_.hidden);
  }

 private:
  void add_norm(std::string name, int values) { tensors_.push_back({{std::move(name), NumberFormat::f32, {values}}, Content::norm}); }

  void add_matrix(std::string name, Matrix matrix, int rows, int row_values) {
    matrix.layers = shape_.layers;
    matrix.queries_per_kv = shape_.q_heads / shape_.kv_heads;
    matrix.row_values = row_values;
    tensors_.push_back({{std::move(name), format_of(quantization_, matrix, pure_), {rows, row_values}}, Content::weights});
  }

  const Shape& shape_;
  const Quantization& quantization_;
  bool pure_;
  std::vector<PlannedTensor> tensors_;
};

}  // namespace

std::vector<PlannedTensor> tensors_of(const Shape& shape, const Quantization& quantization, bool pure) {
  TensorList list(shape, quantization, pure);
  list.add_outside_layers();
  for (int layer = 0; layer < shape.layers; ++layer) list.add_layer(layer);
  return list.take();
}

// Short wavelengths stay, long ones are stretched by the factor, those between by something between.
std::vector<float> rope_divisors(const Shape& shape) {
  constexpr double kTrainedTokens = 8192, kLowFactor = 1, kHighFactor = 4;
  std::vector<float> divisors;
  for (int pair = 0; pair < shape.head_dim / 2; ++pair) {
    const double frequency = std::pow(double{shape.rope_base}, -2.0 * pair / shape.head_dim);
    const double turns = kTrainedTokens * frequency / (2 * std::numbers::pi);  // within the trained context
    const double kept = std::clamp((turns - kLowFactor) / (kHighFactor - kLowFactor), 0.0, 1.0);
    divisors.push_back(static_cast<float>(1 / ((1 - kept) / shape.rope_factor + kept)));
  }
  return divisors;
}

}  // namespace fovea::synthesis
