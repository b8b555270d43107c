#include "kv/prefix_tree.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/kv_layout.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

constexpr size_t kMostRemembered = 16;  // losses per node

int end_page(int end_position) { return (end_position + kPageTokens - 1) / kPageTokens; }

int common_tokens(std::span<const int32_t> a, std::span<const int32_t> b) {
  const size_t most = std::min(a.size(), b.size());
  return static_cast<int>(std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(most), b.begin()).first - a.begin());
}

void require(bool holds, const char* invariant) {
  if (!holds) throw std::logic_error(std::string("prefix tree: ") + invariant);
}

void check_node(const PrefixNode& node) {
  for (const auto& [token, child] : node.children) {
    require(!child->tokens.empty() && child->tokens.front() == token, "a child is filed under another token");
    require(child->parent == &node && child->begin == node.end(), "a child does not continue its parent");
    require(!child->children.empty() || (!child->boundaries.empty() && child->boundaries.back().position == child->end()),
            "a leaf does not end at a boundary");
    for (const auto& pages : child->pages) {
      require(static_cast<int>(pages.size()) == end_page(child->end()) - child->begin / kPageTokens, "a node's pages do not cover it");
    }
    int before = child->begin;
    for (const Boundary& boundary : child->boundaries) {
      require(boundary.position > before && boundary.position <= child->end(), "a boundary is out of place");
      before = boundary.position;
    }
    check_node(*child);
  }
}

}  // namespace

Boundary* PrefixNode::find_boundary(int position) {
  const auto found = std::ranges::find(boundaries, position, &Boundary::position);
  return found == boundaries.end() ? nullptr : &*found;
}

void PrefixNode::remember(const Dropped& loss) {
  if (dropped.size() == kMostRemembered) dropped.erase(dropped.begin());
  dropped.push_back(loss);
}

PrefixMatch PrefixTree::match(std::span<const int32_t> tokens) const {
  PrefixMatch result;
  const PrefixNode* node = root_.get();
  while (static_cast<size_t>(result.tokens) < tokens.size()) {
    const auto child = node->children.find(tokens[static_cast<size_t>(result.tokens)]);
    if (child == node->children.end()) break;
    node = child->second.get();
    result.path.push_back(child->second.get());
    result.tokens += common_tokens(node->tokens, tokens.subspan(static_cast<size_t>(result.tokens)));
    if (result.tokens < node->end()) break;
  }
  return result;
}

void PrefixTree::append(PrefixNode& node, std::span<const int32_t> tokens, const PageSource& source) {
  node.tokens.insert(node.tokens.end(), tokens.begin(), tokens.end());
  const int first = node.begin / kPageTokens;
  node.pages.resize(source.size());
  for (size_t group = 0; group < source.size(); ++group) {
    std::vector<PageRef>& pages = node.pages[group];
    // A page that was not full is replaced by the one that goes on.
    while (!pages.empty() && (first + static_cast<int>(pages.size())) * kPageTokens > node.end() - static_cast<int>(tokens.size())) {
      pages.pop_back();
    }
    for (int page = first + static_cast<int>(pages.size()); page < end_page(node.end()); ++page) {
      pages.push_back(source[group]->page(page).keep());
    }
  }
}

void PrefixTree::split(std::unique_ptr<PrefixNode>& slot, int at) {
  auto upper = std::make_unique<PrefixNode>();
  PrefixNode& lower = *slot;
  assert(lower.begin < at && at < lower.end());
  const auto cut = lower.tokens.begin() + (at - lower.begin);
  upper->parent = lower.parent;
  upper->begin = lower.begin;
  upper->tokens.assign(lower.tokens.begin(), cut);
  upper->pages.resize(lower.pages.size());
  for (size_t group = 0; group < lower.pages.size(); ++group) {
    std::vector<PageRef>& pages = lower.pages[group];
    const int first = lower.begin / kPageTokens;
    const auto begin_lower = static_cast<size_t>(at / kPageTokens - first);
    for (size_t i = 0; i < static_cast<size_t>(end_page(at) - first); ++i) upper->pages[group].push_back(pages[i].keep());
    pages.erase(pages.begin(), pages.begin() + static_cast<ptrdiff_t>(begin_lower));
  }
  const auto later = std::ranges::find_if(lower.boundaries, [at](const Boundary& b) { return b.position > at; });
  std::move(lower.boundaries.begin(), later, std::back_inserter(upper->boundaries));
  lower.boundaries.erase(lower.boundaries.begin(), later);
  const auto stays = [at](const Dropped& loss) { return loss.token >= 0 || loss.position > at; };
  std::ranges::copy_if(lower.dropped, std::back_inserter(upper->dropped), std::not_fn(stays));
  std::erase_if(lower.dropped, std::not_fn(stays));
  lower.tokens.erase(lower.tokens.begin(), cut);
  lower.begin = at;
  lower.parent = upper.get();
  const int32_t first_token = lower.tokens.front();
  upper->children.emplace(first_token, std::move(slot));
  slot = std::move(upper);
}

