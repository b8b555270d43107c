#include "planner/table_from_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "conversion/quantized_files.h"
#include "conversion/widened_files.h"
#include "files/model_files.h"
#include "model/registry.h"
#include "model/tensor_lookup.h"
#include "model/tensor_reader.h"
#include "model/weights.h"
#include "planner/table_from_config.h"

namespace fovea::planner {
namespace {

namespace fs = std::filesystem;
using synthesis::Role;

struct NamePart {
  std::string_view part;
  WeightKind kind;
  Role role = Role::q;
};

// First match wins. What a matrix is for shows in the same few words in GGUF and Hugging Face files.
constexpr NamePart kNameParts[] = {
    {"per_layer", WeightKind::per_layer_embedding},
    {"token_embd", WeightKind::embedding, Role::embedding},
    {"embed_tokens", WeightKind::embedding, Role::embedding},
    {"embeddings", WeightKind::embedding, Role::embedding},
    {"lm_head", WeightKind::output, Role::head},
    {"_exps", WeightKind::experts},
    {"experts", WeightKind::experts},
    {"ssm_", WeightKind::recurrent},
    {"mamba", WeightKind::recurrent},
    {"mixer", WeightKind::recurrent},
    {"attn_k.", WeightKind::attention, Role::k},
    {"k_proj", WeightKind::attention, Role::k},
    {"attn_v.", WeightKind::attention, Role::v},
    {"v_proj", WeightKind::attention, Role::v},
    {"attn_output", WeightKind::attention, Role::attn_out},
    {"o_proj", WeightKind::attention, Role::attn_out},
    {"attn", WeightKind::attention, Role::q},
    {"q_proj", WeightKind::attention, Role::q},
    {"ffn_down", WeightKind::feed_forward, Role::down},
    {"down_proj", WeightKind::feed_forward, Role::down},
    {"ffn", WeightKind::feed_forward, Role::gate},
    {"mlp", WeightKind::feed_forward, Role::gate},
    {"output.weight", WeightKind::output, Role::head},
};

// The number after "blk." or "layers."; -1 outside layers.
int layer_in(std::string_view name) {
  for (const std::string_view before : {std::string_view("blk."), std::string_view("layers.")}) {
    const size_t at = name.find(before);
    int layer = -1;
    if (at == std::string_view::npos) continue;
    const char* begin = name.data() + at + before.size();
    if (std::from_chars(begin, name.data() + name.size(), layer).ec == std::errc()) return layer;
  }
  return -1;
}

WeightRow row_of(const files::Tensor& tensor) {
  WeightRow row;
  row.layer = layer_in(tensor.name);
  row.format = tensor.format;
  row.inputs = tensor.shape.empty() ? 1 : tensor.shape.back();
  if (tensor.shape.size() < 2) {
    row.kind = WeightKind::norms;
    return row;
  }
  row.outputs = tensor.shape[tensor.shape.size() - 2];
  for (size_t i = 0; i + 2 < tensor.shape.size(); ++i) row.count *= static_cast<int>(tensor.shape[i]);
  row.read = row.count;
  const auto known = std::find_if(std::begin(kNameParts), std::end(kNameParts),
                                  [&](const NamePart& part) { return tensor.name.find(part.part) != std::string::npos; });
  if (known == std::end(kNameParts)) return row;
  row.kind = known->kind;
  row.role = known->role;
  return row;
}

bool has_weights(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return !path.ends_with(".json");
  return fs::exists(fs::path(path) / "model.safetensors", ignored) || fs::exists(fs::path(path) / "model.safetensors.index.json", ignored);
}

files::Container container_of(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) || path.ends_with(".json") ? files::Container::hugging_face : files::Container::gguf;
}

int token_bytes(const files::ModelFiles& files) {
  if (files.container == files::Container::gguf) {
    const std::string kind = files.metadata.text("tokenizer.ggml.model", "");
    return kind.empty() || kind == "none" || kind == "no_vocab" ? 0 : kind == "gpt2" ? kByteLevelTokenBytes : kPieceTokenBytes;
  }
  if (fs::exists(fs::path(files.path) / "tokenizer.json")) return kByteLevelTokenBytes;
  return fs::exists(fs::path(files.path) / "tokenizer.model") ? kPieceTokenBytes : 0;
}

LayerKind kind_of(const model::LayerSpec& layer) {
  if (layer.state.inner > 0) return LayerKind::state;
  if (layer.attention.latent.kv_rank > 0) return LayerKind::latent;
  if (layer.attention.chunk > 0) return LayerKind::chunked;
  return layer.attention.window == model::kWholePast ? LayerKind::global : LayerKind::local;
}

LayerRow row_of(const model::ModelSpec& spec, int index) {
  const model::LayerSpec& layer = spec.layers[static_cast<size_t>(index)];
  const model::AttentionSpec& attention = layer.attention;
  LayerRow row;
  row.kind = kind_of(layer);
  row.feed_forward_width = layer.feed_forward.width;
  if (row.kind == LayerKind::state) {
    row.state_values = layer.state.floats();
    return row;
  }
  row.window = attention.chunk > 0 ? attention.chunk : attention.window;
  row.q_heads = attention.q_heads;
  row.kv_heads = attention.kv_heads;
  row.head_dim = attention.head_dim;
  row.shares_with = attention.shares_with;
  row.latent_values = attention.latent.kv_rank + attention.latent.rope_dim;
  row.latent_rank = attention.latent.kv_rank;
  row.one_stream = attention.value_is_key;
  if (row.one_stream && row.keeps_state()) row.turned = model::stored_heads(spec, index).turned;
  return row;
}

// Of experts, one token reads those that are chosen.
void count_chosen_experts(LayerTable& table) {
  for (WeightRow& row : table.weights) {
    if (row.kind != WeightKind::experts || row.layer < 0) continue;
    const model::ExpertsSpec& experts = table.spec->layers.at(static_cast<size_t>(row.layer)).feed_forward.experts;
    if (experts.count > 0) row.read = row.count * experts.used / experts.count;
  }
}

// Equal experts that are tensors of their own, as one row.
void join_experts(std::vector<WeightRow>& weights) {
  std::vector<WeightRow> joined;
  for (const WeightRow& row : weights) {
    const auto same = [&](const WeightRow& other) {
      return other.kind == WeightKind::experts && other.layer == row.layer && other.outputs == row.outputs && other.inputs == row.inputs &&
             other.format == row.format;
    };
    const auto known = row.kind == WeightKind::experts ? std::find_if(joined.begin(), joined.end(), same) : joined.end();
    if (known == joined.end()) {
      joined.push_back(row);
    } else {
      known->count += row.count;
      known->read += row.read;
    }
  }
  weights = std::move(joined);
}

// Whether add_expected_matrices knows all matrices of such layers.
bool is_plain(const model::ModelSpec& spec) {
  return spec.layer_input.width == 0 && std::all_of(spec.layers.begin(), spec.layers.end(), [](const model::LayerSpec& layer) {
           return layer.state.inner == 0 && layer.attention.latent.kv_rank == 0 && layer.feed_forward.experts.count == 0;
         });
}

// Whether a family of this engine reads such a configuration.
bool is_known(const files::Metadata& config) {
  const std::string type = config.text(config.has("text_config.model_type") ? "text_config.model_type" : "model_type", "");
  const auto& families = model::families();
  return std::any_of(families.begin(), families.end(), [&](const model::Family& family) {
    const auto& types = family.hugging_face_types;
    return std::find(types.begin(), types.end(), type) != types.end();
  });
}

LayerTable with_files(LayerTable table, const files::ModelFiles& files) {
  table.source = files.path;
  table.vocabulary_token_bytes = token_bytes(files);
  add_tensors(table, files.tensors);
  return table;
}

}  // namespace

