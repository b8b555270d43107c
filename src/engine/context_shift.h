// What a full context gives up (Request::shift_after).
#pragma once

#include <algorithm>

#include "kernels/kv_layout.h"

namespace fovea {

inline int whole_pages(int tokens) { return (tokens + kernels::kPageTokens - 1) / kernels::kPageTokens * kernels::kPageTokens; }

// Half of what follows the first `keep` positions, in whole pages, as far as no window reaches it; 0 or less: nothing.
inline int span_to_drop(int length, int reached, int keep) {
  const int page = kernels::kPageTokens;
  return std::min((length - keep) / 2 / page * page, reached / page * page - keep);
}

}  // namespace fovea
