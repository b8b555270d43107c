#include "kv/formula.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/aligned.h"
#include "fovea/error.h"
#include "kv/eviction.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

constexpr int kUsualNewestTokens = 16;  // docs/kv-codecs.md: more gains little

int64_t ceil_div(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

int64_t layer_count(const GroupSpec& group) { return static_cast<int64_t>(group.layers.size()); }

}  // namespace

int newest_tokens(const kernels::KvLayout& layout, int window, int wanted) {
  if (!kernels::is_narrow(layout.codec.keys)) return 0;
  const int bits = std::min(kernels::code_bits(layout.codec.keys), layout.own_values() ? kernels::code_bits(layout.codec.values) : 8);
  const int tokens = wanted != EngineOptions::kUsualNewest ? wanted : bits < 8 ? kUsualNewestTokens : 0;
  return window == kWholePast ? tokens : std::min(tokens, window);
}

std::vector<GroupSpec> with_newest(std::vector<GroupSpec> groups, int wanted) {
  const size_t count = groups.size();
  for (size_t i = 0; i < count; ++i) {
    if (groups[i].state_bytes > 0) continue;
    const int tokens = newest_tokens(groups[i].layout, groups[i].window, wanted);
    if (tokens == 0) continue;
    GroupSpec& newest = groups.emplace_back(groups[i]);
    newest.window = tokens;
    newest.layout.codec = KvCodec::bf16;
    newest.newest = true;
  }
  return groups;
}

int first_readable(int window, int length) { return window == kWholePast || length < window ? 0 : length - window + 1; }

int pages_needed(const GroupSpec& group, const CacheOptions& options) {
  if (group.state_bytes > 0) return 1;
  const int64_t whole_past = ceil_div(options.context_tokens, kPageTokens);
  if (const auto forgets = forgetting(group, options.eviction); forgets && forgets->budget < whole_past) {
    return forgets->budget + forgets->copied_sinks;
  }
  if (group.window == kWholePast) return static_cast<int>(whole_past);
  const int64_t positions = int64_t{group.window} - 1 + options.rollback_tokens + options.chunk_tokens;
  // Of n consecutive positions, one may stand alone at the end of a page; the other n - 1 begin the next.
  const int64_t windowed = 1 + ceil_div(positions - 1, kPageTokens);
  return static_cast<int>(std::min(windowed, whole_past));
}

int64_t peak_pages(const GroupSpec& group, const CacheOptions& options) {
  CacheOptions one_by_one = options;
  one_by_one.chunk_tokens = 1;
  const int64_t settled = int64_t{options.sequences} * pages_needed(group, one_by_one);
  const int64_t all = int64_t{options.sequences} * pages_needed(group, options);
  return std::min(all, settled + ceil_div(options.chunk_tokens, kPageTokens));
}

int capacity_pages(const GroupSpec& group, const CacheOptions& options) {
  int64_t pages = int64_t{options.sequences} * pages_needed(group, options);
  if (options.total_tokens != 0 && group.state_bytes == 0) pages = std::min(pages, ceil_div(options.total_tokens, kPageTokens));
  if (pages > std::numeric_limits<int>::max()) {
    throw Error(std::to_string(options.sequences) + " sequences of " + std::to_string(options.context_tokens) +
                    " tokens are more than the cache can number",
                "K/V cache", "ask for a shorter context or fewer sequences");
  }
  return static_cast<int>(pages);
}

size_t layer_stride_bytes(const GroupSpec& group) {
  const size_t bytes = group.state_bytes > 0 ? static_cast<size_t>(group.state_bytes) : group.layout.slice_bytes();
  return (bytes + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
}

int64_t page_bytes(const GroupSpec& group) { return layer_count(group) * static_cast<int64_t>(layer_stride_bytes(group)); }

int pool_pages(const GroupSpec& group, const CacheOptions& options) {
  const int64_t pages = capacity_pages(group, options) + options.retained_bytes / page_bytes(group);
  return static_cast<int>(std::min<int64_t>(pages, std::numeric_limits<int>::max()));
}

int64_t limit_bytes(std::span<const GroupSpec> groups, const CacheOptions& options) {
  int64_t bytes = options.retained_bytes;
  for (const GroupSpec& group : groups) bytes += page_bytes(group) * capacity_pages(group, options);
  return bytes;
}

int64_t exact_bytes(const GroupSpec& group, int length) {
  if (group.state_bytes > 0) return layer_count(group) * group.state_bytes;
  const int entries = group.window == kWholePast ? length : std::min(group.window, length);
  return entries * layer_count(group) * group.layout.bytes_per_token();
}

}  // namespace fovea::kv
