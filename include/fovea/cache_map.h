// What a cache holds, position by position: for a picture of it, and to see why something was not found.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fovea/request.h"
#include "fovea/stats.h"

namespace fovea {

// Positions [begin, end) whose pages are shared alike. Of layers that carry a state: begin == end, the tokens it has seen.
struct CacheSpan {
  int begin = 0, end = 0;
  int holders = 0;  // running sequences that have these pages
  int keepers = 0;  // known prefixes and boundaries that keep them for requests to come
};

// A position that requests to come can continue from.
struct CacheBoundary {
  int position = 0;
  std::string kind;  // "prompt", "end", "message", "branch" or "spaced"
  bool priority = false;
  bool continuable = true;             // false: its windows were dropped for budget; they can be restored by replay
  double wanted = 0;                   // how often it is thought to be wanted
  std::optional<double> seconds_left;  // until it is forgotten; none: no end
};

// What was kept here and is not any more.
struct CacheLoss {
  int position = 0;
  bool window_only = false;  // global layers still have theirs
  bool expired = false;      // otherwise: dropped for budget
};

// A running sequence, or a known prefix from its beginning to one of its ends.
struct CachePath {
  bool running = false;
  std::string salt;
  int tokens = 0;
  int shared_tokens = 0;                       // that an earlier path of the map begins with as well
  std::vector<std::vector<CacheSpan>> groups;  // per group of EngineStats::kv. What is in no span was given back
  std::vector<CacheBoundary> boundaries;
  std::vector<CacheLoss> losses;
};

struct CacheRequest {
  RequestId id = 0;
  int owner = 0;  // Request::owner
  ReuseReport reuse;
};

struct CacheMap {
  std::vector<CachePath> paths;
  int left_out = 0;                    // known prefixes beyond kMostPaths
  std::vector<CacheRequest> requests;  // the newest kMostRequests that started, in order
  static constexpr int kMostPaths = 64, kMostRequests = 64;
};

}  // namespace fovea
