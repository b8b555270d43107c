// Gemma 3n: layers as in Gemma 4 with one size of head; four residual streams, a linear branch beside attention, vectors per layer,
// and sparse gates in the first layers.
#include <cmath>

#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gemma_layers.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr int kPattern = 5;
constexpr int kWindow = 512;
constexpr size_t kSparseLayers = 10;
constexpr float kSparseShare = 0.95f;
constexpr int kLowRank = 64;
constexpr int kStreams = 4;
constexpr HuggingFaceDefaults kDefaults{.vocabulary = 262'400,
                                        .hidden = 2048,
                                        .width = 16'384,
                                        .layers = 35,
                                        .q_heads = 8,
                                        .kv_heads = 2,
                                        .head_dim = 256,
                                        .context_tokens = 32'768,
                                        .norm_eps = 1e-6f};

// x with normal(x) = p, by bisection: the share p of gates that a layer cuts, as a number of deviations.
float normal_quantile(double p) {
  double low = -10, high = 10;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
  }
  return static_cast<float>(low);
}

void set_sparsity(const ConfigView& file, ModelSpec& spec) {
  const std::vector<float> shares = file.file().numbers(file.key("activation_sparsity_pattern"));
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const float share = !shares.empty() ? shares[std::min(i, shares.size() - 1)] : i < kSparseLayers ? kSparseShare : 0;
    if (share >= 1) file.refuse("activation_sparsity_pattern", "asks for layers without any gate");
    if (share > 0) spec.layers[i].feed_forward.sparsity = normal_quantile(share);
  }
}

void stream_names(TensorNames& names) {
  names.stream_in = "model.altup_projections.%e.weight";
  names.stream_out = "model.altup_unembed_projections.%e.weight";
  names.stream_router = "model.layers.%d.altup.modality_router.weight";
  names.stream_router_norm = "model.layers.%d.altup.router_norm.weight";
  names.stream_predict = "model.layers.%d.altup.prediction_coefs.weight";
  names.stream_correct = "model.layers.%d.altup.correction_coefs.weight";
  names.stream_scale = "model.layers.%d.altup.correct_output_scale";
  names.low_rank_in = "model.layers.%d.laurel.linear_left.weight";
  names.low_rank_out = "model.layers.%d.laurel.linear_right.weight";
  names.low_rank_norm = "model.layers.%d.laurel.post_laurel_norm.weight";
}

Rope rope_of(const ConfigView& file, const std::string& kind, const char* flat, float base, int head_dim) {
  const std::string name = "rope_parameters." + kind + ".rope_theta";
  return make_rope(Rope::Pairing::half, head_dim, rope_base_or(file, file.has(name) ? name : flat, base));
}

// What both containers share.
void finish(ModelSpec& spec, const std::vector<bool>& local, int low_rank) {
  gemma_scaling(spec);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    AttentionSpec& attention = spec.layers[i].attention;
    attention.rope = local[i] ? kLocalRope : kGlobalRope;
    attention.score_scale = 1;
    attention.qk_norm = HeadNorm::each_head;
    attention.value_norm = true;
    spec.layers[i].low_rank = low_rank;
  }
}

// ---- GGUF: the sizes of streams, of the linear branch and of what is cut are those of the published models, as in llama.cpp

void gguf_stream_names(TensorNames& names) {
  names.stream_in = "altup_proj.weight";
  names.stream_out = "altup_unembd_proj.weight";
  names.stream_router = "blk.%d.altup_router.weight";
  names.stream_router_norm = "blk.%d.altup_router_norm.weight";
  names.stream_predict = "blk.%d.altup_predict_coef.weight";
  names.stream_correct = "blk.%d.altup_correct_coef.weight";
  names.stream_scale = "blk.%d.altup_correct_scale.weight";
  names.low_rank_in = "blk.%d.laurel_l.weight";
  names.low_rank_out = "blk.%d.laurel_r.weight";
  names.low_rank_norm = "blk.%d.laurel_post_norm.weight";
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  constexpr int kOwnLayers = 20;  // with keys and values of their own
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "gemma3n");
  const int window = file.size("attention.sliding_window");
  const std::vector<bool> local = gguf_local_layers(file, spec.layers.size(), window, kPattern);
  const int dims = gguf_rope_dims(file, head_dim(spec));
  spec.ropes = {make_rope(Rope::Pairing::half, dims, rope_base_or(file, "rope.freq_base", 1'000'000)),
                make_rope(Rope::Pairing::half, dims, rope_base_or(file, "rope.freq_base_swa", 10'000))};
  set_windows(spec, local, window);
  share_last_layers(spec, local, std::max(0, static_cast<int>(spec.layers.size()) - kOwnLayers));
  finish(spec, local, kLowRank);
  for (size_t i = 0; i < std::min(kSparseLayers, spec.layers.size()); ++i) {
    spec.layers[i].feed_forward.sparsity = normal_quantile(kSparseShare);
  }
  spec.final_softcap = file.not_negative_or("final_logit_softcapping", 30);
  spec.streams.count = kStreams;
  gguf_head_norms(spec.names);
  gguf_post_norms(spec.names);
  gguf_layer_inputs(file, spec);
  gguf_stream_names(spec.names);
  return spec;
}

GgufOutline to_gguf(const files::Metadata&, const ModelSpec& spec) {
  GgufKeys keys("gemma3n", spec);
  keys.heads();
  keys.widths(0);
  keys.windows(kPattern);
  keys.number("rope.freq_base", spec.ropes[kGlobalRope].base);
  keys.number("rope.freq_base_swa", spec.ropes[kLocalRope].base);
  keys.number("final_logit_softcapping", spec.final_softcap);
  keys.count("embedding_length_per_layer_input", spec.layer_input.width);
  keys.count("altup.active_idx", spec.streams.active);
  keys.count("altup.num_inputs", spec.streams.count);
  return keys.take();
}

// ---- config.json

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  require_activation(file, "hidden_activation", "gelu_pytorch_tanh");
  ModelSpec spec = hugging_face_decoder(file, "gemma3n", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, true);
  spec.final_softcap = file.not_negative_or("final_logit_softcapping", 30);
  const std::vector<bool> local = hugging_face_local_layers(file, local_by_period(spec.layers.size(), kPattern));
  set_windows(spec, local, hugging_face_window(file, kWindow));
  share_last_layers(spec, local, file.file().integer(file.key("num_kv_shared_layers"), 15));
  spec.ropes = {rope_of(file, "full_attention", "rope_theta", 1'000'000, head_dim(spec)),
                rope_of(file, "sliding_attention", "rope_local_base_freq", 10'000, head_dim(spec))};
  finish(spec, local, file.size_or("laurel_rank", kLowRank));
  set_sparsity(file, spec);
  spec.streams.count = file.size_or("altup_num_inputs", kStreams, 64);
  if (file.file().integer(file.key("altup_active_idx"), 0) != 0) {
    file.refuse_as_not_computed("altup_active_idx", "asks for another active stream than the first");
  }
  head_norms(spec.names);
  sandwich_norms(spec.names);
  layer_inputs(file, spec);
  stream_names(spec.names);
  return spec;
}

}  // namespace

Family gemma3n_family() { return {"gemma3n", "gemma3n", {"gemma3n_text", "gemma3n"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
