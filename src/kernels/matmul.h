// Matrix products of many rows with packed weights, on all threads.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/compute.h"
#include "kernels/packed_matrix.h"
#include "kernels/row_source.h"

namespace fovea::kernels {

struct Product {
  const PackedMatrix* weights = nullptr;
  float* out = nullptr;  // [rows][out_stride], the first weights->outputs() of each row are written
  int64_t out_stride = 0;
};

// out[m][n] = sum_k x[m][k] * W[n][k] for every product; they all read the same rows, so those are made and arranged once.
//   x       the first weights->inputs() numbers of each row are read
//   digits  of activations that meet quantized weights. Two round them to some 15 bits instead of 8: the weights are read once, the
//           arithmetic is done twice.
// REQUIRES rows and inputs within the limits of `compute`, with two digits at least 2 rows of them; equal inputs in all products; no
// product's `out` overlaps what another's panels read (with one digit the rows of x may be overwritten: they are arranged before).
void multiply(Compute& compute, const RowSource& x, std::span<const Product> products, Digits digits = Digits::one);

}  // namespace fovea::kernels
