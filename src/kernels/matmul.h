// Matrix products of many rows with packed weights, on all threads.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/compute.h"
#include "kernels/packed_matrix.h"

namespace fovea::kernels {

struct Product {
  const PackedMatrix* weights = nullptr;
  float* out = nullptr;    // [rows][out_stride], the first weights->outputs() of each row are written
  int64_t out_stride = 0;
};

// out[m][n] = sum_k x[m][k] * W[n][k] for every product; they all read the same rows, so those are arranged once.
//   x   [rows][x_stride], the first weights->inputs() of each row are read
// REQUIRES rows and inputs within the limits of `compute`; equal inputs in all products; no overlap of x and out.
void multiply(Compute& compute, const float* x, int64_t x_stride, int rows, std::span<const Product> products);

}  // namespace fovea::kernels
