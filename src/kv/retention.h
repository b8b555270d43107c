// Which boundary is worth the least, and goes first when room is needed.
//
// The worth of a boundary is  wanted * tokens saved / bytes + age: tokens saved are those beyond the boundary
// before it, bytes those that would come free, and age rises by half the worth of what is dropped while the
// whole cache is replaced once, so that what nobody asks for any more is overtaken in the end (after
// GreedyDual-Size with Frequency; Cherkasova, 1998). Pages that several boundaries share are counted in
// parts.
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
  double bytes = 0;  // that its going frees, or helps to free
};

class Retention {
 public:
  // replay_tokens: that restore every window exactly where global K/V are there (0: no group has a window).
  // limit_bytes: of the whole cache.
  Retention(int replay_tokens, int64_t limit_bytes) : replay_tokens_(replay_tokens), limit_bytes_(limit_bytes) {}

  // A new boundary is thought to be wanted by its kind, and because the one before it on its path (null:
  // none) was.
  void begin(Boundary& boundary, const Boundary* before) const;
  void want(Boundary& boundary) const;  // a request continues from it
  void pass(Boundary& boundary) const;  // a request runs through it

  // Considers the boundaries of a tree; the least worthy over all calls is kept in `least`.
  void consider(PrefixTree& tree, int64_t now_ms, Victim& least) const;
  void chosen(const Victim& victim);

 private:
  struct Context;
  void visit(PrefixNode& node, int before, const Context& context, Victim& least) const;
  // Of no node where it frees nothing, or is worth no less than `least`.
  Victim judge(PrefixNode& node, size_t index, int before, const Context& context, const Victim& least) const;

  int replay_tokens_;
  int64_t limit_bytes_;
  double age_ = 0;
};

}  // namespace fovea::kv
