// The paged K/V cache: groups of layers with pages of their own, sequences that grow through all groups, and
// what earlier sequences left behind for later ones.
//
//   create -> begin(prompt): the longest known prefix is there at once
//          -> { reserve(n) -> write K/V of n positions through view() -> commit(n) }* -> retire or release
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/attention.h"
#include "kernels/kv_layout.h"
#include "kv/boundary.h"
#include "kv/cache_map.h"
#include "kv/group.h"
#include "kv/prefix_index.h"
#include "kv/reuse.h"
#include "kv/session_file.h"
#include "kv/spec.h"
#include "kv/state_group.h"
#include "kv/static_group.h"

namespace fovea::kv {

enum class SequenceId : int {};  // [0, CacheOptions::sequences); free for another sequence after release

// A prompt on its way into the cache.
struct Prompt {
  std::span<const int32_t> tokens;
  std::string_view salt = {};            // what is kept under another salt is not seen
  int most_reused = 0;                   // tokens that may be reused at most; < tokens.size() if the last one's output is wanted
  std::span<const int> boundaries = {};  // positions that are worth continuing from, such as beginnings of messages
  KeepTerms terms = {};
  int approximate_windows = 0;  // > 0: replay of so many windows is good enough; nothing is kept then
  bool forgets = false;         // as CacheOptions::eviction says; nothing is kept then
};

//   owner      all memory for keys and values; a view owns nothing
//   invariant  in every group a live sequence holds, of the pages up to its last reserved position, exactly
//              those that a query at length() or later can read; a released sequence holds none. Pages in
//              use, held and idle, take limit_bytes() at most. What is shared is never written
//   threads    one at a time; while a step runs, kernels write and read through views on any thread
//   memory     addresses are reserved at construction, memory follows use and stays within limit_bytes();
//   steps between
//              two boundaries do not allocate
class Cache {
 public:
  // REQUIRES groups with layers, shapes and options above zero, no layer in two groups but for one of the newest tokens.
  // Throws Error when the operating system refuses the memory.
  Cache(std::vector<GroupSpec> groups, const CacheOptions& options);

  std::optional<SequenceId> create();  // of length 0; nullopt: all sequences are taken
  void release(SequenceId sequence);   // gives everything back; its views die

  // Lets a sequence of length 0 begin with the longest known prefix of the prompt, and leave its boundaries behind as
  // it grows: what commit() adds has to be the rest of the prompt and what is generated after it. Where windows are
  // restored by replay, length() is the position where that begins.
  Reuse begin(SequenceId sequence, const Prompt& prompt);
  // Tokens that begin() would find without replay.
  int known_tokens(const Prompt& prompt);
  // One more position worth continuing from, from `length` on.
  void mark(SequenceId sequence, int position, BoundaryKind kind);
  // Positions after which the next boundary is to be left.
  int tokens_to_boundary(SequenceId sequence) const;
  // Where layers carry a state, which is known where a commit ends and nowhere else: a boundary that a commit passes
  // over is not left.
  bool boundaries_end_steps() const { return !states_.empty(); }
  // Leaves everything that was computed to later sequences, then releases.
  void retire(SequenceId sequence);

  int length(SequenceId sequence) const;  // positions stored

  // Makes room for writing positions [length, length + tokens): pages in every group or in none, and of a
  // page that is shared, and of a state that is, a copy. false: no room now, and nothing changed. Room that is there already is kept,
  // so asking again is harmless; it has to be asked for again after begin, fork, roll_back and a commit that
  // passed a boundary.
  //
  // REQUIRES 0 < tokens <= chunk_tokens, length + tokens <= context_tokens.
  [[nodiscard]] bool reserve(SequenceId sequence, int tokens);

  // The next positions have been written in every layer: length grows, and groups with a window give back
  // every page that no query at or after the new length can read. Reserved positions beyond it stay reserved.
  //
  // REQUIRES positions up to the new length reserved; `tokens` for a sequence that had a prompt, a count for
  // others. Where layers carry a state, all that was computed is committed.
  void commit(SequenceId sequence, std::span<const int32_t> tokens);
  void commit(SequenceId sequence, int tokens);

  // A second sequence with the same past, at the price of no page; whoever writes first into a page they
  // share gets a copy. nullopt: all sequences are taken. REQUIRES no replay under way.
  std::optional<SequenceId> fork(SequenceId sequence);
  // Takes back the newest positions. Always possible to CacheOptions::rollback_tokens before the greatest
  // length there was, as far as the sequence computed these positions itself; false, and nothing changed,
  // where pages that queries at `length` read were given back, or layers carry a state.
  [[nodiscard]] bool roll_back(SequenceId sequence, int length);

  // --- lossy: what a sequence forgets. Nothing of it is kept for others from then on

  // The sequence is to forget as CacheOptions::eviction says. REQUIRES length 0, a policy, no prompt (or Prompt::forgets).
  void let_forget(SequenceId sequence);
  // Positions that can be added before evict() is called for, or, where the sequence does not forget, at all.
  int room_tokens(SequenceId sequence) const;
  // Forgets pages of the groups whose budget is full (kv/eviction.h); the others stay as they are. Keys of sinks that move are
  // as computed afterwards: it is for the caller to turn those of the first moved_sinks() positions of a layer by forgotten().
  // false: no room for copies of sinks now, and nothing changed. REQUIRES a sequence that forgets, room_tokens 0 before the end of the
  // context, no replay under way.
  [[nodiscard]] bool evict(SequenceId sequence);
  // 0 where keys need not be moved, and once the sequence has grown.
  int moved_sinks(SequenceId sequence, int layer) const;
  // How many positions before the newest are not there: position p of the layer is the (p - forgotten)th key of view().
  int forgotten(SequenceId sequence, int layer) const;
  int forgotten(SequenceId sequence) const;  // of the layers that forgot most
  // Per page of view(), how much it was attended to since it is held; null where eviction does not go by that.
  kernels::AttendedPages attended(SequenceId sequence, int layer) const;

