#pragma once

#include "kernels/kernel_set.h"

namespace fovea::kernels::avx512 {

extern const KernelSet kKernels;

}  // namespace fovea::kernels::avx512
