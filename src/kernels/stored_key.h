// One key of a page as floats, and back: for whoever changes keys that are stored already. REQUIRES keys of f32, f16 or bf16.
#pragma once

#include <cstddef>

#include "kernels/kv_layout.h"

namespace fovea::kernels {

//   slice  of a page, as KvPages::slice gives it
//   key    [head_dim]
void read_key(const KvLayout& layout, const std::byte* slice, int head, int slot, float* key);
// Rounds as KernelSet::store_kv does. Values stay as they are (those that are dimensions of the key: as `key` has them).
void write_key(const KvLayout& layout, std::byte* slice, int head, int slot, const float* key);

}  // namespace fovea::kernels
