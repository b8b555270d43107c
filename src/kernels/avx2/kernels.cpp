// Compiled with -mavx2 -mfma -mf16c; entered only after supported() said yes.
#include "kernels/avx2/kernels.h"

#include "kernels/avx2/codes.h"
#include "kernels/avx2/simd.h"
#include "kernels/exp_terms.h"
#include "kernels/narrow_codec.h"
#include "kernels/panel_layout.h"

namespace fovea::kernels::avx2 {
namespace {

// clang-format off: in this order, each uses what stands above it
#include "kernels/generic/rows.inl"
#include "kernels/generic/attention.inl"
#include "kernels/generic/page_shares.inl"
#include "kernels/generic/matmul.inl"
void quantize_four(const float* const (&values)[4], bool biased, QuantBlock* blocks);
#include "kernels/generic/quantize.inl"
// clang-format on

void quantize_four(const float* const (&values)[4], bool biased, QuantBlock* blocks) {
  for (int i = 0; i < 4; ++i) quantize_block(values[i], biased, blocks[i]);
}

bool supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"); }

}  // namespace

const KernelSet kKernels = {
    "avx2",  supported, kBiasedTiles, quantize_tile, multiply_panels, byte_products,   rms_norm,    rms_norm_add, add,   scale,
    softcap, gate,      rotate,       store_kv,      unfold_pages,    arrange_queries, attend_span, turn_back,    merge, page_shares};

}  // namespace fovea::kernels::avx2
