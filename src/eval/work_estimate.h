// What computing tokens costs at least: bytes that must be read, multiply-adds that must be done.
#pragma once

#include <cstdint>

#include "fovea/model.h"
#include "fovea/options.h"

namespace fovea::eval {

struct Work {
  double bytes = 0;
  double macs = 0;
};

// Of one token (Model::bytes_per_token and so on): of experts, those it is sent to.
struct WeightWork {
  int64_t bytes, layer_macs, stored_macs;
};

// Counts weights as packed in memory, keys and values in the codecs of `options`, and nothing that stays in
// caches.
class WorkEstimate {
 public:
  WorkEstimate(const ModelFacts& facts, const WeightWork& weights, const EngineOptions& options);

  // One step over positions first_position .. first_position + tokens - 1 of a sequence, with logits of the
  // last `logit_rows`. Weights are read once; so are the keys and values that any of the positions sees.
  Work step(int first_position, int tokens, int logit_rows) const;

 private:
  ModelFacts facts_;
  size_t last_stored_;  // of the layers
  double weights_bytes_, layer_macs_, stored_macs_, logit_macs_;
  KvCodecs kv_local_, kv_global_;
  EvictionOptions eviction_;
};

}  // namespace fovea::eval
