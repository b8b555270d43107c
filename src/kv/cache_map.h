// What is where: every sequence and every known prefix, position by position. For pictures and for people; nothing of the
// cache's own reads it.
#pragma once

#include <string>
#include <vector>

#include "kv/boundary.h"

namespace fovea::kv {

// Positions [begin, end) whose pages are shared alike. A state: begin == end, the positions it has seen.
struct MapSpan {
  int begin = 0, end = 0;
  int holders = 0;  // sequences
  int keepers = 0;  // prefixes and boundaries
};

struct MapBoundary {
  int position = 0;
  BoundaryKind kind = BoundaryKind::spaced;
  bool priority = false;
  bool continuable = true;  // false: its windows were dropped
  double wanted = 0;
  int64_t expires_ms = kNever;
};

// What was kept here, and is not any more.
struct MapLoss {
  int position = 0;
  bool window_only = false;
  bool expired = false;
};

// A sequence that lives, or a way from the beginning of a known prefix to one of its ends.
struct MapPath {
  bool running = false;
  std::string salt;
  int tokens = 0;
  int shared_tokens = 0;                     // that an earlier path of the map begins with as well
  std::vector<std::vector<MapSpan>> groups;  // ascending; groups of pages, then of states, as in Cache::stats()
  std::vector<MapBoundary> boundaries;       // ascending
  std::vector<MapLoss> losses;
};

struct CacheMap {
  std::vector<MapPath> paths;
  int left_out = 0;  // prefixes that were too many
  int64_t now_ms = 0;
};

}  // namespace fovea::kv
