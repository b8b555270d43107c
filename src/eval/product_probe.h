// How many 8-bit multiply-adds this machine does with one of the kernel sets.
#pragma once

#include "kernels/kernel_set.h"

namespace fovea::eval {

// The best of a few short tries with that many threads at once. Takes some tens of milliseconds.
double probe_multiply_adds_per_second(const kernels::KernelSet& set, int threads);

}  // namespace fovea::eval
