#include "planner/known_models.h"

#include <algorithm>

#include "fovea/plan.h"
#include "model/registry.h"
#include "planner/table_from_files.h"

namespace fovea::planner {
namespace {

struct Heads {
  int kv_heads = 0, head_dim = 0;
};

struct Experts {
  int count = 0, used = 0, width = 0;
  int shared_width = 0;     // of the expert that every token visits
  int first_layer = 0, every = 1;  // layers that have them
  bool beside_dense = false;       // a dense feed-forward stays in the same layer
};

struct Configuration {
  std::string_view name, alias, family, source;
  int layers, hidden, width, q_heads;
  Heads global, local = {};
  int window = 0;    // tokens; 0: no local layers
  int period = 0;    // the last of every `period` layers is global; 0: all are (or, with a window, none is)
  bool last_is_global = false;
  int vocabulary = 0, context_tokens = 0;
  bool tied_head = true, byte_level = false;  // byte_level: the vocabulary, not SentencePiece
  Experts experts = {};
  int shared_kv_layers = 0;
  bool double_width_when_shared = false;
  int per_layer_embedding = 0;
  bool k_is_v = false;  // global layers have no matrix for values
  int latent = 0, q_rank = 0, latent_rank = 0, nope = 0, rope = 0;  // compressed keys and values
  int state_period = 0, state_attention = 0, state_width = 0, state_size = 0, state_conv = 0;  // recurrent layers but one of a period
};

constexpr std::string_view kGemma3 = "published configuration (Gemma 3, 2025)", kGemma4 = "published configuration (Gemma 4, 2026)",
                           kGemma2 = "published configuration (Gemma 2, 2024)";

// Sources: config.json as each model was published with; the teaching example is 30 layers of 8 K/V heads of 128.
constexpr Configuration kConfigurations[] = {
    {.name = "gemma3-270m", .alias = "", .family = "gemma3", .source = kGemma3, .layers = 18, .hidden = 640, .width = 2048, .q_heads = 4,
     .global = {1, 256}, .local = {1, 256}, .window = 512, .period = 6, .vocabulary = 262144, .context_tokens = 32768},
    {.name = "gemma3-1b", .alias = "", .family = "gemma3", .source = kGemma3, .layers = 26, .hidden = 1152, .width = 6912, .q_heads = 4,
     .global = {1, 256}, .local = {1, 256}, .window = 512, .period = 6, .vocabulary = 262144, .context_tokens = 32768},
    {.name = "gemma3-4b", .alias = "", .family = "gemma3", .source = kGemma3, .layers = 34, .hidden = 2560, .width = 10240, .q_heads = 8,
     .global = {4, 256}, .local = {4, 256}, .window = 1024, .period = 6, .vocabulary = 262208, .context_tokens = 131072},
    {.name = "gemma3-12b", .alias = "", .family = "gemma3", .source = kGemma3, .layers = 48, .hidden = 3840, .width = 15360, .q_heads = 16,
     .global = {8, 256}, .local = {8, 256}, .window = 1024, .period = 6, .vocabulary = 262208, .context_tokens = 131072},
    {.name = "gemma3-27b", .alias = "", .family = "gemma3", .source = kGemma3, .layers = 62, .hidden = 5376, .width = 21504, .q_heads = 32,
     .global = {16, 128}, .local = {16, 128}, .window = 1024, .period = 6, .vocabulary = 262208, .context_tokens = 131072},
    {.name = "gemma4-e2b", .alias = "", .family = "gemma4", .source = kGemma4, .layers = 35, .hidden = 1536, .width = 6144, .q_heads = 8,
     .global = {1, 512}, .local = {1, 256}, .window = 512, .period = 5, .last_is_global = true, .vocabulary = 262144, .context_tokens = 131072,
     .shared_kv_layers = 20, .double_width_when_shared = true, .per_layer_embedding = 256},
    {.name = "gemma4-e4b", .alias = "", .family = "gemma4", .source = kGemma4, .layers = 42, .hidden = 2560, .width = 10240, .q_heads = 8,
     .global = {2, 512}, .local = {2, 256}, .window = 512, .period = 6, .last_is_global = true, .vocabulary = 262144, .context_tokens = 131072,
     .shared_kv_layers = 18, .per_layer_embedding = 256},
    {.name = "gemma4-12b", .alias = "", .family = "gemma4", .source = kGemma4, .layers = 48, .hidden = 3840, .width = 15360, .q_heads = 16,
     .global = {1, 512}, .local = {8, 256}, .window = 1024, .period = 6, .last_is_global = true, .vocabulary = 262144, .context_tokens = 262144,
     .k_is_v = true},
    {.name = "gemma4-26b-a4b", .alias = "gemma4-26b", .family = "gemma4", .source = kGemma4, .layers = 30, .hidden = 2816, .width = 2112, .q_heads = 16,
     .global = {2, 512}, .local = {8, 256}, .window = 1024, .period = 6, .last_is_global = true, .vocabulary = 262144, .context_tokens = 262144,
     .experts = {.count = 128, .used = 8, .width = 704, .beside_dense = true}, .k_is_v = true},
    {.name = "gemma4-31b", .alias = "", .family = "gemma4", .source = kGemma4, .layers = 60, .hidden = 5376, .width = 21504, .q_heads = 32,
     .global = {4, 512}, .local = {16, 256}, .window = 1024, .period = 6, .last_is_global = true, .vocabulary = 262144, .context_tokens = 262144,
     .k_is_v = true},
    {.name = "gemma2-2b", .alias = "", .family = "gemma2", .source = kGemma2, .layers = 26, .hidden = 2304, .width = 9216, .q_heads = 8,
     .global = {4, 256}, .local = {4, 256}, .window = 4096, .period = 2, .vocabulary = 256000, .context_tokens = 8192},
    {.name = "gemma2-9b", .alias = "", .family = "gemma2", .source = kGemma2, .layers = 42, .hidden = 3584, .width = 14336, .q_heads = 16,
     .global = {8, 256}, .local = {8, 256}, .window = 4096, .period = 2, .vocabulary = 256000, .context_tokens = 8192},
    {.name = "gemma2-27b", .alias = "", .family = "gemma2", .source = kGemma2, .layers = 46, .hidden = 4608, .width = 36864, .q_heads = 32,
     .global = {16, 128}, .local = {16, 128}, .window = 4096, .period = 2, .vocabulary = 256000, .context_tokens = 8192},
    {.name = "llama3-8b", .alias = "llama3.1-8b", .family = "llama", .source = "published configuration (Llama 3.1, 2024)", .layers = 32,
     .hidden = 4096, .width = 14336, .q_heads = 32, .global = {8, 128}, .vocabulary = 128256, .context_tokens = 131072, .tied_head = false, .byte_level = true},
    {.name = "llama3-70b", .alias = "llama3.1-70b", .family = "llama", .source = "published configuration (Llama 3.1, 2024)", .layers = 80,
     .hidden = 8192, .width = 28672, .q_heads = 64, .global = {8, 128}, .vocabulary = 128256, .context_tokens = 131072, .tied_head = false, .byte_level = true},
    {.name = "mistral-7b", .alias = "mistral-7b-v0.1", .family = "mistral", .source = "published configuration (Mistral 7B v0.1, 2023)", .layers = 32,
     .hidden = 4096, .width = 14336, .q_heads = 32, .global = {8, 128}, .local = {8, 128}, .window = 4096, .vocabulary = 32000,
     .context_tokens = 32768, .tied_head = false},
    {.name = "qwen3-8b", .alias = "", .family = "qwen3", .source = "published configuration (Qwen3, 2025)", .layers = 36, .hidden = 4096, .width = 12288,
     .q_heads = 32, .global = {8, 128}, .vocabulary = 151936, .context_tokens = 40960, .tied_head = false, .byte_level = true},
    {.name = "deepseek-v3", .alias = "", .family = "deepseek_v3", .source = "published configuration (DeepSeek-V3, 2024)", .layers = 61, .hidden = 7168,
     .width = 18432, .q_heads = 128, .global = {128, 128}, .vocabulary = 129280, .context_tokens = 163840, .tied_head = false, .byte_level = true,
     .experts = {.count = 256, .used = 8, .width = 2048, .shared_width = 2048, .first_layer = 3},
     .latent = 576, .q_rank = 1536, .latent_rank = 512, .nope = 128, .rope = 64},
    {.name = "gpt-oss-20b", .alias = "", .family = "gpt_oss", .source = "published configuration (gpt-oss-20b, 2025)", .layers = 24, .hidden = 2880,
     .width = 0, .q_heads = 64, .global = {8, 64}, .local = {8, 64}, .window = 128, .period = 2, .vocabulary = 201088, .context_tokens = 131072,
     .tied_head = false, .byte_level = true, .experts = {.count = 32, .used = 4, .width = 2880}},
    {.name = "jamba-mini", .alias = "", .family = "jamba", .source = "published configuration (Jamba Mini, 2024)", .layers = 32, .hidden = 4096,
     .width = 14336, .q_heads = 32, .global = {8, 128}, .vocabulary = 65536, .context_tokens = 262144, .tied_head = false,
     .experts = {.count = 16, .used = 2, .width = 14336, .first_layer = 1, .every = 2},
     .state_period = 8, .state_attention = 4, .state_width = 8192, .state_size = 16, .state_conv = 4},
    {.name = "lesson-30", .alias = "", .family = "lesson", .source = "teaching example: 30 layers, 8 K/V heads of 128, 5 local to 1 global, window 1,024",
     .layers = 30, .hidden = 4096, .width = 14336, .q_heads = 32, .global = {8, 128}, .local = {8, 128}, .window = 1024, .period = 6,
     .vocabulary = 128256, .context_tokens = 131072},
};

bool is_global(const Configuration& c, int layer) {
  if (c.window == 0 || (c.last_is_global && layer == c.layers - 1)) return true;
  return c.period > 0 && (layer + 1) % c.period == 0;
}

bool is_recurrent(const Configuration& c, int layer) {
  return c.state_period > 0 && layer % c.state_period != c.state_attention;
}

bool has_experts(const Configuration& c, int layer) {
  const Experts& e = c.experts;
  return e.count > 0 && layer >= e.first_layer && (layer - e.first_layer) % e.every == 0;
}

// The last layer of the same kind that keeps its own.
int donor_of(const Configuration& c, int layer) {
  const int first_shared = c.layers - c.shared_kv_layers;
  if (layer < first_shared) return -1;
  int donor = first_shared - 1;
  while (is_global(c, donor) != is_global(c, layer)) --donor;
  return donor;
}

LayerRow row_of(const Configuration& c, int layer) {
  LayerRow row;
  row.q_heads = c.q_heads;
  row.shares_with = donor_of(c, layer);
  row.feed_forward_width = c.double_width_when_shared && row.shares_with >= 0 ? 2 * c.width : c.width;
  if (has_experts(c, layer) && !c.experts.beside_dense) row.feed_forward_width = 0;
  const Heads& heads = is_global(c, layer) ? c.global : c.local;
  row.kv_heads = heads.kv_heads;
  row.head_dim = heads.head_dim;
  if (is_recurrent(c, layer)) {
    row.kind = LayerKind::state;
    row.state_values = int64_t{c.state_width} * (c.state_conv - 1) + int64_t{c.state_width} * c.state_size;
  } else if (c.latent > 0) {
    row.kind = LayerKind::latent;
    row.latent_values = c.latent;
  } else if (!is_global(c, layer)) {
    row.kind = LayerKind::local;
    row.window = c.window;
  }
  return row;
}

class MatrixList {
 public:
  MatrixList(const Configuration& c, LayerTable& table) : c_(c), table_(table) {}

