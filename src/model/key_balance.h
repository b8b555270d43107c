// Brings queries and keys to like sizes, dimension by dimension, so that narrow codecs of keys lose less.
#pragma once

#include "model/spec.h"
#include "model/weights.h"

namespace fovea::model {

// What a codec loses of a key is alike in all dimensions (kernels/narrow_codec.h), and a score multiplies it by the query. Where heads
// are normed, the weights of the norms say how large queries and keys are in each dimension: keys are multiplied by 2^e there and
// queries by 2^-e, which leaves every score as it is, bit for bit, and makes the sizes alike within a factor of two. Both dimensions of
// a pair that rope turns have the same e.
//
// Layers whose keys are not their own norm's (value_is_key) stay as they are.
void balance_keys(const ModelSpec& spec, Weights& weights);

}  // namespace fovea::model
