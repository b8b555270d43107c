// The lanes of avx512 with products of bf16 pairs. Compiled with -mavx512bf16 on top; entered only after supported() said yes.
#include "kernels/avx512bf16/kernels.h"

#include "kernels/avx512/codes.h"
#include "kernels/avx512/quantize.h"
#include "kernels/avx512/simd.h"
#include "kernels/avx512bf16/pairs.h"
#include "kernels/exp_terms.h"
#include "kernels/narrow_codec.h"
#include "kernels/panel_layout.h"

namespace fovea::kernels::avx512bf16 {
namespace {

using namespace avx512;

// clang-format off: in this order, each uses what stands above it
#include "kernels/generic/rows.inl"
#include "kernels/generic/attention.inl"
#include "kernels/generic/page_shares.inl"
#include "kernels/generic/matmul.inl"
#include "kernels/generic/quantize.inl"
// clang-format on

bool supported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
}

}  // namespace

const KernelSet kKernels = {
    "avx512bf16", supported, kBiasedTiles, quantize_tile, multiply_panels, byte_products,   rms_norm,    rms_norm_add, add,   scale,
    softcap,      gate,      rotate,       store_kv,      unfold_pages,    arrange_queries, attend_span, turn_back,    merge, page_shares};

}  // namespace fovea::kernels::avx512bf16
