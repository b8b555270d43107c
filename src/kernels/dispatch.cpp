// The one file that names instruction sets.
#include <string>
#include <vector>

#include "fovea/error.h"
#include "kernels/kernel_set.h"
#include "kernels/scalar/kernels.h"
#if FOVEA_X86_KERNELS
#include "kernels/avx2/kernels.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512bf16/kernels.h"
#endif

namespace fovea::kernels {
namespace {

constexpr const KernelSet* kFastestFirst[] = {
#if FOVEA_X86_KERNELS
    &avx512bf16::kKernels,
    &avx512::kKernels,
    &avx2::kKernels,
#endif
    &scalar::kKernels,
};

std::string supported_names() {
  std::string names;
  for (const KernelSet* set : kFastestFirst) {
    if (set->supported()) names += (names.empty() ? "" : ", ") + std::string(set->name);
  }
  return names;
}

}  // namespace

std::span<const KernelSet* const> all_kernel_sets() { return kFastestFirst; }

const KernelSet& choose_kernels(std::string_view forced) {
  for (const KernelSet* set : kFastestFirst) {
    if ((forced.empty() || set->name == forced) && set->supported()) return *set;
  }
  throw Error("no kernels named '" + std::string(forced) + "' on this machine", "kernels", "choose one of " + supported_names());
}

}  // namespace fovea::kernels
