#include "planner/table_from_config.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>

#include "model/families/config_view.h"
#include "planner/configuration.h"

namespace fovea::planner {
namespace {

using model::ConfigView;

constexpr int kMostExpansion = 64;

// The first of several spellings that the file has; 0 when it has none, or says 0.
int first_of(const ConfigView& file, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (file.has(name) && file.file().integer(file.key(name), 0) != 0) return file.size(name);
  }
  return 0;
}

// Kinds of layers may be listed one by one, follow from a period, or be all the same.
std::vector<bool> global_layers_of(const ConfigView& file, Configuration& c) {
  c.window = file.flag("use_sliding_window", true) ? first_of(file, {"sliding_window"}) : 0;
  const std::vector<std::string>& types = file.file().texts(file.key("layer_types"));
  if (types.empty()) {
    c.period = first_of(file, {"sliding_window_pattern", "_sliding_window_pattern"});
    return global_layers(c);
  }
  if (types.size() != static_cast<size_t>(c.layers))
    file.refuse("layer_types", "lists " + std::to_string(types.size()) + " layers of " + std::to_string(c.layers));
  if (c.window == 0) c.window = first_of(file, {"attention_chunk_size"});
  std::vector<bool> global;
  for (const std::string& type : types) global.push_back(type != "sliding_attention" && type != "chunked_attention");
  return global;
}

void read_heads(const ConfigView& file, Configuration& c) {
  c.q_heads = file.size("num_attention_heads");
  c.local.kv_heads = file.size_or("num_key_value_heads", c.q_heads);
  c.local.head_dim = file.has("head_dim") ? file.size("head_dim") : std::max(1, c.hidden / c.q_heads);
  c.global = c.local;
  c.k_is_v = file.flag("attention_k_eq_v", false);
  if (file.has("global_head_dim")) c.global.head_dim = file.size("global_head_dim");
  if (c.k_is_v && file.has("num_global_key_value_heads")) c.global.kv_heads = file.size("num_global_key_value_heads");
  c.shared_kv_layers = std::min(first_of(file, {"num_kv_shared_layers"}), c.layers - 1);
}

void read_latent(const ConfigView& file, Configuration& c) {
  c.latent_rank = first_of(file, {"kv_lora_rank"});
  if (c.latent_rank == 0) return;
  c.rope = file.size("qk_rope_head_dim");
  c.nope = file.size("qk_nope_head_dim");
  c.latent = c.latent_rank + c.rope;
  c.q_rank = first_of(file, {"q_lora_rank"});
  if (file.has("v_head_dim")) c.global.head_dim = file.size("v_head_dim");
}

void read_experts(const ConfigView& file, Configuration& c) {
  Experts& e = c.experts;
  e.count = first_of(file, {"num_experts", "num_local_experts", "n_routed_experts"});
  if (e.count <= 1) return;
  e.used = std::max(1, first_of(file, {"top_k_experts", "num_experts_per_tok", "experts_per_token"}));
  e.width = first_of(file, {"moe_intermediate_size", "intermediate_size"});
  const int shared = first_of(file, {"n_shared_experts"});
  if (int64_t{e.width} * shared > INT32_MAX) file.refuse("n_shared_experts", "are too many");
  e.shared_width = shared > 0 ? e.width * shared : first_of(file, {"shared_expert_intermediate_size"});
  e.first_layer = std::max(first_of(file, {"first_k_dense_replace"}), first_of(file, {"expert_layer_offset"}));
  e.every = std::max(1, first_of(file, {"expert_layer_period"}));
  e.beside_dense = file.flag("enable_moe_block", false);
}

void read_recurrent(const ConfigView& file, Configuration& c) {
  c.state_period = first_of(file, {"attn_layer_period"});
  if (c.state_period == 0) return;
  c.state_attention = file.file().integer(file.key("attn_layer_offset"), 0);
  c.state_width = c.hidden * file.size_or("mamba_expand", 2, kMostExpansion);
  c.state_size = file.size_or("mamba_d_state", 16);
  c.state_conv = file.size_or("mamba_d_conv", 4);
}

}  // namespace

LayerTable table_of_config(const files::Metadata& config) {
  const ConfigView file = model::hugging_face_view(config);
  const std::string family = file.text_or("model_type", config.text("model_type", "unknown"));
  Configuration c{.name = "",
                  .alias = "",
                  .family = family,
                  .source = "",
                  .layers = file.size("num_hidden_layers", model::kMostLayers),
                  .hidden = file.size("hidden_size"),
                  .width = first_of(file, {"intermediate_size"}),
                  .q_heads = 0,
                  .global = {}};
  c.vocabulary = file.size("vocab_size");
  c.context_tokens = first_of(file, {"max_position_embeddings"});
  c.tied_head = file.flag("tie_word_embeddings", config.flag("tie_word_embeddings", true));
  c.per_layer_embedding = first_of(file, {"hidden_size_per_layer_input"});
  c.double_width_when_shared = file.flag("use_double_wide_mlp", false);
  read_heads(file, c);
  read_latent(file, c);
  read_experts(file, c);
  read_recurrent(file, c);
  LayerTable table = table_of(c, global_layers_of(file, c));
  const std::filesystem::path path(config.source());
  table.name = path.filename() == "config.json" ? path.parent_path().filename().string() : path.stem().string();
  if (table.name.empty()) table.name = family;
  return table;
}

}  // namespace fovea::planner
