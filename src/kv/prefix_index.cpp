#include "kv/prefix_index.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>

#include "kernels/kv_layout.h"
#include "kv/formula.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

constexpr int kMostVisits = 64;  // nodes searched beyond the point of departure
constexpr int kMostBoundaries = 1 << 14;

// The highest window lost on the path in (after, until].
const Dropped* lost_window(const PrefixMatch& match, int after, int until) {
  const Dropped* highest = nullptr;
  for (const PrefixNode* node : match.path) {
    for (const Dropped& loss : node->dropped) {
      if (loss.token >= 0 || loss.position <= after || loss.position > until) continue;
      if (!highest || loss.position > highest->position) highest = &loss;
    }
  }
  return highest;
}

// The last boundary on the path, up to `most` positions, with states; null: none.
Boundary* last_with_states(const PrefixMatch& match, int most) {
  Boundary* last = nullptr;
  for (PrefixNode* node : match.path) {
    for (Boundary& boundary : node->boundaries) {
      if (boundary.position <= most && !boundary.states.empty()) last = &boundary;
    }
  }
  return last;
}

// The boundary before this one on the path to it that is not a spaced one; null: none.
const Boundary* before(const PrefixNode& node, const Boundary& boundary) {
  for (const PrefixNode* at = &node; at; at = at->parent) {
    for (auto other = at->boundaries.rbegin(); other != at->boundaries.rend(); ++other) {
      if (other->position < boundary.position && other->kind != BoundaryKind::spaced) return &*other;
    }
  }
  return nullptr;
}

MissReason why_no_further(const PrefixNode& last, int matched, int32_t next) {
  const auto lost = std::ranges::find_if(last.dropped, [&](const Dropped& loss) { return loss.token == next && loss.position == matched; });
  if (matched < last.end()) return MissReason::differs;
  if (lost != last.dropped.end()) return lost->expired ? MissReason::expired : MissReason::dropped;
  if (matched == 0) return MissReason::unknown;
  return last.children.empty() ? MissReason::ends : MissReason::differs;
}

}  // namespace

void PrefixIndex::gather(const PrefixNode& node, const PrefixMatch& match, int reach, int& visits, Found& found) const {
  for (const Boundary& boundary : node.boundaries) {
    if (boundary.runs.empty() || boundary.position >= match.tokens + reach) continue;
    for (size_t group = 0; group < boundary.runs.size(); ++group) {
      found.runs[group].push_back({&boundary.runs[group], std::min(boundary.position, match.tokens)});
    }
    found.beyond.push_back(const_cast<Boundary*>(&boundary));
  }
  if (node.end() < match.tokens || node.end() >= match.tokens + reach) return;
  for (const auto& [token, child] : node.children) {
    if (++visits > kMostVisits) return;
    gather(*child, match, reach, visits, found);
  }
}

int PrefixIndex::served_by_all(const Found& found, int most) const {
  for (int before = -1; before != most;) {
    before = most;
    for (size_t group = 0; group < shape_.windows.size() && most > 0; ++group) {
      most = longest_served(shape_.windows[group], found.runs[group], most);
    }
    if (shape_.state_groups > 0 && most > 0) {
      const Boundary* last = last_with_states(found.match, most);
      most = last ? last->position : 0;
    }
  }
  return most;
}

// Why what is known cannot be continued, or only with what was lost.
MissReason PrefixIndex::reason_without(const Dropped* lost) const {
  const bool state = shape_.state_groups > 0;
  if (!lost) return state ? MissReason::no_state : MissReason::no_window;
  if (lost->expired) return state ? MissReason::state_expired : MissReason::window_expired;
  return state ? MissReason::state_dropped : MissReason::window_dropped;
}

void PrefixIndex::explain(std::span<const int32_t> tokens, int most, const PrefixNode& root, Found& found) const {
  Reuse& reuse = found.reuse;
  const int known = std::min(reuse.matched, most);
  reuse.position = known;
  if (reuse.tokens == most) {
    reuse.reason = MissReason::none;
  } else if (reuse.tokens < known) {
    const Dropped* lost = lost_window(found.match, reuse.tokens, known);
    reuse.reason = reason_without(lost);
    if (lost) reuse.position = lost->position;
  } else {
    const PrefixNode& last = found.match.path.empty() ? root : *found.match.path.back();
    reuse.reason = why_no_further(last, known, tokens[static_cast<size_t>(known)]);
  }
}

