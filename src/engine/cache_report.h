// What the cache found and holds, in the words of the public interface.
#pragma once

#include "fovea/cache_map.h"
#include "fovea/request.h"
#include "fovea/stats.h"
#include "kv/cache_map.h"
#include "kv/group.h"
#include "kv/reuse.h"

namespace fovea {

ReuseReport report_of(const kv::Reuse& found, int prompt_tokens);
KvGroupStats public_stats(const kv::GroupStats& group, const kv::GroupSpec& spec);  // kind and plan left open
CacheMap public_map(const kv::CacheMap& map);                                       // without requests

}  // namespace fovea
