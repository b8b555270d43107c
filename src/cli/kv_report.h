// The page that `fovea run --kv-report` writes.
#pragma once

#include <string>

#include "fovea/engine.h"

namespace fovea::cli {

// Self-contained HTML: what the cache holds by layer and position, its bytes by group beside the plan, what requests found.
// `running`: of the moment when the answer began; may be empty.
std::string kv_report(const ModelFacts& facts, const CacheMap& running, const CacheMap& map, const EngineStats& stats);

// errors  Error when the file cannot be written
void write_kv_report(const std::string& path, const Engine& engine, const CacheMap& running);

}  // namespace fovea::cli
