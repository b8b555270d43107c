// The instruction sets that this machine can run, for tests that hold for each of them.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernel_set.h"

namespace fovea::testing_support {

inline std::vector<std::string> supported_kernels() {
  std::vector<std::string> names;
  for (const kernels::KernelSet* set : kernels::all_kernel_sets()) {
    if (set->supported()) names.emplace_back(set->name);
  }
  return names;
}

}  // namespace fovea::testing_support