LayerTable table_of(const model::ModelSpec& spec) {
  LayerTable table;
  table.name = spec.name;
  table.family = spec.family;
  table.vocabulary = spec.vocabulary;
  table.hidden = spec.hidden;
  table.context_tokens = spec.context_tokens;
  table.tied_head = spec.tied_head;
  table.spec = spec;
  for (size_t i = 0; i < spec.layers.size(); ++i) table.layers.push_back(row_of(spec, static_cast<int>(i)));
  return table;
}

void add_tensors(LayerTable& table, const files::TensorTable& tensors) {
  table.formats_known = true;
  table.tied_head = true;
  for (const auto& [name, tensor] : tensors.all()) {
    if (!model::is_text_tensor(name)) continue;
    const WeightRow row = row_of(tensor);
    if (row.kind == WeightKind::embedding && table.vocabulary == 0) table.vocabulary = static_cast<int>(row.outputs);
    if (row.kind == WeightKind::output) table.tied_head = false;
    table.weights.push_back(row);
  }
  join_experts(table.weights);
  if (table.spec) count_chosen_experts(table);
}

void add_expected_matrices(LayerTable& table) {
  const auto add = [&](WeightKind kind, Role role, int layer, int64_t outputs, int64_t inputs) {
    table.weights.push_back({.kind = kind, .role = role, .layer = layer, .outputs = outputs, .inputs = inputs});
  };
  add(WeightKind::embedding, Role::embedding, -1, table.vocabulary, table.hidden);
  if (!table.tied_head) add(WeightKind::output, Role::head, -1, table.vocabulary, table.hidden);
  add(WeightKind::norms, Role::q, -1, 0, table.hidden);
  for (size_t i = 0; i < table.layers.size(); ++i) {
    const LayerRow& row = table.layers[i];
    const int layer = static_cast<int>(i);
    const int64_t q = int64_t{row.q_heads} * row.head_dim, kv = int64_t{row.kv_heads} * row.head_dim;
    if (row.has_heads()) {
      add(WeightKind::attention, Role::q, layer, q, table.hidden);
      if (row.keeps_state()) add(WeightKind::attention, Role::k, layer, kv, table.hidden);
      if (row.keeps_state()) add(WeightKind::attention, Role::v, layer, kv, table.hidden);
      add(WeightKind::attention, Role::attn_out, layer, table.hidden, q);
    }
    if (row.feed_forward_width > 0) {
      add(WeightKind::feed_forward, Role::gate, layer, row.feed_forward_width, table.hidden);
      add(WeightKind::feed_forward, Role::up, layer, row.feed_forward_width, table.hidden);
      add(WeightKind::feed_forward, Role::down, layer, table.hidden, row.feed_forward_width);
    }
    add(WeightKind::norms, Role::q, layer, 0, int64_t{4} * table.hidden);
  }
}

