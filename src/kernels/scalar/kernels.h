#pragma once

#include "kernels/kernel_set.h"

namespace fovea::kernels::scalar {

extern const KernelSet kKernels;

}  // namespace fovea::kernels::scalar
