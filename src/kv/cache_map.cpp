#include "kv/cache_map.h"

#include <algorithm>
#include <map>

#include "kernels/kv_layout.h"
#include "kv/cache.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;
using Way = std::vector<const PrefixNode*>;

// Positions [begin, end) of a page, joined to the span before where it goes on alike.
void add(std::vector<MapSpan>& spans, const PageRef& page, int begin, int end) {
  const int holders = page.pool().holders(page.id()), keepers = page.pool().keepers(page.id());
  if (begin >= end) return;
  if (!spans.empty() && spans.back().end == begin && spans.back().holders == holders && spans.back().keepers == keepers) {
    spans.back().end = end;
  } else {
    spans.push_back({begin, end, holders, keepers});
  }
}

std::vector<MapSpan> whole_past_spans(const Way& way, size_t group) {
  std::vector<MapSpan> spans;
  for (const PrefixNode* node : way) {
    int page = node->begin / kPageTokens;
    for (const PageRef& ref : node->pages[group]) {
      add(spans, ref, std::max(page * kPageTokens, node->begin), std::min((page + 1) * kPageTokens, node->end()));
      ++page;
    }
  }
  return spans;
}

// Runs of several boundaries may hold the same page, or each its own copy of one; either is there once for the eye.
std::vector<MapSpan> window_spans(const Way& way, size_t group) {
  std::map<int, std::pair<const PageRef*, int>> pages;  // by number: up to which position
  for (const PrefixNode* node : way) {
    for (const Boundary& boundary : node->boundaries) {
      if (boundary.runs.empty()) continue;
      const LocalRun& run = boundary.runs[group];
      for (int page = run.first_page; page < run.end_page(); ++page)
        pages[page] = {&run.page(page), std::min((page + 1) * kPageTokens, boundary.position)};
    }
  }
  std::vector<MapSpan> spans;
  for (const auto& [page, known] : pages) add(spans, *known.first, page * kPageTokens, known.second);
  return spans;
}

std::vector<MapSpan> state_spans(const Way& way, size_t group) {
  std::vector<MapSpan> spans;
  for (const PrefixNode* node : way) {
    for (const Boundary& boundary : node->boundaries) {
      if (boundary.states.empty()) continue;
      const PageRef& page = boundary.states[group];
      spans.push_back({boundary.position, boundary.position, page.pool().holders(page.id()), page.pool().keepers(page.id())});
    }
  }
  return spans;
}

void add_boundaries(const PrefixNode& node, bool windows, MapPath& path) {
  for (const Boundary& b : node.boundaries) {
    path.boundaries.push_back({b.position, b.kind, b.keep == Keep::priority, !windows || !b.runs.empty(), b.wanted, b.expires_ms});
  }
  for (const Dropped& loss : node.dropped) path.losses.push_back({loss.position, loss.token < 0, loss.expired});
}

int shared_tokens(const Way& a, const Way& b) {
  const auto differ = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return differ.first == a.begin() ? 0 : (*std::prev(differ.first))->end();
}

}  // namespace

MapPath Cache::map_of(SequenceId id) const {
  const Sequence& sequence = at(id);
  MapPath path;
  path.running = true;
  path.salt = sequence.salt;
  path.tokens = sequence.extent.length;
  for (const auto& group : groups_) {
    std::vector<MapSpan>& spans = path.groups.emplace_back();
    const PageTable& pages = group->table(static_cast<int>(id));
    const int gone = group->forgotten(static_cast<int>(id)), sinks = group->forgetting() ? group->forgetting()->sinks : 0;
    for (int page = pages.first_page(); page < pages.end_page(); ++page) {
      // What is forgotten is drawn behind the sinks, wherever it was taken from.
      const int begin = page * kPageTokens + (page < sinks ? 0 : gone);
      add(spans, pages.page(page), begin, std::min(begin + kPageTokens, path.tokens));
    }
  }
  for (size_t i = 0; i < contiguous_.size(); ++i) path.groups.push_back({{0, path.tokens, 1, 0}});
  for (const auto& states : states_) {
    std::vector<MapSpan>& spans = path.groups.emplace_back();
    if (!states->has_state(static_cast<int>(id))) continue;
    const PageRef& page = states->page(static_cast<int>(id));
    spans.push_back({path.tokens, path.tokens, page.pool().holders(page.id()), page.pool().keepers(page.id())});
  }
  return path;
}

CacheMap Cache::map(int most_prefixes) const {
  CacheMap map;
  map.now_ms = now_ms();
  for (size_t i = 0; i < sequences_.size(); ++i) {
    if (sequences_[i].live) map.paths.push_back(map_of(static_cast<SequenceId>(i)));
  }
  const bool windows = std::ranges::any_of(groups_, [](const auto& group) { return group->has_window(); });
  std::vector<Way> ways;
  index_.visit_ways([&](std::string_view salt, const Way& way) {
    if (static_cast<int>(ways.size()) == most_prefixes) return void(++map.left_out);
    MapPath path;
    path.salt = salt;
    path.tokens = way.back()->end();
    size_t windowed = 0, whole = 0;
    for (const auto& group : groups_)
      path.groups.push_back(group->has_window() ? window_spans(way, windowed++) : whole_past_spans(way, whole++));
    for (size_t i = 0; i < states_.size(); ++i) path.groups.push_back(state_spans(way, i));
    for (const PrefixNode* node : way) add_boundaries(*node, windows, path);
    for (const Way& other : ways) path.shared_tokens = std::max(path.shared_tokens, shared_tokens(way, other));
    ways.push_back(way);
    map.paths.push_back(std::move(path));
  });
  return map;
}

}  // namespace fovea::kv