LayerTable table_of_files(const model::ModelSpec& spec, const files::ModelFiles& files) { return with_files(table_of(spec), files); }

LayerTable read_table(const std::string& path, const std::string& quant) {
  const bool folder = container_of(path) == files::Container::hugging_face;
  if (!has_weights(path)) {
    const files::Metadata config = files::read_config(path);
    if (folder && !is_known(config)) {
      LayerTable table = table_of_config(config);
      table.source = path;
      return table;
    }
    LayerTable table = table_of(model::read_spec(config, container_of(path)));
    table.source = path;
    if (is_plain(*table.spec)) add_expected_matrices(table);
    else table.weights = table_of_config(config).weights;
    return table;
  }
  const files::ModelFiles files = files::open_model(path);
  const bool widens = conversion::widens(files, quant);
  if (!quant.empty() && !widens) {
    const conversion::QuantizedFiles quantized = conversion::planned_files(files, quant);
    return table_of_files(quantized.spec, quantized.files);
  }
  if (folder && !is_known(files.metadata)) {
    LayerTable table = table_of_config(files.metadata);
    table.weights.clear();
    return with_files(std::move(table), files);
  }
  model::ModelSpec spec = model::read_spec(files.metadata, files.container);
  model::complete_spec(spec, files.tensors);
  if (widens) return table_of_files(spec, conversion::planned_widened_files(files));
  return table_of_files(spec, files);
}

}  // namespace fovea::planner
