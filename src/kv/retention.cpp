#include "kv/retention.h"

#include <algorithm>

#include "kernels/kv_layout.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

constexpr double kPriorityFactor = 16;
constexpr double kPassing = 0.5;    // what running through a boundary says of it, where continuing from it says 1
constexpr double kAging = 0.5;      // how fast what is wanted no more falls behind what is new
constexpr double kInherited = 0.5;  // of what was wanted of a boundary, is expected of the one that follows it

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

// What idle_bytes() is at the most, without looking at each page.
double all_bytes(const std::vector<PageRef>& pages, size_t begin) {
  return begin < pages.size() ? static_cast<double>(pages.size() - begin) * static_cast<double>(pages.front().pool().page_bytes()) : 0;
}

// The pages that would go with a boundary: those of its windows and states, and where it is the last of a leaf, those
// that groups without a window would give back (`tail`). Counted by idle_bytes() or all_bytes().
double bytes_of(const PrefixNode& node, size_t index, bool tail, double (*count)(const std::vector<PageRef>&, size_t)) {
  const Boundary& boundary = node.boundaries[index];
  double bytes = count(boundary.states, 0);
  for (const LocalRun& run : boundary.runs) bytes += count(run.pages, 0);
  if (!tail) return bytes;
  const int kept_to = index > 0 ? node.boundaries[index - 1].position : node.begin;
  const int first = (kept_to + kPageTokens - 1) / kPageTokens - node.begin / kPageTokens;
  for (const auto& pages : node.pages) bytes += count(pages, std::min(static_cast<size_t>(first), pages.size()));
  return bytes;
}

double worth_of(const Boundary& boundary, int saved, double bytes) {
  const double wanted = boundary.wanted * (boundary.keep == Keep::priority ? kPriorityFactor : 1);
  return boundary.age + wanted * saved / (bytes / (1 << 20));
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
    const Victim victim = judge(node, i, before, context, least);
    if (victim.node && (!least.node || victim.worth < least.worth)) least = victim;
    if (!node.boundaries[i].runs.empty() || replay_tokens_ == 0) before = node.boundaries[i].position;
  }
  for (const auto& [token, child] : node.children) visit(*child, before, context, least);
}

Victim Retention::judge(PrefixNode& node, size_t index, int before, const Context& context, const Victim& least) const {
  const Boundary& boundary = node.boundaries[index];
  Victim victim = {&node, index, false, 0};
  const bool last = node.children.empty() && index + 1 == node.boundaries.size();
  // Without its window, the end of a leaf can still be continued from by replay.
  const int replay_saves = std::max(0, boundary.position - replay_tokens_ - before);
  int saved = boundary.position - before;
  if (last && replay_tokens_ > 0 && replay_saves > 0 && !boundary.runs.empty()) {
    victim.window_only = true;
    saved = replay_tokens_;
  } else if (replay_tokens_ > 0 && boundary.runs.empty()) {
    saved = replay_saves;
  }
  const bool tail = last && !victim.window_only, expired = boundary.expires_ms <= context.now_ms;
  // Fewer bytes make it worth more: mostly this settles it, and its pages need not be looked at one by one.
  if (!expired && least.node && worth_of(boundary, saved, bytes_of(node, index, tail, all_bytes)) >= least.worth) return {};
  victim.bytes = bytes_of(node, index, tail, idle_bytes);
  if (victim.bytes == 0) return {};
  victim.worth = expired ? -1 : worth_of(boundary, saved, victim.bytes);
  return victim;
}

void Retention::chosen(const Victim& victim) {
  const double share = std::min(1.0, victim.bytes / static_cast<double>(std::max<int64_t>(1, limit_bytes_)));
  age_ += kAging * std::max(0.0, victim.worth - age_) * share;
}

}  // namespace fovea::kv
