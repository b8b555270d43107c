#include "engine/scheduler.h"

#include <algorithm>

namespace fovea {

bool Scheduler::remove(RequestId id) {
  const auto is_it = [id](const auto& request) { return request->id == id; };
  if (std::erase_if(waiting_, is_it) > 0) return true;
  const auto found = std::find_if(running_.begin(), running_.end(), is_it);
  if (found == running_.end()) return false;
  cache_.release((*found)->sequence);
  running_.erase(found);
  return true;
}

const RunningRequest* Scheduler::find(RequestId id) const {
  const auto is_it = [id](const auto& request) { return request->id == id; };
  if (const auto found = std::find_if(running_.begin(), running_.end(), is_it); found != running_.end()) {
    return found->get();
  }
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), is_it);
  return found == waiting_.end() ? nullptr : found->get();
}

void Scheduler::admit() {
  while (!waiting_.empty()) {
    const auto sequence = cache_.create();
    if (!sequence) return;
    waiting_.front()->sequence = *sequence;
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

bool Scheduler::add_rows(RunningRequest& request, int tokens, model::Batch& batch) {
  if (tokens <= 0 || !cache_.reserve(request.sequence, tokens)) return false;
  const std::span<const int32_t> all(request.tokens);
  batch.add(request.sequence, request.computed,
            all.subspan(static_cast<size_t>(request.computed), static_cast<size_t>(tokens)));
  return true;
}

std::vector<RunningRequest*> Scheduler::next(model::Batch& batch) {
  admit();
  batch.clear();
  std::vector<RunningRequest*> scheduled;
  for (const bool prompts : {false, true}) {
    for (const auto& request : running_) {
      if (request->in_prompt() != prompts) continue;
      const int left = static_cast<int>(request->tokens.size()) - request->computed;
      if (add_rows(*request, std::min(left, chunk_tokens_ - batch.rows()), batch)) scheduled.push_back(request.get());
    }
  }
  return scheduled;
}

}  // namespace fovea
