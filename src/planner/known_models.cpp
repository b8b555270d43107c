#include "planner/known_models.h"

#include <algorithm>

#include "fovea/plan.h"
#include "planner/configuration.h"

namespace fovea::planner {
namespace {

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

}  // namespace

std::optional<LayerTable> known_table(std::string_view name) {
  const auto found = std::find_if(std::begin(kConfigurations), std::end(kConfigurations), [&](const Configuration& c) {
    return c.name == name || (!name.empty() && c.alias == name);
  });
  if (found == std::end(kConfigurations)) return std::nullopt;
  return table_of(*found, global_layers(*found));
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
