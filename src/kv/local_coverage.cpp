#include "kv/local_coverage.h"

#include <algorithm>
#include <cassert>

#include "kernels/kv_layout.h"
#include "kv/formula.h"

namespace fovea::kv {

using kernels::kPageTokens;

int longest_served(int window, std::span<const UsableRun> runs, int most) {
  struct Stretch {
    int begin, end;
  };
  std::vector<Stretch> stretches;
  for (const UsableRun& usable : runs) {
    const Stretch stretch = {usable.run->begin_position(), std::min(usable.end, usable.run->end_page() * kPageTokens)};
    if (stretch.begin < stretch.end) stretches.push_back(stretch);
  }
  std::ranges::sort(stretches, {}, &Stretch::begin);
  // Runs that touch are as good as one: where one ends inside a page, the next has that page from its first
  // slot on.
  int longest = 0;
  for (size_t i = 0; i < stretches.size();) {
    Stretch joined = stretches[i++];
    for (; i < stretches.size() && stretches[i].begin <= joined.end; ++i) {
      joined.end = std::max(joined.end, stretches[i].end);
    }
    const int length = std::min(joined.end, most);
    if (length > joined.begin && first_readable(window, length) >= joined.begin) longest = std::max(longest, length);
  }
  return longest;
}

const PageRef& page_served(std::span<const UsableRun> runs, int page, int length) {
  const int needed = std::min((page + 1) * kPageTokens, length);
  const auto serves = [&](const UsableRun& usable) {
    return usable.run->first_page <= page && page < usable.run->end_page() && usable.end >= needed;
  };
  const auto found = std::ranges::find_if(runs, serves);
  assert(found != runs.end());
  return found->run->page(page);
}

}  // namespace fovea::kv
