#include "kernels/stored_block.h"

#include <cassert>
#include <cstring>

namespace fovea::kernels {
namespace {

uint16_t u16_at(const uint8_t* p) {
  uint16_t value;
  std::memcpy(&value, p, 2);
  return value;
}

uint32_t u32_at(const uint8_t* p) {
  uint32_t value;
  std::memcpy(&value, p, 4);
  return value;
}

// 16 bytes of nibbles: low nibbles are values 0..15, high nibbles 16..31.
void read_nibbles(const uint8_t* bytes, uint8_t* q) {
  for (int j = 0; j < 16; ++j) {
    q[j] = bytes[j] & 0x0f;
    q[j + 16] = bytes[j] >> 4;
  }
}

void add_fifth_bits(uint32_t bits, uint8_t* q) {
  for (int j = 0; j < 32; ++j) q[j] = static_cast<uint8_t>(q[j] | (((bits >> j) & 1u) << 4));
}

void read_q8_0(const uint8_t* p, StoredBlock& block) {
  block.d = u16_at(p);
  for (int j = 0; j < 32; ++j) block.q[j] = p[2 + j] ^ 0x80;  // signed, -128..127 -> 0..255
}

// Scale and minimum of 6 bits each, eight of both in 12 bytes.
void read_six_bit_pairs(const uint8_t* p, uint8_t* small) {
  for (int j = 0; j < 4; ++j) {
    small[j] = p[j] & 63;
    small[j + 8] = p[j + 4] & 63;
    small[j + 4] = static_cast<uint8_t>((p[j + 8] & 0x0f) | ((p[j] >> 6) << 4));
    small[j + 12] = static_cast<uint8_t>((p[j + 8] >> 4) | ((p[j + 4] >> 6) << 4));
  }
}

// Pairs of bits: value 128 n + 32 j + l is bits 2j of byte 32 n + l.
void read_bit_pairs(const uint8_t* bytes, uint8_t* q) {
  for (int n = 0; n < 2; ++n) {
    for (int j = 0; j < 4; ++j) {
      for (int l = 0; l < 32; ++l) q[128 * n + 32 * j + l] = (bytes[32 * n + l] >> (2 * j)) & 3;
    }
  }
}

void read_q2_k(const uint8_t* p, StoredBlock& block) {
  std::memcpy(block.small, p, 16);
  read_bit_pairs(p + 16, block.q);
  block.d = u16_at(p + 80);
  block.d_min = u16_at(p + 82);
}

void read_q3_k(const uint8_t* p, StoredBlock& block) {
  const uint8_t* high = p;
  const uint8_t* scales = p + 96;
  read_bit_pairs(p + 32, block.q);
  for (int i = 0; i < 256; ++i) {
    block.q[i] = static_cast<uint8_t>(block.q[i] | (((high[i % 32] >> (i / 32)) & 1) << 2));
  }
  for (int i = 0; i < 16; ++i) {  // 4 low bits in bytes 0..7, 2 high bits in bytes 8..11, offset 32
    const int low = i < 8 ? scales[i] & 0x0f : scales[i - 8] >> 4;
    const int top = (scales[8 + i % 4] >> (2 * (i / 4))) & 3;
    block.small[i] = static_cast<uint8_t>((low | (top << 4)) - 32);
  }
  block.d = u16_at(p + 108);
}

void read_q4_k(const uint8_t* p, StoredBlock& block) {
  block.d = u16_at(p);
  block.d_min = u16_at(p + 2);
  read_six_bit_pairs(p + 4, block.small);
  for (int j = 0; j < 4; ++j) {
    for (int l = 0; l < 32; ++l) {
      block.q[64 * j + l] = p[16 + 32 * j + l] & 0x0f;
      block.q[64 * j + 32 + l] = p[16 + 32 * j + l] >> 4;
    }
  }
}

void read_q5_k(const uint8_t* p, StoredBlock& block) {
  const uint8_t* high = p + 16;
  const uint8_t* low = p + 48;
  block.d = u16_at(p);
  block.d_min = u16_at(p + 2);
  read_six_bit_pairs(p + 4, block.small);
  for (int j = 0; j < 4; ++j) {
    for (int l = 0; l < 32; ++l) {
      const uint8_t nibbles = low[32 * j + l];
      block.q[64 * j + l] = static_cast<uint8_t>((nibbles & 0x0f) | (((high[l] >> (2 * j)) & 1) << 4));
      block.q[64 * j + 32 + l] = static_cast<uint8_t>((nibbles >> 4) | (((high[l] >> (2 * j + 1)) & 1) << 4));
    }
  }
}

void read_q6_k(const uint8_t* p, StoredBlock& block) {
  for (int n = 0; n < 2; ++n) {
    const uint8_t* low = p + 64 * n;
    const uint8_t* high = p + 128 + 32 * n;
    uint8_t* q = block.q + 128 * n;
    for (int l = 0; l < 32; ++l) {
      q[l] = static_cast<uint8_t>((low[l] & 0x0f) | ((high[l] & 3) << 4));
      q[l + 32] = static_cast<uint8_t>((low[l + 32] & 0x0f) | (((high[l] >> 2) & 3) << 4));
      q[l + 64] = static_cast<uint8_t>((low[l] >> 4) | (((high[l] >> 4) & 3) << 4));
      q[l + 96] = static_cast<uint8_t>((low[l + 32] >> 4) | ((high[l] >> 6) << 4));
    }
  }
  std::memcpy(block.small, p + 192, 16);
  block.d = u16_at(p + 208);
}

void read_iq4_xs(const uint8_t* p, StoredBlock& block) {
  const uint16_t high = u16_at(p + 2);
  block.d = u16_at(p);
  for (int i = 0; i < 8; ++i) {  // 6 bits, offset 32
    const int low = (p[4 + i / 2] >> (4 * (i % 2))) & 0x0f;
    block.small[i] = static_cast<uint8_t>((low | (((high >> (2 * i)) & 3) << 4)) - 32);
    read_nibbles(p + 8 + 16 * i, block.q + 32 * i);
  }
}

}  // namespace

void read_stored_block(NumberFormat format, const std::byte* bytes, StoredBlock& block) {
  const auto* p = reinterpret_cast<const uint8_t*>(bytes);
  block.d_min = 0;
  switch (format) {
    case NumberFormat::q8_0:
      return read_q8_0(p, block);
    case NumberFormat::q4_0:
      block.d = u16_at(p);
      return read_nibbles(p + 2, block.q);
    case NumberFormat::q4_1:
      block.d = u16_at(p);
      block.d_min = u16_at(p + 2);
      return read_nibbles(p + 4, block.q);
    case NumberFormat::q5_0:
      block.d = u16_at(p);
      read_nibbles(p + 6, block.q);
      return add_fifth_bits(u32_at(p + 2), block.q);
    case NumberFormat::q5_1:
      block.d = u16_at(p);
      block.d_min = u16_at(p + 2);
      read_nibbles(p + 8, block.q);
      return add_fifth_bits(u32_at(p + 4), block.q);
    case NumberFormat::q2_k:
      return read_q2_k(p, block);
    case NumberFormat::q3_k:
      return read_q3_k(p, block);
    case NumberFormat::q4_k:
      return read_q4_k(p, block);
    case NumberFormat::q5_k:
      return read_q5_k(p, block);
    case NumberFormat::q6_k:
      return read_q6_k(p, block);
    case NumberFormat::iq4_nl:
      block.d = u16_at(p);
      return read_nibbles(p + 2, block.q);
    case NumberFormat::iq4_xs:
      return read_iq4_xs(p, block);
    case NumberFormat::mxfp4:
      block.d = p[0];
      return read_nibbles(p + 1, block.q);
    case NumberFormat::f32:
    case NumberFormat::f16:
    case NumberFormat::bf16:
      break;
  }
  assert(false && "plain formats have no blocks");
}

}  // namespace fovea::kernels
