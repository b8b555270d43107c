// Which boundary is worth the least, and goes first when room is needed.
//
// The worth of a boundary is  wanted * tokens saved / bytes + age: tokens saved are those beyond the boundary before it,
// bytes those that would come free, and age is the worth of the last victim at the time it was last wanted, so that
// what nobody asks for is overtaken in the end (GreedyDual-Size with Frequency; Cherkasova, 1998). Pages that several
// boundaries share are counted in parts.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/boundary.h"
#include "kv/prefix_tree.h"

namespace fovea::kv {

struct Victim {
  PrefixNode* node = nullptr;  // null: there is none
  size_t boundary = 0;         // of node->boundaries
  bool window_only = false;    // its pages of groups without a window are worth keeping
  double worth = 0;
};

class Retention {
 public:
  // replay_tokens: that restore every window exactly where global K/V are there (0: no group has a window).
  explicit Retention(int replay_tokens) : replay_tokens_(replay_tokens) {}

  // Prior of a new boundary: what was never wanted is thought to be by its kind.
  void begin(Boundary& boundary) const;
  void want(Boundary& boundary, double times) const;

  // Considers the boundaries of a tree; the least worthy over all calls is kept in `least`.
  void consider(PrefixTree& tree, int64_t now_ms, Victim& least) const;
  void chosen(const Victim& victim);

 private:
  struct Context;
  void visit(PrefixNode& node, int before, const Context& context, Victim& least) const;
  Victim judge(PrefixNode& node, size_t index, int before, const Context& context) const;

  int replay_tokens_;
  double age_ = 0;
};

}  // namespace fovea::kv