  // What the plain decoder's list lacks.
  void add_special() {
    for (int layer = 0; layer < c_.layers; ++layer) {
      const LayerRow& row = table_.layers[static_cast<size_t>(layer)];
      if (row.kind == LayerKind::latent) add_latent(layer);
      if (row.kind == LayerKind::state) add_recurrent(layer);
      if (has_experts(c_, layer)) add_experts(layer);
      if (c_.per_layer_embedding > 0) {
        add(WeightKind::per_layer_embedding, layer, c_.per_layer_embedding, c_.hidden);
        add(WeightKind::per_layer_embedding, layer, c_.hidden, c_.per_layer_embedding);
      }
    }
    if (c_.per_layer_embedding > 0) {
      const int64_t all = int64_t{c_.layers} * c_.per_layer_embedding;
      add(WeightKind::per_layer_embedding, -1, all, c_.hidden);
      add(WeightKind::per_layer_embedding, -1, c_.vocabulary, all, 1, 0);  // one row is looked up
    }
    if (c_.k_is_v) drop_values_of_global_layers();
  }

 private:
  void add(WeightKind kind, int layer, int64_t outputs, int64_t inputs, int count = 1, int read = 1) {
    table_.weights.push_back({.kind = kind, .role = synthesis::Role::q, .layer = layer, .outputs = outputs, .inputs = inputs,
                              .count = count, .read = read});
  }