  // Drops positions [keep, keep + drop) of every layer; those behind become [keep, length - drop), in pages of the
  // sequence's own: it is for the caller to turn their keys by -drop. false: no room for copies now, and nothing changed.
  // REQUIRES whole pages, drop <= longest_shift, no layer with a state, nothing forgotten, no replay under way.
  [[nodiscard]] bool shift(SequenceId sequence, int keep, int drop);
  // Most positions that can be dropped behind the first `keep`: those that no window reaches, in whole pages.
  int longest_shift(SequenceId sequence, int keep) const;

  // Pages of the layer for readable and reserved positions, whose slots are numbers, whatever they are, until
  // they are written. Valid until the next change of the same sequence.
  kernels::KvPages view(SequenceId sequence, int layer) const;
  // What a layer of a group with state_bytes carries from position to position; written in place by the step. REQUIRES
  // positions reserved. Valid as a view is.
  float* state(SequenceId sequence, int layer) const;
  const kernels::KvLayout& layout(int layer) const;  // REQUIRES, as in view, a layer of some group
  // The same of the newest tokens that a layer keeps in a form of their own (GroupSpec::newest); 0: it keeps none.
  int newest_tokens(int layer) const;
  kernels::KvPages newest_view(SequenceId sequence, int layer) const;
  const kernels::KvLayout& newest_layout(int layer) const;

  std::vector<GroupStats> stats() const;                // groups of pages, then of states, as constructed
  int64_t limit_bytes() const { return limit_bytes_; }  // pages of all groups never take more
  int64_t used_bytes() const;                           // by pages that are held or idle
  int64_t resident_bytes() const;                       // of pages that have memory
  int boundaries() const { return index_.boundaries(); }
  std::vector<GroupSpec> group_specs() const;  // as stats()
  CacheMap map(int most_prefixes) const;       // the sequences, then known prefixes in the order of their tokens
  void forget();                               // what is kept for later

  // What is kept of these tokens goes into a file, or comes back from one and is kept from then on. The tokens may be more than those
  // whose keys and values are kept; save() returns how many are, and writes nothing where those are fewer than least_held. errors: Error
  // when the file cannot be written, or is not a session of this model and this form of cache
  int save(const std::string& path, const SessionModel& model, std::string_view salt, std::span<const int32_t> tokens,
           std::string_view note, int least_held = 0);
  struct Restored {
    std::vector<int32_t> tokens;
    int held = 0;  // of them, that can be continued from
    std::string note;
  };
  Restored restore(const std::string& path, const SessionModel& model, std::string_view salt);

  // Recounts everything from scratch; throws std::logic_error naming the invariant that is broken.
  void check() const;

 private:
  struct Mark {
    int position;
    BoundaryKind kind;
  };
  struct Sequence {
    bool live = false;
    bool has_prompt = false;
    Extent extent;
    std::string salt;
    KeepTerms terms;
    int restored = 0;  // windows were restored by replay up to here: what lies behind may be approximate; or forgotten
    bool forgets = false;
    std::vector<int32_t> tokens;  // those stored
    std::vector<Mark> marks;      // ascending, beyond length
  };
  struct LayerPlace {
    const Group* group = nullptr;        // null: the layer keeps no K/V here
    const StateGroup* states = nullptr;  // null: the layer carries no state
    const StaticGroup* contiguous = nullptr;
    size_t offset = 0;  // bytes from a page's begin
    size_t member = 0;  // number in its group
    const GroupSpec* spec = nullptr;
  };

  void place_layers(const LayerPlace& of_group);
  const LayerPlace& place(int layer) const;
  const LayerPlace& newest_place(int layer) const;
  kernels::KvPages view(SequenceId id, const LayerPlace& place) const;
  const Sequence& at(SequenceId id) const;
  Sequence& at(SequenceId id);

  // Running sequences win: what is kept goes, the least worthy first, until `missing(i)` pages of every pools_[i]
  // are free.
  bool make_room(const std::function<int(size_t pool)>& missing);
  bool has_room(std::span<const int> pages) const;
  void keep_within_memory(std::span<const int> pages);
  void adopt(SequenceId id, const Found& found, int length);
  bool adopt_for_replay(SequenceId id, const Found& found);
  void advance(SequenceId id, int tokens);
  void pin(SequenceId id, int position, BoundaryKind kind);
  void pin_passed(SequenceId id, int length);
  int64_t now_ms() const;
  MapPath map_of(SequenceId id) const;

  CacheOptions options_;
  std::vector<std::unique_ptr<Group>> groups_;            // in place for life: page references and places point into them
  std::vector<std::unique_ptr<StateGroup>> states_;       // likewise
  std::vector<std::unique_ptr<StaticGroup>> contiguous_;  // likewise; instead of groups_
  std::vector<PagePool*> pools_;                          // of groups_, then of states_
  std::vector<LayerPlace> places_;                        // per layer of the model
  std::vector<LayerPlace> newest_places_;                 // likewise, of groups of the newest tokens
  std::vector<Sequence> sequences_;
  std::vector<int> missing_;  // pages per pool, while room is made
  int64_t limit_bytes_ = 0;
  int spacing_tokens_ = 0;  // between boundaries of a long prefill, at least
  PrefixIndex index_;       // after groups_, whose pages it keeps
};

}  // namespace fovea::kv
