#include "serve/stop_filter.h"

#include <algorithm>
#include <utility>

namespace fovea::serve {
namespace {

// Length of the longest end of `text` that begins `stop` without being all of it.
size_t begun(std::string_view text, std::string_view stop) {
  for (size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (text.ends_with(stop.substr(0, length))) return length;
  }
  return 0;
}

}  // namespace

StopFilter::StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {}

std::string StopFilter::push(std::string_view piece) {
  if (stopped_) return "";
  held_ += piece;
  size_t first_end = std::string::npos, cut = 0;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    const size_t end = at + stop.size();
    if (first_end != std::string::npos && std::pair(end, at) >= std::pair(first_end, cut)) continue;
    first_end = end;
    cut = at;
    matched_ = stop;
  }
  if (first_end != std::string::npos) {
    stopped_ = true;
    return std::exchange(held_, {}).substr(0, cut);
  }
  size_t hold = 0;
  for (const std::string& stop : stops_) hold = std::max(hold, begun(held_, stop));
  std::string shown = held_.substr(0, held_.size() - hold);
  held_.erase(0, shown.size());
  return shown;
}

std::string StopFilter::finish() { return stopped_ ? "" : std::exchange(held_, {}); }

}  // namespace fovea::serve
