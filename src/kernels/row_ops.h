// What happens to rows between the matrix products, on all threads. Rows are independent of each other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kernels/compute.h"
#include "kernels/packed_matrix.h"

namespace fovea::kernels {

// Rows of `width` floats, one after the other.
struct Rows {
  float* data = nullptr;
  int rows = 0;
  int width = 0;
  float* row(int i) const { return data + static_cast<int64_t>(i) * width; }
};

// Rows per piece of work: below some ten thousand numbers, waking another thread costs more than it brings.
inline int row_grain(int width) { return std::max(1, 16384 / std::max(1, width)); }

// out[i] = embedding row tokens[i] * scale
void embed(const Compute& compute, const PackedMatrix& embedding, std::span<const int32_t> tokens, float scale, Rows out);
// residual += x / rms(x) * weight, or residual += x where weight is null
void add_normed(const Compute& compute, Rows x, const float* weight, float eps, Rows residual);
void softcap(const Compute& compute, float cap, Rows x);
void scale(const Compute& compute, float factor, Rows x);
void add(const Compute& compute, Rows x, Rows sum);                  // sum += x
void add_to_each(const Compute& compute, const float* x, Rows sum);  // sum[i] += x

// Cosines and sines of every row's position: angle k of position p is p * frequencies[k].
//   cosines, sines  [positions][frequencies]
void rotation_tables(const Compute& compute, std::span<const double> frequencies, float magnitude, std::span<const int32_t> positions,
                     float* cosines, float* sines);

// The heads of each row: RMS norm per head (weight null: none), then rotation by the row's position (pairs 0: none).
struct HeadTransform {
  int heads = 0, head_dim = 0;
  const float* norm_weight = nullptr;
  float eps = 0;
  const float* cosines = nullptr;  // [rows][pairs]
  const float* sines = nullptr;
  int pairs = 0;
  bool half_pairing = true;
  bool unit_norm = false;  // RMS norm without weight
  int first_rotated = 0;   // dimension of a head at which rotation begins
};
void transform_heads(const Compute& compute, const HeadTransform& transform, Rows x);

}  // namespace fovea::kernels