Found PrefixIndex::find(std::string_view salt, std::span<const int32_t> tokens, int most, int approximate_windows) {
  Found found;
  found.runs.resize(shape_.windows.size());
  const auto tree = trees_.find(salt);
  if (tree == trees_.end()) {
    found.reuse.reason = most == 0 ? MissReason::none : MissReason::unknown;
    return found;
  }
  found.match = tree->second.match(tokens);
  found.reuse.matched = found.match.tokens;
  const int widest = shape_.windows.empty() ? 0 : std::ranges::max(shape_.windows);
  int visits = 0;
  for (const PrefixNode* node : found.match.path) gather(*node, found.match, widest + kPageTokens, visits, found);

  const int known = std::min(found.match.tokens, most);
  found.reuse.tokens = served_by_all(found, known);
  if (shape_.state_groups > 0) found.state = last_with_states(found.match, found.reuse.tokens);
  explain(tokens, most, tree->second.root(), found);

  int replay = shape_.replay_tokens;
  if (approximate_windows > 0) replay = std::min(replay, approximate_windows * (widest - 1));
  if (replay > 0 && known - replay > found.reuse.tokens) {
    found.replay_from = known - replay;
    found.reuse.tokens = found.replay_from;
    found.reuse.replayed = replay;
    found.reuse.exact = replay == shape_.replay_tokens;
  }
  const int used = found.reuse.tokens;
  std::erase_if(found.beyond, [used](const Boundary* b) { return b->position < used; });
  return found;
}

void PrefixIndex::count_use(const Found& found) {
  const int reached = found.reuse.tokens + found.reuse.replayed;
  for (PrefixNode* node : found.match.path) {
    for (Boundary& boundary : node->boundaries) {
      if (boundary.position <= reached) retention_.pass(boundary);
    }
  }
  const auto nearest = std::ranges::min_element(found.beyond, {}, &Boundary::position);
  if (nearest != found.beyond.end() && reached > 0) retention_.want(**nearest);
  if (found.state) retention_.want(*found.state);
}

void PrefixIndex::pin(std::string_view salt, std::span<const int32_t> tokens, const SequencePages& pages, BoundaryKind kind,
                      KeepTerms terms, int64_t now_ms) {
  auto tree = trees_.find(salt);
  if (tree == trees_.end()) tree = trees_.emplace(std::string(salt), PrefixTree()).first;
  PrefixNode& node = tree->second.insert(tokens, pages.whole);
  const int position = static_cast<int>(tokens.size());
  Boundary* boundary = node.find_boundary(position);
  if (!boundary) {
    const auto later = std::ranges::find_if(node.boundaries, [&](const Boundary& b) { return b.position > position; });
    boundary = &*node.boundaries.insert(later, Boundary{.position = position, .kind = kind});
    retention_.begin(*boundary, before(node, *boundary));
    boundary->expires_ms = 0;
    ++boundaries_;
  } else if (kind > boundary->kind) {
    const double wanted = boundary->wanted;
    boundary->kind = kind;
    retention_.begin(*boundary, before(node, *boundary));
    boundary->wanted = std::max(boundary->wanted, wanted);
  }
  boundary->keep = std::max(boundary->keep, terms.keep);
  boundary->expires_ms = std::max(boundary->expires_ms, terms.ttl_ms > 0 ? now_ms + terms.ttl_ms : kNever);
  next_expiry_ms_ = std::min(next_expiry_ms_, boundary->expires_ms);
  if (boundary->runs.empty()) {
    for (size_t group = 0; group < pages.windowed.size(); ++group) {
      const PageTable& table = *pages.windowed[group];
      // One position more than needed, so that the last token can be computed again.
      const int wanted = first_readable(shape_.windows[group], position - 1) / kPageTokens;
      LocalRun run = {std::max(wanted, table.first_page()), {}};
      for (int page = run.first_page; page * kPageTokens < position; ++page) run.pages.push_back(table.page(page).keep());
      boundary->runs.push_back(std::move(run));
    }
    std::erase_if(node.dropped, [&](const Dropped& loss) { return loss.token < 0 && loss.position == position; });
  }
  if (boundary->states.empty()) {
    for (const PageRef* state : pages.states) boundary->states.push_back(state->keep());
  }
  if (boundaries_ > kMostBoundaries) drop_least(now_ms);
}

