#include "planner/cache_plan.h"

#include <algorithm>

#include "kv/eviction.h"
#include "kv/formula.h"
#include "planner/kv_codec.h"

namespace fovea::planner {
namespace {

constexpr int64_t kStateBytes = 4;  // recurrent states are f32

bool same_group(const LayerRow& a, const LayerRow& b) {
  return a.kind == b.kind && a.window == b.window && a.kv_heads == b.kv_heads && a.head_dim == b.head_dim && a.one_stream == b.one_stream &&
         a.turned == b.turned && a.latent_values == b.latent_values && a.latent_rank == b.latent_rank && a.state_values == b.state_values;
}

bool has_window(const LayerRow& row) { return row.kind == LayerKind::local || row.kind == LayerKind::chunked; }

KvCodecs codecs_of(const LayerRow& row, const PlanOptions& options) {
  return kv_codecs_from_name(has_window(row) ? options.kv_local : options.kv_global);
}

// Positions of one sequence that the group holds at the end of the context, and a query there sees.
int held_tokens(const kv::GroupSpec& group, const PlanOptions& options) {
  const int held = group.window != kv::kWholePast ? std::min(group.window, options.context_tokens) : options.context_tokens;
  const auto forgets = kv::forgetting(group, options.eviction);
  return forgets ? std::min(held, forgets->budget * kernels::kPageTokens) : held;
}

// How the engine stores a head of this row.
kernels::KvLayout layout_of(const LayerRow& row, KvCodecs codecs) {
  if (row.kind == LayerKind::latent) {
    return {codecs, 1, row.latent_values, row.latent_rank > 0 ? row.latent_rank : row.latent_values};
  }
  if (!row.one_stream) return {codecs, row.kv_heads, row.head_dim, 0};
  return {codecs, row.kv_heads, row.head_dim, row.head_dim, row.turned};
}

// Of one position in one layer.
int64_t bytes_per_token(const LayerRow& row, KvCodecs codecs) {
  if (row.kind == LayerKind::state) return 0;
  return layout_of(row, codecs).bytes_per_token();
}

kv::GroupSpec group_spec(const LayerRow& row, const std::vector<int>& layers, KvCodecs codecs) {
  if (row.kind == LayerKind::state) return {kv::kWholePast, layers, {}, row.state_values * kStateBytes};
  return {has_window(row) ? row.window : kv::kWholePast, layers, layout_of(row, codecs), 0};
}

// Of layers like `row`, in the form of `spec`.
class GroupPlan {
 public:
  GroupPlan(const LayerRow& row, kv::GroupSpec spec, const PlanOptions& options) : row_(row), options_(options), spec_(std::move(spec)) {}

  PlanGroup plan() const {
    PlanGroup group;
    group.kind = spec_.newest ? "newest" : name_of(row_.kind);
    group.layers = spec_.layers;
    if (has_window()) group.window = spec_.window;
    if (row_.has_heads()) {
      group.kv_heads = row_.kv_heads;
      group.head_dim = row_.head_dim;
    }
    group.one_stream = row_.one_stream;
    if (row_.kind == LayerKind::state) {
      group.codec = "f32";
      group.bytes = group.all_global_bytes = state_bytes() * options_.sequences;
      group.page_slack_bytes = kv::page_bytes(spec_) * options_.sequences - group.bytes;
      group.pinned_bytes = pinned_pages() * kv::page_bytes(spec_);
      group.read_bytes = state_bytes();
      return group;
    }
    group.codec = name_of(spec_.layout.codec);
    group.bytes_per_token = layer_count() * bytes_per_token(row_, spec_.layout.codec);
    group.bytes = entries(held_tokens(spec_, options_)) * group.bytes_per_token;
    group.all_global_bytes = spec_.newest ? group.bytes : entries(options_.context_tokens) * group.bytes_per_token;
    add_pages(group);
    return group;
  }

