#include "kv/static_group.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "kv/formula.h"

namespace fovea::kv {

using kernels::kPageTokens;

StaticGroup::StaticGroup(GroupSpec spec, const CacheOptions& options)
    : spec_(std::move(spec)),
      pages_(pages_needed(spec_, options)),
      rollback_tokens_(options.rollback_tokens),
      memory_(page_bytes(spec_), pages_) {
  const size_t stride = layer_stride_bytes(spec_);
  for (size_t layer = 0; layer < spec_.layers.size(); ++layer) {
    for (int page = 0; page < 2 * pages_; ++page) {
      addresses_.push_back(memory_.data() + (layer * static_cast<size_t>(pages_) + static_cast<size_t>(page % pages_)) * stride);
    }
  }
  clear();
}

void StaticGroup::clear() { std::memset(memory_.data(), 0, memory_.size()); }

kernels::KvPages StaticGroup::view(size_t layer, int length, int reserved_end) const {
  const int first = first_readable(spec_.window, std::max(0, length - rollback_tokens_)) / kPageTokens;
  const int end = reserved_end / kPageTokens + (reserved_end % kPageTokens != 0);
  assert(end - first <= pages_);
  const size_t begin = layer * 2 * static_cast<size_t>(pages_) + static_cast<size_t>(first % pages_);
  return {addresses_.data() + begin, first, end - first};
}

GroupStats StaticGroup::stats() const {
  return {.window = spec_.window,
          .layers = static_cast<int>(spec_.layers.size()),
          .page_bytes = page_bytes(spec_),
          .held_pages = pages_,
          .idle_pages = 0,
          .capacity_pages = pages_,
          .peak_held_pages = pages_};
}

}  // namespace fovea::kv
