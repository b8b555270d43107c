#include <algorithm>
#include <thread>

#include "base/thread_pool.h"
#include "eval/read_probe.h"
#include "fovea/evaluation.h"

namespace fovea {

MachineLimits probe_machine(const Model&, int threads) {
  MachineLimits limits;
  limits.threads = threads > 0 ? threads : usable_processors();
  limits.read_gb_per_s = eval::probe_read_bytes_per_second(limits.threads) * 1e-9;
  return limits;
}

}  // namespace fovea