 private:
  bool has_window() const { return spec_.window != kv::kWholePast; }
  int64_t layer_count() const { return static_cast<int64_t>(spec_.layers.size()); }
  int64_t state_bytes() const { return layer_count() * row_.state_values * kStateBytes; }
  // Of the positions that a sequence holds, those that lie in the prefix all have in common.
  int64_t shared(int64_t positions) const {
    return std::max<int64_t>(0, options_.shared_prefix_tokens - (options_.context_tokens - positions));
  }
  int64_t entries(int64_t positions) const {
    const int64_t common = shared(positions);
    return options_.sequences * (positions - common) + common;
  }
  int first_page_read(int length) const { return kv::first_readable(spec_.window, length) / kernels::kPageTokens; }
  // Whole pages of the prefix that every sequence still reads at the end of the context, and has in common with the others.
  int64_t common_pages() const {
    return std::max(0, options_.shared_prefix_tokens / kernels::kPageTokens - first_page_read(options_.context_tokens));
  }
  // The next sharer continues from the end of the prefix: what it reads from there stays, beside the whole pages that the sequences
  // have anyway; a state too.
  int64_t pinned_pages() const {
    const int prefix = options_.shared_prefix_tokens;
    if (prefix == 0) return 0;
    if (row_.kind == LayerKind::state) return 1;
    return (prefix + kernels::kPageTokens - 1) / kernels::kPageTokens - first_page_read(prefix) - common_pages();
  }

  void add_pages(PlanGroup& group) const {
    kv::CacheOptions cache{.context_tokens = options_.context_tokens,
                           .chunk_tokens = std::min(options_.chunk_tokens, options_.context_tokens),
                           .sequences = options_.sequences,
                           .eviction = options_.eviction};
    const int64_t page = kv::page_bytes(spec_);
    const int64_t common = common_pages() * (options_.sequences - 1);
    const int64_t peak = kv::peak_pages(spec_, cache);
    group.reserve_bytes = (int64_t{options_.sequences} * kv::pages_needed(spec_, cache) - peak) * page;
    group.pinned_bytes = pinned_pages() * page;
    cache.chunk_tokens = 1;
    const int64_t settled = kv::peak_pages(spec_, cache);
    group.chunk_bytes = (peak - settled) * page;
    group.page_slack_bytes = std::max<int64_t>(0, (settled - common) * page - group.bytes);
  }

  const LayerRow& row_;
  const PlanOptions& options_;
  kv::GroupSpec spec_;
};

struct Members {
  LayerRow row;
  std::vector<int> layers;
  int readers = 0;  // layers that read this group's state: its own, and those that share it
};

std::vector<Members> members_of(const std::vector<LayerRow>& layers) {
  std::vector<Members> all;
  const auto group_of = [&](const LayerRow& row) {
    return std::find_if(all.begin(), all.end(), [&](const Members& m) { return same_group(m.row, row); });
  };
  for (size_t i = 0; i < layers.size(); ++i) {
    const LayerRow& row = layers[i];
    const LayerRow& owner = row.keeps_state() ? row : layers[static_cast<size_t>(row.shares_with)];
    auto group = group_of(owner);
    if (group == all.end()) group = all.insert(all.end(), Members{owner, {}});
    if (row.keeps_state()) group->layers.push_back(static_cast<int>(i));
    ++group->readers;
  }
  return all;
}

}  // namespace

std::vector<kv::GroupSpec> cache_groups(const std::vector<LayerRow>& layers, const PlanOptions& options) {
  std::vector<kv::GroupSpec> groups;
  for (const Members& members : members_of(layers))
    groups.push_back(group_spec(members.row, members.layers, codecs_of(members.row, options)));
  return kv::with_newest(std::move(groups), options.kv_newest_tokens);
}

std::vector<PlanGroup> plan_groups(const std::vector<LayerRow>& layers, const PlanOptions& options) {
  const std::vector<Members> all = members_of(layers);
  std::vector<PlanGroup> groups;
  for (const kv::GroupSpec& spec : cache_groups(layers, options)) {
    const Members& members = *std::find_if(all.begin(), all.end(), [&](const Members& m) { return m.layers == spec.layers; });
    PlanGroup group = GroupPlan(members.row, spec, options).plan();
    if (members.row.kind != LayerKind::state) {
      group.read_bytes = group.bytes_per_token / static_cast<int64_t>(members.layers.size()) * members.readers * held_tokens(spec, options);
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace fovea::planner
