#include <algorithm>
#include <thread>

#include "base/read_probe.h"
#include "base/thread_pool.h"
#include "eval/product_probe.h"
#include "fovea/evaluation.h"
#include "kernels/kernel_set.h"

namespace fovea {

MachineLimits probe_machine(const Model& model, int threads) {
  MachineLimits limits;
  limits.threads = threads > 0 ? threads : usable_processors();
  limits.read_gb_per_s = probe_read_bytes_per_second(limits.threads) * 1e-9;
  const kernels::KernelSet& set = kernels::choose_kernels(model.kernels());
  limits.int8_gmac_per_s = eval::probe_multiply_adds_per_second(set, limits.threads) * 1e-9;
  return limits;
}

}  // namespace fovea
