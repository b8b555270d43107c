#pragma once

#include "kernels/kernel_set.h"

namespace fovea::kernels::avx2 {

extern const KernelSet kKernels;

}  // namespace fovea::kernels::avx2
