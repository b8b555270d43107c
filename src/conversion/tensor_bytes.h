// The data of a planned tensor, some megabytes at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "base/thread_pool.h"
#include "conversion/tensor_plan.h"

namespace fovea::conversion {

// Hands all bytes of the tensor to `sink`, in order. Memory: one part where its rows are put in another order, and a slice.
// errors  Error for numbers that are not finite, and what the sink throws
using Sink = std::function<void(std::span<const std::byte>)>;
void make_tensor(const PlannedTensor& planned, ThreadPool& pool, const Sink& sink);

}  // namespace fovea::conversion
