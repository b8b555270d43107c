#include "engine/scheduler.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "engine/cache_report.h"

namespace fovea {
namespace {

constexpr int kGuessedRows = 16;   // of a step, with its guesses: beyond, those of one request are paid for by the others
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

// end: nobody can start who is worth starting.
Scheduler::Waiting::iterator Scheduler::next_to_start() {
  struct Candidate {
    int priority, running;
    size_t place;
  };
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < waiting_.size(); ++i) {
    const int owner = waiting_[i]->request.owner;
    const auto running = std::count_if(running_.begin(), running_.end(), [&](const auto& r) { return r->request.owner == owner; });
    candidates.push_back({waiting_[i]->request.priority, static_cast<int>(running), i});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::tuple(-int64_t{a.priority}, a.running, a.place) < std::tuple(-int64_t{b.priority}, b.running, b.place);
  });
  const auto found =
      std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& c) { return !follows_another(*waiting_[c.place]); });
  return found == candidates.end() ? waiting_.end() : waiting_.begin() + static_cast<ptrdiff_t>(found->place);
}

void Scheduler::admit() {
  while (!waiting_.empty()) {
    const auto sequence = cache_.create();
    if (!sequence) return;
    const auto chosen = next_to_start();
    if (chosen == waiting_.end()) {
      cache_.release(*sequence);
      return;
    }
    (*chosen)->sequence = *sequence;
    start(**chosen);
    running_.push_back(std::move(*chosen));
    waiting_.erase(chosen);
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

// Guesses stay in the cache only if they are right, so they need groups that take back what was not committed.
// rows: of the step without them.
void Scheduler::guess(RunningRequest& request, int most, int rows) {
  request.guessed.clear();
  request.right = 0;
  const Request& wanted = request.request;
  if (wanted.prompt_lookup == 0 || wanted.on_logits || wanted.shift_after || (evicts_ && wanted.evict) || cache_.boundaries_end_steps())
    return;
  if (!request.lookup) request.lookup.emplace(wanted.prompt_lookup);
  most = std::min(most, wanted.max_tokens - request.generated - 1);
  const std::span<const int32_t> guessed = request.lookup->guess(request.tokens, most, rows, times_);
  request.guessed.assign(guessed.begin(), guessed.end());
}

// The newest token of a request that generates, and what may follow it. others: that get rows after it
bool Scheduler::add_next(RunningRequest& request, int most_rows, int others, model::Batch& batch) {
  guess(request, std::min(most_rows, kGuessedRows - batch.rows()) - 1, batch.rows() + 1 + others);
  const size_t known = request.tokens.size(), before = static_cast<size_t>(batch.rows());
  request.tokens.insert(request.tokens.end(), request.guessed.begin(), request.guessed.end());
  bool added = add_rows(request, std::min(most_rows, 1 + static_cast<int>(request.guessed.size())), batch);
  if (!added && !request.guessed.empty()) added = add_rows(request, std::min(most_rows, 1), batch);  // where there is no room for guesses
  request.tokens.resize(known);
  request.guessed.resize(added ? static_cast<size_t>(batch.rows()) - before - 1 : 0);
  return added;
}

void Scheduler::add_prompts(int rows, model::Batch& batch, std::vector<RunningRequest*>& scheduled) {
  const auto left = [](const RunningRequest& request) { return request.prompt_tokens() - request.computed; };
  std::vector<RunningRequest*> prompts;
  for (const auto& request : running_) {
    if (request->in_prompt()) prompts.push_back(request.get());
  }
  if (prompts.empty()) return;
  RunningRequest* const oldest = prompts.front();  // of those in the queue of the running
  std::sort(prompts.begin() + 1, prompts.end(), [&](auto* a, auto* b) { return std::pair(left(*a), a->id) < std::pair(left(*b), b->id); });
  std::rotate(prompts.begin(), prompts.begin() + 1, prompts.end());
  const int end = batch.rows() + rows;
  for (RunningRequest* prompt : prompts) {
    const int due_to_oldest = prompt == oldest ? 0 : std::min(left(*oldest), (rows + 1) / 2);
    if (add_rows(*prompt, std::min(left(*prompt), end - batch.rows() - due_to_oldest), batch)) scheduled.push_back(prompt);
  }
}

std::vector<RunningRequest*> Scheduler::next(model::Batch& batch) {
  admit();
  batch.clear();
  std::vector<RunningRequest*> scheduled;
  auto others = static_cast<int>(std::count_if(running_.begin(), running_.end(), [](const auto& r) { return !r->in_prompt(); }));
  for (const auto& request : running_) {
    if (request->in_prompt()) continue;
    --others;  // each gets a row at least
    if (add_next(*request, std::max(1, chunk_tokens_ - batch.rows() - others), others, batch)) scheduled.push_back(request.get());
  }
  const int room = chunk_tokens_ - batch.rows();
  add_prompts(scheduled.empty() ? room : std::min(room, share_.rows()), batch, scheduled);
  return scheduled;
}

void Scheduler::took(const std::vector<RunningRequest*>& scheduled, const model::Batch& batch, double seconds) {
  int prompt_rows = 0;
  for (size_t i = 0; i < scheduled.size(); ++i) {
    if (scheduled[i]->in_prompt()) prompt_rows += batch.sequences[i].rows;
  }
  share_.took(batch.rows() - prompt_rows, prompt_rows, seconds);
  if (prompt_rows == 0) times_.took(batch.rows(), seconds);
}

}  // namespace fovea