PrefixNode& PrefixTree::insert(std::span<const int32_t> tokens, const PageSource& source) {
  assert(!tokens.empty());
  PrefixNode* node = root_.get();
  int done = 0;
  const auto rest = [&] { return tokens.subspan(static_cast<size_t>(done)); };
  while (!rest().empty()) {
    const auto child = node->children.find(rest().front());
    if (child == node->children.end()) break;
    const int common = common_tokens(child->second->tokens, rest());
    done += common;
    if (done < child->second->end() && !rest().empty()) split(child->second, done);
    node = child->second.get();
    if (done < node->end()) break;
  }
  if (rest().empty()) return *node;
  std::erase_if(node->dropped, [&](const Dropped& loss) { return loss.token == rest().front() && loss.position == done; });
  if (node == root_.get() || !node->children.empty()) {
    auto leaf = std::make_unique<PrefixNode>();
    leaf->parent = node;
    leaf->begin = done;
    PrefixNode* next = leaf.get();
    node->children.emplace(rest().front(), std::move(leaf));
    node = next;
  }
  append(*node, rest(), source);
  return *node;
}

// Shortens a leaf to its last boundary. False: it has none and should go, which its parent then knows.
bool PrefixTree::trim_leaf(PrefixNode& leaf, bool expired) {
  const int needed = leaf.boundaries.empty() ? leaf.begin : leaf.boundaries.back().position;
  if (needed == leaf.end()) return true;
  const Dropped loss = {needed, leaf.tokens[static_cast<size_t>(needed - leaf.begin)], expired};
  if (needed == leaf.begin) {
    leaf.parent->remember(loss);
    return false;
  }
  leaf.tokens.resize(static_cast<size_t>(needed - leaf.begin));
  for (auto& pages : leaf.pages) {
    while (static_cast<int>(pages.size()) > end_page(needed) - leaf.begin / kPageTokens) pages.pop_back();
  }
  std::erase_if(leaf.dropped, [needed](const Dropped& d) { return d.position > needed; });
  leaf.remember(loss);
  return true;
}

void PrefixTree::trim(PrefixNode& node, bool expired) {
  PrefixNode* at = &node;
  while (at != root_.get() && at->children.empty() && !trim_leaf(*at, expired)) {
    PrefixNode* parent = at->parent;
    parent->children.erase(at->tokens.front());
    at = parent;
  }
}

void PrefixTree::trim_below(PrefixNode& node) {
  std::erase_if(node.children, [](const auto& entry) {
    trim_below(*entry.second);
    return entry.second->children.empty() && !trim_leaf(*entry.second, true);
  });
}

void PrefixTree::trim_all() { trim_below(*root_); }

void PrefixTree::check() const { check_node(*root_); }

const PageRef& page_on_path(const PrefixMatch& match, size_t group, int page, int tokens) {
  // The node that covers the last position wanted of the page has all of the page's earlier ones too.
  const int position = std::min((page + 1) * kPageTokens, tokens) - 1;
  const auto node = std::ranges::find_if(match.path, [position](const PrefixNode* n) { return position < n->end(); });
  assert(node != match.path.end());
  return (*node)->pages[group][static_cast<size_t>(page - (*node)->begin / kPageTokens)];
}

}  // namespace fovea::kv