bool PrefixIndex::drop_least(int64_t now_ms) {
  Victim victim;
  for (auto& [salt, tree] : trees_) retention_.consider(tree, now_ms, victim);
  if (!victim.node) return false;
  retention_.chosen(victim);
  Boundary& boundary = victim.node->boundaries[victim.boundary];
  const bool expired = boundary.expires_ms <= now_ms;
  victim.node->remember({boundary.position, -1, expired});
  if (victim.window_only && !expired) {
    boundary.runs.clear();
    return true;
  }
  victim.node->boundaries.erase(victim.node->boundaries.begin() + static_cast<ptrdiff_t>(victim.boundary));
  --boundaries_;
  for (auto tree = trees_.begin(); tree != trees_.end(); ++tree) {
    const PrefixNode* top = victim.node;
    while (top->parent) top = top->parent;
    if (top != &tree->second.root()) continue;
    tree->second.trim(*victim.node, expired);
    if (tree->second.empty() && tree->second.root().dropped.empty()) trees_.erase(tree);
    break;
  }
  return true;
}

void PrefixIndex::drop_expired(PrefixNode& node, int64_t now_ms) {
  for (const Boundary& boundary : node.boundaries) {
    if (boundary.expires_ms <= now_ms) node.remember({boundary.position, -1, true});
    else next_expiry_ms_ = std::min(next_expiry_ms_, boundary.expires_ms);
  }
  boundaries_ -= static_cast<int>(std::erase_if(node.boundaries, [now_ms](const Boundary& b) { return b.expires_ms <= now_ms; }));
  for (const auto& [token, child] : node.children) drop_expired(*child, now_ms);
}

void PrefixIndex::drop_expired(int64_t now_ms) {
  if (now_ms < next_expiry_ms_) return;
  next_expiry_ms_ = kNever;
  for (auto& [salt, tree] : trees_) {
    drop_expired(tree.root(), now_ms);
    tree.trim_all();
  }
}

namespace {

void visit_node(const PrefixNode& node, const PrefixIndex::Visitor& visit) {
  for (size_t group = 0; group < node.pages.size(); ++group) {
    for (const PageRef& page : node.pages[group]) visit(KeptIn::whole_past, group, page);
  }
  for (const Boundary& boundary : node.boundaries) {
    for (size_t group = 0; group < boundary.runs.size(); ++group) {
      for (const PageRef& page : boundary.runs[group].pages) visit(KeptIn::windows, group, page);
    }
    for (size_t group = 0; group < boundary.states.size(); ++group) visit(KeptIn::states, group, boundary.states[group]);
  }
  for (const auto& [token, child] : node.children) visit_node(*child, visit);
}

void visit_leaves(const PrefixNode& node, std::vector<const PrefixNode*>& way,
                  const std::function<void(const std::vector<const PrefixNode*>&)>& visit) {
  for (const auto& [token, child] : node.children) {
    way.push_back(child.get());
    if (child->children.empty()) visit(way);
    visit_leaves(*child, way, visit);
    way.pop_back();
  }
}

int count_boundaries(const PrefixNode& node) {
  int count = static_cast<int>(node.boundaries.size());
  for (const auto& [token, child] : node.children) count += count_boundaries(*child);
  return count;
}

}  // namespace

void PrefixIndex::visit_pages(const Visitor& visit) const {
  for (const auto& [salt, tree] : trees_) visit_node(tree.root(), visit);
}

void PrefixIndex::visit_ways(const WayVisitor& visit) const {
  for (const auto& [salt, tree] : trees_) {
    std::vector<const PrefixNode*> way;
    visit_leaves(tree.root(), way, [&, &name = salt](const auto& found) { visit(name, found); });
  }
}

void PrefixIndex::check() const {
  int count = 0;
  for (const auto& [salt, tree] : trees_) {
    tree.check();
    count += count_boundaries(tree.root());
  }
  if (count != boundaries_) throw std::logic_error("prefix index: boundaries were miscounted");
}

}  // namespace fovea::kv
