// A model with random weights and a real tokenizer, small enough to be written by a test.
#pragma once

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "cli_program.h"

namespace fovea::cli_tests {

// Fills `folder` with a llama of two layers, the byte-level tokenizer of the test data, and a chat template.
inline void write_tiny_model(const TemporaryFolder& folder) {
  constexpr int kVocabulary = 704, kHidden = 32, kWidth = 48, kHeads = 4, kKvHeads = 2, kLayers = 2;
  constexpr int kKvWidth = kHidden / kHeads * kKvHeads;
  const nlohmann::json config = {{"model_type", "llama"},         {"architectures", {"LlamaForCausalLM"}},
                                 {"vocab_size", kVocabulary},     {"hidden_size", kHidden},
                                 {"intermediate_size", kWidth},   {"num_hidden_layers", kLayers},
                                 {"num_attention_heads", kHeads}, {"num_key_value_heads", kKvHeads},
                                 {"rms_norm_eps", 1e-5},          {"max_position_embeddings", 512},
                                 {"hidden_act", "silu"},          {"tie_word_embeddings", true},
                                 {"rope_theta", 10000.0},         {"torch_dtype", "float32"}};
  write_file(folder / "config.json", config.dump());
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(fs::path(FOVEA_TEST_DATA) / "text" / "byte_level" / name, folder / name);
  }
  write_file(folder / "chat_template.jinja",
             "{% for message in messages %}<s>{{ message.role }}: {{ message.content }}</s>{% endfor %}assistant:");

  nlohmann::json header = nlohmann::json::object();
  std::string data;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-0.3f, 0.3f);
  const auto add = [&](const std::string& name, std::vector<int> shape) {
    size_t count = 1;
    for (const int extent : shape) count *= static_cast<size_t>(extent);
    const size_t begin = data.size();
    for (size_t i = 0; i < count; ++i) {
      const float value = shape.size() == 1 ? 1.f : uniform(random);  // norms are vectors
      data.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
  };
  add("model.embed_tokens.weight", {kVocabulary, kHidden});
  add("model.norm.weight", {kHidden});
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    add(prefix + "input_layernorm.weight", {kHidden});
    add(prefix + "post_attention_layernorm.weight", {kHidden});
    add(prefix + "self_attn.q_proj.weight", {kHidden, kHidden});
    add(prefix + "self_attn.k_proj.weight", {kKvWidth, kHidden});
    add(prefix + "self_attn.v_proj.weight", {kKvWidth, kHidden});
    add(prefix + "self_attn.o_proj.weight", {kHidden, kHidden});
    add(prefix + "mlp.gate_proj.weight", {kWidth, kHidden});
    add(prefix + "mlp.up_proj.weight", {kWidth, kHidden});
    add(prefix + "mlp.down_proj.weight", {kHidden, kWidth});
  }
  const std::string text = header.dump();
  const uint64_t length = text.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  write_file(folder / "model.safetensors", file + text + data);
}

}  // namespace fovea::cli_tests
