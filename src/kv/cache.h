// The paged K/V cache: groups of layers with pages of their own, and sequences that grow through all groups.
//
//   create -> { reserve(n) -> write K/V of n positions through view() -> commit(n) }* -> release
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/kv_layout.h"
#include "kv/group.h"
#include "kv/spec.h"

namespace fovea::kv {

enum class SequenceId : int {};  // [0, CacheOptions::sequences); free for another sequence after release

//   owner      all memory for keys and values; a view owns nothing
//   invariant  in every group a live sequence holds, of the pages up to its last reserved position, exactly
//              those that a query at length() or later can read; a released sequence holds none
//   threads    one at a time; while a step runs, kernels write and read through views on any thread
//   memory     reserved in full at construction, resident as it is used; steps do not allocate
class Cache {
 public:
  // REQUIRES groups with layers, shapes and options above zero, no layer in two groups.
  // Throws Error when the operating system refuses the memory.
  Cache(std::vector<GroupSpec> groups, const CacheOptions& options);

  std::optional<SequenceId> create();  // of length 0; nullopt: all sequences are taken
  void release(SequenceId sequence);   // gives everything back; its views die

  int length(SequenceId sequence) const;  // positions stored

  // Makes room for positions [length, length + tokens): pages in every group or in none. false: no room now,
  // and nothing changed. Room that is there already is kept, so asking again is harmless.
  //
  // REQUIRES 0 < tokens <= chunk_tokens, length + tokens <= context_tokens.
  [[nodiscard]] bool reserve(SequenceId sequence, int tokens);

  // The next `tokens` positions have been written in every layer: length grows, and groups with a window give
  // back every page that no query at or after the new length can read. Reserved positions beyond it stay
  // reserved.
  //
  // REQUIRES 0 <= tokens, and positions up to length + tokens reserved.
  void commit(SequenceId sequence, int tokens);

  // Pages of the layer for readable and reserved positions, whose slots are zero until they are written.
  // Valid until the next reserve, commit or release of the same sequence.
  kernels::KvPages view(SequenceId sequence, int layer) const;
  const kernels::KvLayout& layout(int layer) const;  // REQUIRES, as in view, a layer of some group

  std::vector<GroupStats> stats() const;  // in the order of construction
  int64_t reserved_bytes() const;         // for pages of all groups

  // Recounts everything from scratch; throws std::logic_error naming the invariant that is broken.
  void check() const;

 private:
  struct Sequence {
    bool live = false;
    int length = 0;
    int reserved_end = 0;  // position; >= length
  };
  struct LayerPlace {
    const Group* group = nullptr;  // null: the layer keeps no K/V here
    size_t offset = 0;             // bytes from a page's begin
  };

  void place_layers(const Group& group);
  const LayerPlace& place(int layer) const;
  const Sequence& at(SequenceId id) const;
  Sequence& at(SequenceId id);

  CacheOptions options_;
  std::vector<std::unique_ptr<Group>>
      groups_;                      // in place for life: page references and places point into them
  std::vector<LayerPlace> places_;  // per layer of the model
  std::vector<Sequence> sequences_;
};

}  // namespace fovea::kv
