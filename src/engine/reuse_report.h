// What the cache found, in the words of the public interface.
#pragma once

#include "fovea/request.h"
#include "kv/reuse.h"

namespace fovea {

ReuseReport report_of(const kv::Reuse& found, int prompt_tokens);

}  // namespace fovea
