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

// Counts weights as packed in memory, keys and values in the codecs of `options`, and nothing that stays in
// caches.
class WorkEstimate {
 public:
  // weights_bytes, layer_macs  of one token (Model::bytes_per_token, macs_per_token): of experts, those it is sent to
  WorkEstimate(const ModelFacts& facts, int64_t weights_bytes, int64_t layer_macs, const EngineOptions& options);

  // One step over positions first_position .. first_position + tokens - 1 of a sequence, with `logit_rows`
  // rows of logits. Weights are read once; so are the keys and values that any of the positions sees.
  Work step(int first_position, int tokens, int logit_rows) const;

 private:
  ModelFacts facts_;
  double weights_bytes_, layer_macs_, logit_macs_;
  KvCodecs kv_local_, kv_global_;
  EvictionOptions eviction_;
};

}  // namespace fovea::eval
