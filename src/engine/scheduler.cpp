#include "engine/scheduler.h"

#include <algorithm>

#include "engine/cache_report.h"

namespace fovea {
namespace {

constexpr int kWorthWaiting = 16;  // tokens that another request is about to compute anyway

int common_tokens(std::span<const int32_t> a, std::span<const int32_t> b) {
  const auto most = static_cast<ptrdiff_t>(std::min(a.size(), b.size()));
  return static_cast<int>(std::mismatch(a.begin(), a.begin() + most, b.begin()).first - a.begin());
}

kv::Prompt prompt_of(const RunningRequest& running) {
  const Request& request = running.request;
  kv::Prompt prompt;
  prompt.tokens = request.prompt;
  prompt.salt = request.cache.salt;
  prompt.most_reused = request.cache.reuse ? running.prompt_tokens() - 1 : 0;
  if (request.on_logits) prompt.most_reused = std::min(prompt.most_reused, request.logits_from);
  prompt.boundaries = request.cache.boundaries;
  prompt.terms.keep = static_cast<kv::Keep>(request.cache.keep);
  prompt.terms.ttl_ms = static_cast<int64_t>(request.cache.ttl_seconds * 1000);
  prompt.approximate_windows = request.cache.approximate_windows;
  return prompt;
}

}  // namespace

bool Scheduler::remove(RequestId id) {
  const auto is_it = [id](const auto& request) { return request->id == id; };
  if (std::erase_if(waiting_, is_it) > 0) return true;
  const auto found = std::find_if(running_.begin(), running_.end(), is_it);
  if (found == running_.end()) return false;
  cache_.retire((*found)->sequence);
  running_.erase(found);
  return true;
}

const RunningRequest* Scheduler::find_running(RequestId id) const {
  const auto found = std::find_if(running_.begin(), running_.end(), [id](const auto& r) { return r->id == id; });
  return found == running_.end() ? nullptr : found->get();
}

const RunningRequest* Scheduler::find(RequestId id) const {
  if (const RunningRequest* running = find_running(id)) return running;
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [id](const auto& r) { return r->id == id; });
  return found == waiting_.end() ? nullptr : found->get();
}

bool Scheduler::follows_another(const RunningRequest& request) {
  const CacheTerms& terms = request.request.cache;
  const kv::Prompt prompt = prompt_of(request);
  if (prompt.most_reused < kWorthWaiting || (evicts_ && request.request.evict)) return false;
  int known = -1;
  for (const auto& leader : running_) {
    const CacheTerms& its = leader->request.cache;
    if (!leader->in_prompt() || its.keep == KeepLevel::none || its.salt != terms.salt) continue;
    if (evicts_ && leader->request.evict) continue;
    const int common = std::min(common_tokens(leader->request.prompt, prompt.tokens), prompt.most_reused);
    if (common <= leader->computed) continue;
    if (known < 0) known = cache_.known_tokens(prompt);
    if (common - known < kWorthWaiting) continue;
    cache_.mark(leader->sequence, common, kv::BoundaryKind::branch);
    return true;
  }
  return false;
}

void Scheduler::start(RunningRequest& request) {
  kv::Prompt prompt = prompt_of(request);
  prompt.forgets = evicts_ && request.request.evict;
  const kv::Reuse found = cache_.begin(request.sequence, prompt);
  request.computed = cache_.length(request.sequence);
  request.reuse = report_of(found, request.prompt_tokens());
  if (!request.request.cache.reuse) request.reuse.reason = ReuseReason::off;
  if (on_start) on_start(request.id, request.reuse);
}

void Scheduler::admit() {
  for (auto request = waiting_.begin(); request != waiting_.end();) {
    if (follows_another(**request)) {
      ++request;
      continue;
    }
    const auto sequence = cache_.create();
    if (!sequence) return;
    (*request)->sequence = *sequence;
    start(**request);
    running_.push_back(std::move(*request));
    request = waiting_.erase(request);
  }
}

bool Scheduler::add_rows(RunningRequest& request, int tokens, model::Batch& batch) {
  if (tokens <= 0 || (cache_.room_tokens(request.sequence) == 0 && !on_full(request))) return false;
  tokens = std::min(tokens, cache_.room_tokens(request.sequence));
  // A step ends where a boundary is to be left, if only its end can be one.
  if (cache_.boundaries_end_steps()) tokens = std::min(tokens, cache_.tokens_to_boundary(request.sequence));
  if (tokens <= 0 || !cache_.reserve(request.sequence, tokens)) return false;
  const std::span<const int32_t> all(request.tokens);
  batch.add(request.sequence, cache_.length(request.sequence),
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
