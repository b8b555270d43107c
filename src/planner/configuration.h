// A model described by its dimensions, as configurations publish them.
#pragma once

#include <string_view>
#include <vector>

#include "planner/layer_table.h"

namespace fovea::planner {

struct Heads {
  int kv_heads = 0, head_dim = 0;
};

struct Experts {
  int count = 0, used = 0, width = 0;
  int shared_width = 0;            // of the expert that every token visits
  int first_layer = 0, every = 1;  // layers that have them
  bool beside_dense = false;       // a dense feed-forward stays in the same layer
};

struct Configuration {
  std::string_view name, alias, family, source;
  int layers, hidden, width, q_heads;
  Heads global, local = {};
  int window = 0;  // tokens; 0: no local layers
  int period = 0;  // the last of every `period` layers is global; 0: all are (or, with a window, none is)
  bool last_is_global = false;
  int vocabulary = 0, context_tokens = 0;
  bool tied_head = true, byte_level = false;  // byte_level: the vocabulary, not SentencePiece
  Experts experts = {};
  int shared_kv_layers = 0;
  bool double_width_when_shared = false;
  int per_layer_embedding = 0;
  bool k_is_v = false;                                              // global layers have no matrix for values
  int latent = 0, q_rank = 0, latent_rank = 0, nope = 0, rope = 0;  // compressed keys and values
  int state_period = 0, state_attention = 0, state_width = 0, state_size = 0,
      state_conv = 0;  // recurrent layers but one of a period
};

// Which layers are global, by window, period and last_is_global.
std::vector<bool> global_layers(const Configuration& configuration);

// Layers and matrices. global: one entry per layer.
LayerTable table_of(const Configuration& configuration, const std::vector<bool>& global);

}  // namespace fovea::planner
