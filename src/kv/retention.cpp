#include "kv/retention.h"

#include <algorithm>

#include "kernels/kv_layout.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

constexpr double kPriorityFactor = 16;
constexpr double kPassing =
    0.5;                        // what running through a boundary says of it, where continuing from it says 1
constexpr double kAging = 0.5;  // how fast what is wanted no more falls behind what is new
constexpr double kInherited =
    0.5;  // of what was wanted of a boundary, is expected of the one that follows it

double prior(BoundaryKind kind) {
  switch (kind) {
    case BoundaryKind::spaced:
      return 0.25;
    case BoundaryKind::message:
      return 1;
    case BoundaryKind::prompt:
      return 1;
    case BoundaryKind::branch:
      return 2;
    case BoundaryKind::end:
      return 4;
  }
  return 0;
}

// Bytes that would come free, a page shared among n keepers counting as an n-th. Pages that sequences hold
// stay.
double idle_bytes(const std::vector<PageRef>& pages, size_t begin) {
  double bytes = 0;
  for (size_t i = begin; i < pages.size(); ++i) {
    const PagePool& pool = pages[i].pool();
    if (pool.holders(pages[i].id()) > 0) continue;
    bytes += static_cast<double>(pool.page_bytes()) / pool.keepers(pages[i].id());
  }
  return bytes;
}

// Of the pages that groups without a window would give back with the last boundary of a leaf.
double idle_tail_bytes(const PrefixNode& leaf, size_t boundary) {
  const int kept_to = boundary > 0 ? leaf.boundaries[boundary - 1].position : leaf.begin;
  const int first = (kept_to + kPageTokens - 1) / kPageTokens - leaf.begin / kPageTokens;
  double bytes = 0;
  for (const auto& pages : leaf.pages)
    bytes += idle_bytes(pages, std::min(static_cast<size_t>(first), pages.size()));
  return bytes;
}

}  // namespace

struct Retention::Context {
  int64_t now_ms;
};

void Retention::begin(Boundary& boundary, const Boundary* before) const {
  boundary.wanted = prior(boundary.kind);
  if (before && boundary.kind != BoundaryKind::spaced) boundary.wanted += kInherited * before->wanted;
  boundary.age = age_;
}

void Retention::want(Boundary& boundary) const {
  boundary.wanted += 1;
  boundary.age = age_;
}

void Retention::pass(Boundary& boundary) const {
  boundary.wanted += kPassing * std::min(1.0, prior(boundary.kind));
  boundary.age = age_;
}

void Retention::consider(PrefixTree& tree, int64_t now_ms, Victim& least) const {
  for (const auto& [token, child] : tree.root().children) visit(*child, 0, {now_ms}, least);
}

void Retention::visit(PrefixNode& node, int before, const Context& context, Victim& least) const {
  for (size_t i = 0; i < node.boundaries.size(); ++i) {
    const Victim victim = judge(node, i, before, context);
    if (victim.node && (!least.node || victim.worth < least.worth)) least = victim;
    if (!node.boundaries[i].runs.empty() || replay_tokens_ == 0) before = node.boundaries[i].position;
  }
  for (const auto& [token, child] : node.children) visit(*child, before, context, least);
}

Victim Retention::judge(PrefixNode& node, size_t index, int before, const Context& context) const {
  const Boundary& boundary = node.boundaries[index];
  Victim victim = {&node, index, false, 0};
  double bytes = 0;
  for (const LocalRun& run : boundary.runs) bytes += idle_bytes(run.pages, 0);
  const bool last = node.children.empty() && index + 1 == node.boundaries.size();
  // Without its window, the end of a leaf can still be continued from by replay.
  const int replay_saves = std::max(0, boundary.position - replay_tokens_ - before);
  const bool replayable = last && replay_tokens_ > 0 && replay_saves > 0;
  int saved = boundary.position - before;
  if (replayable && !boundary.runs.empty()) {
    victim.window_only = true;
    saved = replay_tokens_;
  } else {
    if (replay_tokens_ > 0 && boundary.runs.empty()) saved = replay_saves;
    if (last) bytes += idle_tail_bytes(node, index);
  }
  if (bytes == 0) return {};
  victim.bytes = bytes;
  victim.worth = boundary.expires_ms <= context.now_ms
                     ? -1
                     : boundary.age + boundary.wanted *
                                          (boundary.keep == Keep::priority ? kPriorityFactor : 1) * saved /
                                          (bytes / (1 << 20));
  return victim;
}

void Retention::chosen(const Victim& victim) {
  const double share = std::min(1.0, victim.bytes / static_cast<double>(std::max<int64_t>(1, limit_bytes_)));
  age_ += kAging * std::max(0.0, victim.worth - age_) * share;
}

}  // namespace fovea::kv
