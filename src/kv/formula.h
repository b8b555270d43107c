// The one formula for positions, pages and bytes of a group. The cache allocates by it and a plan is made by
// it, so that the plan is the allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kv/spec.h"

namespace fovea::kv {

// Oldest position that the query at `length`, or any later one, can read. Query i sees key j iff
// i - window < j <= i.
int first_readable(int window, int length);

// Groups that keep a state count as one page per sequence.

// Pages that one sequence can hold at once in this group. Whole past: the context. What forgets: its budget, and copied sinks
// (kv/eviction.h). A window: its window - 1
// newest positions, those that can be rolled back and a chunk, lying across page borders as badly as can be; never
// more than the whole past needs.
int pages_needed(const GroupSpec& group, const CacheOptions& options);

// Pages that all sequences together hold at once at most, each at its longest, when a step adds no more than
// chunk_tokens positions to all of them: what becomes resident of capacity_pages().
int64_t peak_pages(const GroupSpec& group, const CacheOptions& options);

// Pages of the group for all sequences together, without what is retained. Throws Error when there are more than can be numbered.
int capacity_pages(const GroupSpec& group, const CacheOptions& options);

// Bytes of one layer in a page: its slice, rounded up to whole cache lines.
size_t layer_stride_bytes(const GroupSpec& group);

// Bytes of a page: the layers of the group one after the other, in the order of GroupSpec::layers.
int64_t page_bytes(const GroupSpec& group);

// Pages that the pool of the group has addresses for: capacity_pages and as many as retained_bytes hold.
int pool_pages(const GroupSpec& group, const CacheOptions& options);

// Bytes that pages of all groups may take together: what sequences may need, and options.retained_bytes.
int64_t limit_bytes(std::span<const GroupSpec> groups, const CacheOptions& options);

// What the K/V of one sequence need at the least: min(window, length) entries without padding or rounding.
int64_t exact_bytes(const GroupSpec& group, int length);

}  // namespace fovea::kv
