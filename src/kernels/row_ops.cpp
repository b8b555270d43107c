#include "kernels/row_ops.h"

#include <cassert>
#include <cmath>

namespace fovea::kernels {

void embed(const Compute& compute, const PackedMatrix& embedding, std::span<const int32_t> tokens, float scale, Rows out) {
  assert(tokens.size() == static_cast<size_t>(out.rows) && embedding.inputs() == out.width);
  compute.for_rows(out.rows, row_grain(8 * out.width), [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      embedding.read_row(tokens[static_cast<size_t>(i)], {out.row(i), static_cast<size_t>(out.width)});
      compute.set().scale(scale, out.width, out.row(i));
    }
  });
}

void add_normed(const Compute& compute, Rows x, const float* weight, float eps, Rows residual) {
  compute.for_rows(x.rows, row_grain(x.width), [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      if (weight) compute.set().rms_norm_add(x.row(i), weight, x.width, eps, residual.row(i));
      else compute.set().add(x.row(i), x.width, residual.row(i));
    }
  });
}

void softcap(const Compute& compute, float cap, Rows x) {
  compute.for_rows(x.rows, 1, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) compute.set().softcap(cap, x.width, x.row(i));
  });
}

void scale(const Compute& compute, float factor, Rows x) {
  compute.for_rows(x.rows, row_grain(x.width), [&](int begin, int end) {
    for (int i = begin; i < end; ++i) compute.set().scale(factor, x.width, x.row(i));
  });
}

void add(const Compute& compute, Rows x, Rows sum) {
  compute.for_rows(x.rows, row_grain(x.width), [&](int begin, int end) {
    for (int i = begin; i < end; ++i) compute.set().add(x.row(i), x.width, sum.row(i));
  });
}

void add_to_each(const Compute& compute, const float* x, Rows sum) {
  compute.for_rows(sum.rows, row_grain(sum.width), [&](int begin, int end) {
    for (int i = begin; i < end; ++i) compute.set().add(x, sum.width, sum.row(i));
  });
}

void rotation_tables(const Compute& compute, std::span<const double> frequencies, float magnitude, std::span<const int32_t> positions,
                     float* cosines, float* sines) {
  const size_t pairs = frequencies.size();
  const int grain = row_grain(16 * static_cast<int>(pairs));
  compute.for_rows(static_cast<int>(positions.size()), grain, [&](int begin, int end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      for (size_t k = 0; k < pairs; ++k) {
        const double angle = positions[i] * frequencies[k];
        cosines[i * pairs + k] = static_cast<float>(std::cos(angle)) * magnitude;
        sines[i * pairs + k] = static_cast<float>(std::sin(angle)) * magnitude;
      }
    }
  });
}

void transform_heads(const Compute& compute, const HeadTransform& t, Rows x) {
  assert(x.width == t.heads * t.head_dim);
  compute.for_rows(x.rows, row_grain(x.width), [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const int64_t at = static_cast<int64_t>(i) * t.pairs;
      for (int h = 0; h < t.heads; ++h) {
        float* head = x.row(i) + static_cast<int64_t>(h) * t.head_dim;
        if (t.norm_weight || t.unit_norm) compute.set().rms_norm(head, t.norm_weight, t.head_dim, t.eps, head);
        if (t.pairs > 0) compute.set().rotate(t.cosines + at, t.sines + at, t.pairs, t.half_pairing, head + t.first_rotated);
      }
    }
  });
}

}  // namespace fovea::kernels
