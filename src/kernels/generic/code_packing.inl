// Where codes lie (kernels/kv_layout.h), number by number. Included by the scalar specification and by narrow_store.inl.

// Puts `code` at lane `lane` of vector `vector`; the bits there are 0 or of an older code.
template <int kBits, bool kKeys>
inline void put_code(std::byte* base, int vector, int lane, unsigned code) {
  auto* bytes = reinterpret_cast<uint8_t*>(base);
  if constexpr (kBits == 8) {
    bytes[vector * 32 + lane] = static_cast<uint8_t>(code);
  } else {
    constexpr unsigned kMask = (1u << kBits) - 1u;
    uint8_t* group = bytes + vector / 4 * 16 * kBits;
    const unsigned shift = static_cast<unsigned>(vector % 4 * kBits);
    const auto put = [&](uint8_t& byte, unsigned mask, unsigned bits) {
      byte = static_cast<uint8_t>((byte & ~mask) | (bits & mask));
    };
    if constexpr (kBits == 2) {
      put(group[lane], kMask << shift, code << shift);
    } else if constexpr (kBits == 4) {
      put(group[2 * lane + static_cast<int>(shift / 8)], kMask << shift % 8, code << shift % 8);
    } else {
      uint8_t& upper = group[32 + (kKeys ? lane / 2 : lane % 16)];
      const unsigned high = 4u * static_cast<unsigned>(kKeys ? lane % 2 : lane / 16);
      put(group[lane], kMask << shift & 0xffu, code << shift);
      put(upper, (kMask << shift >> 8) << high, (code << shift >> 8) << high);
    }
  }
}

template <int kBits, bool kKeys>
inline unsigned code_at(const std::byte* base, int vector, int lane) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(base);
  if constexpr (kBits == 8) return bytes[vector * 32 + lane];
  const uint8_t* group = bytes + vector / 4 * 16 * kBits;
  unsigned word = kBits == 4 ? group[2 * lane] | group[2 * lane + 1] << 8 : group[lane];
  if constexpr (kBits == 3) word |= (group[32 + (kKeys ? lane / 2 : lane % 16)] >> 4 * (kKeys ? lane % 2 : lane / 16) & 0xfu) << 8;
  return word >> vector % 4 * kBits & ((1u << kBits) - 1u);
}
