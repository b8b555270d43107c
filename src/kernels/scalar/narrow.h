// The specification of narrow codecs (kernels/narrow_codec.h), one number at a time.
#pragma once

#include <cstddef>

#include "kernels/kv_layout.h"

namespace fovea::kernels::scalar {

// The rotation of n numbers in place, or its inverse.
void turn(bool back, int n, float* x);

// REQUIRES narrow codecs of the keys, of the values.
void store_narrow_key(const KvLayout& layout, std::byte* slice, int head, int slot, const float* key);
void store_narrow_value(const KvLayout& layout, std::byte* slice, int head, int slot, const float* value);

// Dimension d as it is stored: rotated where the codec rotates, and without its scale.
float narrow_key(const KvLayout& layout, const std::byte* slice, int head, int slot, int d);
float narrow_value(const KvLayout& layout, const std::byte* slice, int head, int slot, int d);
// REQUIRES scaled codecs.
float key_scale(const KvLayout& layout, const std::byte* slice, int head, int slot, int part);
float value_scale(const KvLayout& layout, const std::byte* slice, int head, int slot);

}  // namespace fovea::kernels::scalar
