// A position of a known prefix from which continuing is possible, and what it is worth.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/kv_layout.h"
#include "kv/page_pool.h"

namespace fovea::kv {

// Why a boundary was set; its number is what one is thought to be worth before anybody has wanted it.
enum class BoundaryKind : uint8_t {
  spaced,   // a point of a long prefill, for whoever branches off near it
  message,  // the request named it
  prompt,   // end of a prompt
  branch,   // a second request has departed here from what was known
  end,      // of everything a request left behind: the next turn continues here
};

enum class Keep : uint8_t { none, normal, priority };

// How long, and how dearly, what a request leaves behind is kept.
struct KeepTerms {
  Keep keep = Keep::normal;
  int64_t ttl_ms = 0;  // 0: for as long as it is worth its bytes
};

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// The pages of one group with a window that queries from a boundary on read. A reference count each, no copy:
// runs of neighbouring boundaries share the pages in which they overlap.
struct LocalRun {
  int first_page = 0;
  std::vector<PageRef> pages;

  int begin_position() const { return first_page * kernels::kPageTokens; }
  int end_page() const { return first_page + static_cast<int>(pages.size()); }
  const PageRef& page(int page) const { return pages[static_cast<size_t>(page - first_page)]; }
};

struct Boundary {
  int position = 0;
  BoundaryKind kind = BoundaryKind::spaced;
  Keep keep = Keep::normal;
  int64_t expires_ms = kNever;
  double wanted = 0;                 // how often, a prior included
  double age = 0;                    // Retention's clock when it was last wanted
  std::vector<LocalRun> runs = {};   // one per group with a window, in their order; empty: dropped
  std::vector<PageRef> states = {};  // one per group of states, in their order
};

}  // namespace fovea::kv
