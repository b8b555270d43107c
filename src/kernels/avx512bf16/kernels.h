#pragma once

#include "kernels/kernel_set.h"

namespace fovea::kernels::avx512bf16 {

extern const KernelSet kKernels;

}  // namespace fovea::kernels::avx512bf16
