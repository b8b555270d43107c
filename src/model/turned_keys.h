// Keys are stored after rope. Where positions change, stored keys are turned from the old to the new one, by the rope of
// their layer: base, scaling, and the dimensions that turn at all. (Keys that are stored before rope, because values are made of the
// same, are turned as they are read: kv::Cache::view says where they stand.)
#pragma once

#include <vector>

#include "kernels/compute.h"
#include "kv/cache.h"
#include "model/spec.h"

namespace fovea::model {

// Two dimensions of a stored key (StoredHeads) that turn together.
struct TurningPair {
  int low, high;
  double frequency;  // radians per position
};
// Of the keys that this layer stores. Empty: they do not depend on their position.
//   context_tokens  the longest sequence; ropes that differ for long contexts go by it
std::vector<TurningPair> turning_pairs_of_key(const ModelSpec& spec, int layer, int context_tokens);

// Key [head_dim] of position p -> of position p + by.
void turn_key(const std::vector<TurningPair>& pairs, int by, float* key);

// Stored keys [begin, end) of a sequence, counted as view() has them, in every layer that keeps that many (windows: the part
// that is there).
void turn_keys(const ModelSpec& spec, const kv::Cache& cache, kv::SequenceId sequence, int begin, int end, int by, int context_tokens,
               const kernels::Compute& compute);
// After Cache::evict: the sinks that it copied, each layer's by as many positions as that has forgotten.
void turn_moved_sinks(const ModelSpec& spec, const kv::Cache& cache, kv::SequenceId sequence, int context_tokens,
                      const kernels::Compute& compute);

// Throws Error where a span cannot be taken out of what the model keeps.
void require_shiftable(const ModelSpec& spec);

}  // namespace fovea::model