  void add_latent(int layer) {
    const int64_t heads = c_.q_heads, q = heads * (c_.nope + c_.rope), values = heads * c_.global.head_dim;
    add(WeightKind::attention, layer, c_.q_rank, c_.hidden);
    add(WeightKind::attention, layer, q, c_.q_rank);
    add(WeightKind::attention, layer, c_.latent, c_.hidden);
    add(WeightKind::attention, layer, heads * (c_.nope + c_.global.head_dim), c_.latent_rank);
    add(WeightKind::attention, layer, c_.hidden, values);
  }

  void add_recurrent(int layer) {
    const int64_t width = c_.state_width, time_rank = (c_.hidden + 15) / 16;
    add(WeightKind::recurrent, layer, 2 * width, c_.hidden);
    add(WeightKind::recurrent, layer, time_rank + 2 * c_.state_size, width);
    add(WeightKind::recurrent, layer, width, time_rank);
    add(WeightKind::recurrent, layer, c_.hidden, width);
    add(WeightKind::recurrent, layer, 0, width * (c_.state_size + c_.state_conv + 2));
  }

  void add_experts(int layer) {
    const Experts& e = c_.experts;
    add(WeightKind::experts, layer, 2 * e.width, c_.hidden, e.count, e.used);
    add(WeightKind::experts, layer, c_.hidden, e.width, e.count, e.used);
    add(WeightKind::experts, layer, e.count, c_.hidden);  // router
    if (e.shared_width == 0) return;
    add(WeightKind::feed_forward, layer, 2 * e.shared_width, c_.hidden);
    add(WeightKind::feed_forward, layer, c_.hidden, e.shared_width);
  }

