#include "kernels/stored_key.h"

#include "kernels/plain_number.h"

namespace fovea::kernels {

void read_key(const KvLayout& layout, const std::byte* slice, int head, int slot, float* key) {
  const std::byte* keys = slice + static_cast<size_t>(head) * layout.key_head_bytes();
  for (int d = 0; d < layout.head_dim; ++d) key[d] = load_number(layout.codec.keys, keys, layout.key_at(d, slot));
}

void write_key(const KvLayout& layout, std::byte* slice, int head, int slot, const float* key) {
  std::byte* keys = slice + static_cast<size_t>(head) * layout.key_head_bytes();
  for (int d = 0; d < layout.head_dim; ++d) store_number(layout.codec.keys, keys, layout.key_at(d, slot), key[d]);
}

}  // namespace fovea::kernels
