// Session files, without the model they belong to: what is in one, and whether it can be continued.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fovea/model.h"
#include "fovea/options.h"

namespace fovea {

// Layers whose keys and values, or states, lie in the file alike.
struct SessionGroupFacts {
  std::string kind;           // "local", "global" or "state". Chunked layers are kept as local ones, latent ones as global
  std::optional<int> window;  // tokens
  std::vector<int> layers;
  std::string codec;  // of keys and values; empty for states
  int kv_heads = 0, head_dim = 0;
  bool values_in_keys = false;
  int first_position = 0, end_position = 0;  // whose keys and values are there, [first, end)
  int64_t pages = 0, bytes = 0;
};

struct SessionFacts {
  std::string path;
  std::string model;               // its name when the session was saved; may be empty
  uint64_t model_fingerprint = 0;  // of its weights
  uint64_t cache_fingerprint = 0;  // of the groups
  int tokens = 0;
  int held_tokens = 0;  // of them, that need not be computed again: the boundary that requests continue from
  std::string note;
  std::vector<SessionGroupFacts> groups;
  int kv_newest_tokens = 0;  // EngineOptions that it was saved with
  int saves = 0;             // states in the file; the last counts
  int64_t file_bytes = 0;
  int64_t needed_bytes = 0;      // pages of the last state
  int64_t superseded_bytes = 0;  // whole, and not needed any more; more than half of a file is written anew
  int64_t torn_bytes = 0;        // behind the last whole state: what a writer that was killed left
  std::string damage;            // empty: every checksum fits
};

// errors  Error for what is no session of this format at all; a damaged one is told about
SessionFacts inspect_session(const std::string& path);

// Why an engine with this model and these options could not continue the session; empty: it can.
std::string why_not_continued(const SessionFacts& session, const Model& model, const EngineOptions& options = {});

}  // namespace fovea