  void drop_values_of_global_layers() {
    std::erase_if(table_.weights, [&](const WeightRow& row) {
      return row.kind == WeightKind::attention && row.role == synthesis::Role::v && row.layer >= 0 && is_global(c_, row.layer);
    });
  }

  const Configuration& c_;
  LayerTable& table_;
};

bool is_computed(std::string_view family) {
  const auto& families = model::families();
  return std::any_of(families.begin(), families.end(), [&](const model::Family& known) {
    const auto& types = known.hugging_face_types;
    return known.name == family || std::find(types.begin(), types.end(), family) != types.end();
  });
}

}  // namespace

std::optional<LayerTable> known_table(std::string_view name) {
  const auto found = std::find_if(std::begin(kConfigurations), std::end(kConfigurations), [&](const Configuration& c) {
    return c.name == name || (!name.empty() && c.alias == name);
  });
  if (found == std::end(kConfigurations)) return std::nullopt;
  const Configuration& c = *found;
  LayerTable table;
  table.name = c.name;
  table.family = c.family;
  table.source = c.source;
  table.vocabulary = c.vocabulary;
  table.hidden = c.hidden;
  table.context_tokens = c.context_tokens;
  table.tied_head = c.tied_head;
  table.vocabulary_token_bytes = c.byte_level ? kByteLevelTokenBytes : kPieceTokenBytes;
  for (int layer = 0; layer < c.layers; ++layer) table.layers.push_back(row_of(c, layer));
  add_expected_matrices(table);
  MatrixList(c, table).add_special();
  if (!is_computed(c.family)) table.not_computed.push_back("the family " + std::string(c.family) + " is not one it computes");
  return table;
}

}  // namespace fovea::planner

namespace fovea {

const std::vector<KnownConfiguration>& known_configurations() {
  static const std::vector<KnownConfiguration> kKnown = [] {
    std::vector<KnownConfiguration> known;
    for (const auto& c : planner::kConfigurations) known.push_back({c.name, c.alias, c.source});
    return known;
  }();
  return kKnown;
}

}  // namespace fovea
