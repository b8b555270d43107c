// The shapes of published models: a table of facts.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace fovea::synthesis {

enum class Architecture : uint8_t { gemma3, llama };

struct Shape {
  std::string_view name, alias;
  Architecture architecture;
  int layers, hidden, width;  // width: of the feed-forward
  int q_heads, kv_heads, head_dim;
  int vocabulary;
  int context_tokens;
  int window;  // of local layers, tokens; 0: there are none
  float rope_base, norm_eps;
  float rope_factor;  // gemma3: positions of global layers are divided by it; llama: as Llama 3.1 scales; 1:
                      // none
  bool tied_head;
};

std::span<const Shape> shapes();

// errors  Error listing the names when there is no such shape
const Shape& shape_named(std::string_view name);

}  // namespace fovea::synthesis
