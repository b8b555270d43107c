// Known prefixes as a radix tree over tokens, with the pages of groups that see the whole past as its
// content.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "kv/boundary.h"
#include "kv/page_pool.h"
#include "kv/page_table.h"

namespace fovea::kv {

// What was known beyond a point and is not any more.
struct Dropped {
  int position = 0;      // of the boundary; of the first token lost
  int32_t token = -1;    // the first token lost; -1: only the window of a boundary
  bool expired = false;  // its time to live was over; otherwise its bytes were wanted for something else
};

// Positions [begin, end) of every prefix that runs through it. An edge may begin and end inside a page: then
// both neighbours refer to that page, or to pages that agree up to the point where they meet.
struct PrefixNode {
  PrefixNode* parent = nullptr;
  int begin = 0;
  std::vector<int32_t> tokens;
  std::vector<std::vector<PageRef>> pages;                  // per group without a window: from page begin / kPageTokens on
  std::map<int32_t, std::unique_ptr<PrefixNode>> children;  // by first token
  std::vector<Boundary> boundaries;                         // ascending, in (begin, end]
  std::vector<Dropped> dropped;                             // the newest few

  int end() const { return begin + static_cast<int>(tokens.size()); }
  Boundary* find_boundary(int position);
  void remember(const Dropped& loss);
};

struct PrefixMatch {
  std::vector<PrefixNode*> path;  // nodes that share at least a token, from the root's child on
  int tokens = 0;                 // that agree
};

// The pages of a sequence, per group without a window: page i holds positions from i * kPageTokens on.
using PageSource = std::vector<const PageTable*>;

// One namespace of prefixes.
//   invariant  every leaf ends at a boundary; siblings begin with different tokens; a node's pages cover it
//   threads    one at a time
class PrefixTree {
 public:
  PrefixTree() : root_(std::make_unique<PrefixNode>()) {}

  PrefixMatch match(std::span<const int32_t> tokens) const;
  // The node in which position tokens.size() - 1 lies, made if it was not there; its pages come from
  // `source`.
  PrefixNode& insert(std::span<const int32_t> tokens, const PageSource& source);
  // Gives back what no boundary of `node` or beyond needs, and leaves without any. `expired` goes into the
  // record.
  void trim(PrefixNode& node, bool expired);
  void trim_all();  // every node, after boundaries expired

  PrefixNode& root() { return *root_; }
  const PrefixNode& root() const { return *root_; }
  bool empty() const { return root_->children.empty(); }
  void check() const;  // throws std::logic_error

 private:
  static bool trim_leaf(PrefixNode& leaf, bool expired);
  static void trim_below(PrefixNode& node);
  static void split(std::unique_ptr<PrefixNode>& lower, int at);
  static void append(PrefixNode& node, std::span<const int32_t> tokens, const PageSource& source);

  std::unique_ptr<PrefixNode> root_;  // covers nothing
};

// Page `page` of the group for whoever has the first `tokens` tokens of the path. REQUIRES page * kPageTokens
// < tokens
// <= match.tokens.
const PageRef& page_on_path(const PrefixMatch& match, size_t group, int page, int tokens);

}  // namespace fovea::kv
