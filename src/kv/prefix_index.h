// Everything that is known and kept: prefixes by namespace, boundaries from which they can be continued.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kv/boundary.h"
#include "kv/local_coverage.h"
#include "kv/page_table.h"
#include "kv/prefix_tree.h"
#include "kv/retention.h"
#include "kv/reuse.h"

namespace fovea::kv {

// The groups of a cache as the index sees them.
struct IndexShape {
  std::vector<int> windows;  // of the groups that have one
  // That restore every window exactly where global K/V are there: each layer with a window makes what follows
  // exact window - 1 tokens later than what it reads. 0: no group has a window.
  int replay_tokens = 0;
  int state_groups = 0;     // whose state is known at boundaries only
  int64_t limit_bytes = 0;  // of the cache
};

// Pages of a sequence by kind of group, each in the order of the cache's groups.
struct SequencePages {
  PageSource whole;
  std::vector<const PageTable*> windowed;
  std::vector<const PageRef*> states;  // of the position where the pages end
};

// What a page that the index keeps is part of: a prefix, a boundary's window, a boundary's state.
enum class KeptIn : uint8_t { whole_past, windows, states };

// What was found for a prompt. Dies with the next change of the index.
struct Found {
  Reuse reuse;
  int replay_from = -1;  // reuse.matched positions have global K/V, windows have to be restored from here; -1: no replay
  PrefixMatch match;
  std::vector<std::vector<UsableRun>> runs;  // per group with a window
  std::vector<Boundary*> beyond;             // of reuse.tokens, with windows that reach back to it
  Boundary* state = nullptr;                 // at reuse.tokens, where there are groups of states and tokens to reuse
};

//   owner    one reference (of the kind that keeps) per page and boundary or node
//   threads  one at a time
class PrefixIndex {
 public:
  explicit PrefixIndex(IndexShape shape) : shape_(std::move(shape)), retention_(shape_.replay_tokens, shape_.limit_bytes) {}

  // The longest prefix of `tokens`, `most` tokens at most, that every group can continue from.
  //   approximate_windows  0: exact; else replay of so many windows is good enough
  Found find(std::string_view salt, std::span<const int32_t> tokens, int most, int approximate_windows = 0);
  void count_use(const Found& found);

  // Whoever continues from tokens.size() of these tokens finds what it needs from now on.
  void pin(std::string_view salt, std::span<const int32_t> tokens, const SequencePages& pages, BoundaryKind kind, KeepTerms terms,
           int64_t now_ms);

  bool drop_least(int64_t now_ms);  // false: nothing is left that would free a byte
  void drop_all() {
    trees_.clear();
    boundaries_ = 0;
  }
  void drop_expired(int64_t now_ms);

  bool empty() const { return trees_.empty(); }
  int boundaries() const { return boundaries_; }
  // Every page reference, with the number of its group among those that are kept alike.
  using Visitor = std::function<void(KeptIn in, size_t group, const PageRef&)>;
  void visit_pages(const Visitor& visit) const;
  // Every way from the beginning to a leaf, in the order of salts and tokens.
  using WayVisitor = std::function<void(std::string_view salt, const std::vector<const PrefixNode*>& way)>;
  void visit_ways(const WayVisitor& visit) const;
  void check() const;  // throws std::logic_error

 private:
  void gather(const PrefixNode& node, const PrefixMatch& match, int reach, int& visits, Found& found) const;
  void explain(std::span<const int32_t> tokens, int most, const PrefixNode& root, Found& found) const;
  int served_by_all(const Found& found, int most) const;
  MissReason reason_without(const Dropped* lost) const;
  void drop_expired(PrefixNode& node, int64_t now_ms);

  IndexShape shape_;
  Retention retention_;
  std::map<std::string, PrefixTree, std::less<>> trees_;  // by salt
  int boundaries_ = 0;
  int64_t next_expiry_ms_ = kNever;
};

}  // namespace fovea::kv
