#include "fovea/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "engine/background_thread.h"
#include "engine/cache_report.h"
#include "engine/context_shift.h"
#include "engine/fingerprint.h"
#include "engine/grammar_state.h"
#include "engine/model_state.h"
#include "engine/request_check.h"
#include "engine/sample_text.h"
#include "engine/scheduler.h"
#include "engine/settled_options.h"
#include "engine/team_size.h"
#include "fovea/error.h"
#include "kernels/compute.h"
#include "kv/cache.h"
#include "kv/eviction.h"
#include "kv/formula.h"
#include "model/forward.h"
#include "model/key_shifts.h"
#include "model/turned_keys.h"
#include "sampling/logprobs.h"

namespace fovea {
namespace {

// The longest distance at which a key is seen.
int seen_tokens(const EngineOptions& options) {
  if (!kv::moves_sinks(options.eviction.policy)) return options.context_tokens;
  const auto whole_past = kv::forgetting({}, options.eviction);
  return std::min(options.context_tokens, whole_past->budget * kernels::kPageTokens);
}

struct WantedRow {
  RunningRequest* request;
  int position;
};

}  // namespace

struct Engine::State {
  State(std::shared_ptr<const Model> the_model, const EngineOptions& asked)
      : model(std::move(the_model)),
        options(settled_options(asked, *model)),
        pool(options.threads),
        cache(kv_groups(spec(), options), cache_options(options)),
        compute(*model->state().kernels, pool, compute_limits(spec(), matrix_forms(model->state().weights), options.chunk_tokens)),
        scratch(spec(), options.chunk_tokens, seen_tokens(options)),
        scheduler(cache, options.chunk_tokens, options.eviction.policy != EvictionPolicy::none) {
    scheduler.on_full = [this](RunningRequest& request) { return forget(request); };
    scheduler.on_start = [this](RequestId id, const ReuseReport& report) { count_start(id, report); };
    shift_keys();
  }

  const model::ModelSpec& spec() const { return model->state().spec; }
  void shift_keys();

  void count_start(RequestId id, const ReuseReport& report);
  std::vector<KvGroupStats> group_stats() const;
  bool generates_only(const std::vector<RunningRequest*>& scheduled) const;
  void count_step(bool generates_only, double seconds);
  int take_guesses(const std::vector<RunningRequest*>& scheduled);  // how many there were
  void find_wanted(const std::vector<RunningRequest*>& scheduled);
  void take_logits(const std::vector<RunningRequest*>& scheduled, std::vector<Event>& events);
  void take_row(RunningRequest& request, int position, std::span<const float> logits, std::vector<Event>& events);
  void begin_sampling(RunningRequest& request);
  Event sample(RunningRequest& request, std::span<const float> logits);
  void take_rows(int first, int count, std::vector<Event>& events);    // of those that are wanted
  void pool_states(int first, int count, std::vector<Event>& events);  // likewise
  bool forget(RunningRequest& request);
  int tokens_to_shift(kv::SequenceId sequence, int keep) const;
  int scheduled_end(const RunningRequest& request, const std::vector<RunningRequest*>& scheduled) const;

  std::shared_ptr<const Model> model;
  EngineOptions options;
  ThreadPool pool;
  TeamSize team{options.threads};
  BackgroundThread masks;  // before the requests that use it
  kv::Cache cache;
  kernels::Compute compute;
  model::Scratch scratch;
  Scheduler scheduler;
  model::Batch batch;
  std::vector<WantedRow> wanted;  // of the batch
  std::vector<int> wanted_rows;   // where in the batch they are
  RequestId next_id = 1;
  EngineStats stats;
  std::deque<CacheRequest> started;  // the newest
};

void Engine::State::count_start(RequestId id, const ReuseReport& report) {
  stats.reused_tokens += report.reused_tokens;
  stats.replayed_tokens += report.replayed_tokens;
  ++stats.requests;
  stats.reuse_hits += report.reused_tokens > 0;
  const std::string reason(name_of(report.reason));
  ++stats.reuse_reasons[reason];
  if (report.reused_tokens == 0) ++stats.miss_reasons[reason];
  started.push_back({id, scheduler.find(id)->request.owner, report});
  if (started.size() > CacheMap::kMostRequests) started.pop_front();
}

void Engine::State::shift_keys() {
  const std::vector<kv::GroupSpec> groups = kv_groups(spec(), options);
  const auto scaled = [](const kv::GroupSpec& group) { return group.state_bytes == 0 && kernels::is_scaled(group.layout.codec.keys); };
  if (std::none_of(groups.begin(), groups.end(), scaled)) return;
  std::vector<int32_t> tokens = sample_tokens(*model);
  tokens.resize(std::min(tokens.size(), static_cast<size_t>(model->facts().context_tokens)));
  scratch.key_shifts = measure_key_shifts(spec(), model->state().weights, groups, tokens, compute, scratch, options.chunk_tokens);
}

int Engine::State::tokens_to_shift(kv::SequenceId sequence, int keep) const {
  return span_to_drop(cache.length(sequence), keep + cache.longest_shift(sequence, keep), keep);
}

// Makes room for further tokens of a sequence that has none left.
bool Engine::State::forget(RunningRequest& request) {
  const kv::SequenceId sequence = request.sequence;
  if (!request.request.shift_after) {
    const int before = cache.forgotten(sequence);
    if (!cache.evict(sequence)) return false;
    const int after = cache.forgotten(sequence);
    turn_moved_sinks(spec(), cache, sequence, scratch.context_tokens, compute);
    request.lost.evicted_tokens = after;
    stats.evicted_tokens += after - before;
    return true;
  }
  const int keep = whole_pages(*request.request.shift_after), drop = tokens_to_shift(sequence, keep);
  if (!cache.shift(sequence, keep, drop)) return false;
  turn_keys(spec(), cache, sequence, keep, cache.length(sequence), -drop, scratch.context_tokens, compute);
  request.lost.shifted_tokens += drop;
  stats.shifted_tokens += drop;
  return true;
}

void Engine::State::begin_sampling(RunningRequest& request) {
  request.sampler.emplace(request.request.sampling, spec().vocabulary, request.request.prompt);
  if (request.request.grammar) request.constraint.emplace(*request.request.grammar, spec().vocabulary, masks);
}

Event Engine::State::sample(RunningRequest& request, std::span<const float> logits) {
  Event event{request.id, std::nullopt, FinishReason::none, request.reuse, request.lost};
  bool is_complete = false;
  try {
    if (!request.sampler) begin_sampling(request);
    event.token = request.sampler->next(logits, request.constraint ? request.constraint->allowed() : std::span<const uint32_t>());
    if (request.constraint) is_complete = !request.constraint->accept(*event.token);
  } catch (const std::exception&) {  // of this request alone: the others go on
    event.finished = FinishReason::failed;
    event.error = std::current_exception();
    return event;
  }
  ++stats.generated_tokens;
  const int32_t token = *event.token;
  if (is_complete) event.finished = FinishReason::stop;
  if (request.request.top_logprobs) event.logprobs = sampling::logprobs_of(logits, token, *request.request.top_logprobs);
  const auto& stops = request.request.stop_tokens;
  if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
    event.token.reset();
    event.logprobs.reset();
    event.finished = FinishReason::stop;
    return event;
  }
  request.tokens.push_back(token);
  if (++request.generated == request.request.max_tokens && !is_complete) event.finished = FinishReason::length;
  return event;
}

namespace {

kv::SessionModel session_model(const Model& model) { return {fingerprint(model.state().spec, model.state().weights), model.facts().name}; }

bool wants_logits(const RunningRequest& request, int position) {
  return request.request.on_logits && position >= request.request.logits_from;
}

}  // namespace

// One row of logits has been computed for `position` of the request.
void Engine::State::take_row(RunningRequest& request, int position, std::span<const float> logits, std::vector<Event>& events) {
  if (wants_logits(request, position)) request.request.on_logits(position, logits);
  if (position + 1 < request.prompt_tokens()) return;
  if (position >= request.prompt_tokens() && position != request.computed + request.right) return;  // a guess before it was wrong
  if (request.request.max_tokens == 0) events.push_back({request.id, std::nullopt, FinishReason::length, request.reuse, request.lost});
  else events.push_back(sample(request, logits));
  const Event& event = events.back();
  const auto next = static_cast<size_t>(request.right);
  if (event.finished == FinishReason::none && next < request.guessed.size() && event.token == request.guessed[next]) ++request.right;
}

// Rows of the batch whose states somebody wants: logits, the next token, or an embedding.
void Engine::State::find_wanted(const std::vector<RunningRequest*>& scheduled) {
  wanted.clear();
  wanted_rows.clear();
  for (size_t s = 0; s < scheduled.size(); ++s) {
    RunningRequest& request = *scheduled[s];
    const kernels::SequenceRows& sequence = batch.sequences[s];
    for (int i = 0; i < sequence.rows; ++i) {
      const int position = request.computed + i;
      const bool chooses = position + 1 >= request.prompt_tokens() && request.request.max_tokens > 0;
      if (!chooses && !request.request.embed && !wants_logits(request, position)) continue;
      wanted.push_back({&request, position});
      wanted_rows.push_back(sequence.first_row + i);
    }
  }
}

// Projects the rows that are wanted, some at a time.
void Engine::State::take_logits(const std::vector<RunningRequest*>& scheduled, std::vector<Event>& events) {
  const auto all = static_cast<int>(wanted.size());
  for (int first = 0, end = 0; first < all; first = end) {
    const bool embeds = wanted[static_cast<size_t>(first)].request->request.embed;
    const auto alike = [&](const WantedRow& row) {
      return embeds ? row.request == wanted[static_cast<size_t>(first)].request : !row.request->request.embed;
    };
    while (end < all && end - first < model::Scratch::kLogitRows && alike(wanted[static_cast<size_t>(end)])) ++end;
    if (embeds) pool_states(first, end - first, events);
    else take_rows(first, end - first, events);
  }
  for (const RunningRequest* request : scheduled) {
    if (request->request.max_tokens > 0 || request->request.embed || wants_logits(*request, request->prompt_tokens() - 1)) continue;
    if (scheduled_end(*request, scheduled) < request->prompt_tokens()) continue;
    events.push_back({request->id, std::nullopt, FinishReason::length, request->reuse, request->lost});
  }
}

void Engine::State::take_rows(int first, int count, std::vector<Event>& events) {
  project_logits(spec(), model->state().weights, first, count, compute, scratch);
  const auto vocabulary = static_cast<size_t>(spec().vocabulary);
  for (int i = 0; i < count; ++i) {
    const WantedRow& row = wanted[static_cast<size_t>(first + i)];
    take_row(*row.request, row.position, {scratch.logits.data + static_cast<size_t>(i) * vocabulary, vocabulary}, events);
  }
}

// Rows of one request.
void Engine::State::pool_states(int first, int count, std::vector<Event>& events) {
  RunningRequest& request = *wanted[static_cast<size_t>(first)].request;
  const kernels::Rows states = final_states(spec(), model->state().weights, first, count, compute, scratch);
  for (int i = 0; i < states.rows; ++i) request.pooled.add({states.row(i), static_cast<size_t>(states.width)});
  if (wanted[static_cast<size_t>(first + count - 1)].position + 1 < request.prompt_tokens()) return;
  Event& event = events.emplace_back(Event{request.id, std::nullopt, FinishReason::length, request.reuse, request.lost});
  event.embedding = request.pooled.unit_vector();
}

// Positions of the request that are computed after this step.
int Engine::State::scheduled_end(const RunningRequest& request, const std::vector<RunningRequest*>& scheduled) const {
  const auto at = std::find(scheduled.begin(), scheduled.end(), &request) - scheduled.begin();
  return request.computed + request.rows_taken(batch.sequences[static_cast<size_t>(at)].rows);
}

bool Engine::State::generates_only(const std::vector<RunningRequest*>& scheduled) const {
  return std::none_of(scheduled.begin(), scheduled.end(), [](const auto* r) { return r->in_prompt(); });
}

// Tells who guessed what came of it.
int Engine::State::take_guesses(const std::vector<RunningRequest*>& scheduled) {
  int guessed = 0;
  for (RunningRequest* request : scheduled) {
    const int count = request->in_prompt() ? 0 : static_cast<int>(request->guessed.size());
    if (count == 0) continue;
    request->lookup->took(count, request->right);
    guessed += count;
    stats.guessed_tokens += count;
    stats.guessed_right += request->right;
  }
  return guessed;
}

void Engine::State::count_step(bool generates_only, double seconds) {
  ++stats.steps;
  stats.computed_tokens += batch.rows();
  (generates_only ? stats.decode_seconds : stats.prefill_seconds) += seconds;
  (generates_only ? stats.decode_tokens : stats.prefill_tokens) += batch.rows();
}

std::vector<KvGroupStats> Engine::State::group_stats() const {
  std::vector<KvGroupStats> all;
  const std::vector<kv::GroupSpec> specs = cache.group_specs();
  const std::vector<kv::GroupStats> groups = cache.stats();
  kv::CacheOptions running = cache_options(options);
  running.retained_bytes = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    KvGroupStats& stats_of_group = all.emplace_back(public_stats(groups[i], specs[i]));
    stats_of_group.kind = specs[i].newest ? "newest" : model->facts().layers[static_cast<size_t>(specs[i].layers.front())].kind;
    stats_of_group.planned_bytes = kv::peak_pages(specs[i], running) * kv::page_bytes(specs[i]);
  }
  return all;
}

Engine::Engine(std::shared_ptr<const Model> model, const EngineOptions& options) {
  if (!model->state().kernels) throw Error("was loaded without weights", model->facts().path, "load it with Model::load");
  state_ = std::make_unique<State>(std::move(model), options);
}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

RequestId Engine::submit(Request request) {
  State& s = *state_;
  check(request);
  if (request.embed) {  // of every position the state is needed, and states are not kept
    request.cache.reuse = false;
    request.cache.keep = KeepLevel::none;
  }
  std::vector<int32_t> tokens = request.prompt;
  tokens.reserve(tokens.size() + static_cast<size_t>(std::min(request.max_tokens, s.options.context_tokens)));
  const RequestId id = s.next_id++;
  s.scheduler.add(
      std::unique_ptr<RunningRequest>(new RunningRequest{.id = id, .request = std::move(request), .tokens = std::move(tokens)}));
  return id;
}

void Engine::check(const Request& request) const { check_request(request, *state_->model, state_->options); }
void Engine::cancel(RequestId request) { state_->scheduler.remove(request); }
bool Engine::idle() const { return state_->scheduler.idle(); }

std::vector<Event> Engine::step() {
  State& s = *state_;
  const Stopwatch watch;
  const std::vector<RunningRequest*> scheduled = s.scheduler.next(s.batch);
  if (scheduled.empty()) return {};
  const bool generates_only = s.generates_only(scheduled);
  s.pool.use(generates_only ? s.team.next() : s.options.threads);
  s.find_wanted(scheduled);
  forward(s.spec(), s.model->state().weights, s.batch, s.wanted_rows, s.cache, s.compute, s.scratch);
  std::vector<Event> events;
  s.take_logits(scheduled, events);
  const double seconds = watch.seconds(), stalled = s.pool.take_stalled_seconds();
  const int64_t right_before = s.stats.guessed_right;
  const int guessed = s.take_guesses(scheduled), wrong = guessed - static_cast<int>(s.stats.guessed_right - right_before);
  if (generates_only && guessed == 0) s.team.took(s.batch.rows(), seconds, stalled);
  s.scheduler.took(scheduled, s.batch, seconds);
  s.count_step(generates_only, seconds);
  (generates_only ? s.stats.decode_tokens : s.stats.prefill_tokens) -= wrong;
  for (const Event& event : events) {
    // Where a request ends is the likeliest place to continue from; told before commit gives pages back.
    const RunningRequest* ended = event.finished == FinishReason::none ? nullptr : s.scheduler.find_running(event.request);
    if (ended) s.cache.mark(ended->sequence, s.scheduled_end(*ended, scheduled), kv::BoundaryKind::end);
  }
  for (size_t i = 0; i < scheduled.size(); ++i) {
    const kernels::SequenceRows& rows = s.batch.sequences[i];
    const int taken = scheduled[i]->rows_taken(rows.rows);
    s.cache.commit(scheduled[i]->sequence,
                   std::span<const int32_t>(s.batch.tokens).subspan(static_cast<size_t>(rows.first_row), static_cast<size_t>(taken)));
    scheduled[i]->computed += taken;
  }
  for (const Event& event : events) {
    if (event.finished != FinishReason::none) s.scheduler.remove(event.request);
  }
  std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.request < b.request; });
  return events;
}

FinishReason Engine::generate(Request request, const std::function<bool(int32_t)>& on_token,
                              const std::function<bool(int, int)>& on_prefill) {
  const int prompt = static_cast<int>(request.prompt.size());
  const RequestId id = submit(std::move(request));
  while (!idle()) {
    const std::vector<Event> events = step();
    if (const RunningRequest* running = state_->scheduler.find(id); running && on_prefill && running->generated == 0) {
      if (!on_prefill(running->computed, prompt)) break;
    }
    for (const Event& event : events) {
      if (event.request != id) continue;
      if (event.token && on_token && !on_token(*event.token)) {
        cancel(id);
        return FinishReason::cancelled;
      }
      if (event.finished == FinishReason::failed) std::rethrow_exception(event.error);
      if (event.finished != FinishReason::none) return event.finished;
    }
  }
  cancel(id);
  return FinishReason::cancelled;
}

const Model& Engine::model() const { return *state_->model; }
const EngineOptions& Engine::options() const { return state_->options; }

Plan Engine::plan() const { return state_->model->state().planner->plan(plan_options(state_->options)); }

EngineStats Engine::stats() const {
  EngineStats stats = state_->stats;
  stats.running = state_->scheduler.running();
  stats.waiting = state_->scheduler.waiting();
  stats.kv_bytes = state_->cache.limit_bytes();
  stats.kv_used_bytes = state_->cache.used_bytes();
  stats.kv_boundaries = state_->cache.boundaries();
  stats.scratch_bytes = static_cast<int64_t>(state_->compute.bytes() + state_->scratch.bytes());
  for (size_t i = 0; i < model::kParts; ++i) {
    const auto part = static_cast<model::Part>(i);
    if (const double seconds = state_->scratch.times.seconds(part); seconds > 0)
      stats.part_seconds[std::string(model::name_of(part))] = seconds;
  }
  stats.kv = state_->group_stats();
  return stats;
}

CacheMap Engine::cache_map() const {
  CacheMap map = public_map(state_->cache.map(CacheMap::kMostPaths));
  map.requests.assign(state_->started.begin(), state_->started.end());
  return map;
}

std::optional<ReuseReport> Engine::reuse(RequestId request) const {
  const RunningRequest* running = state_->scheduler.find_running(request);
  return running ? std::optional(running->reuse) : std::nullopt;
}

int Engine::save_session(const std::string& path, const Session& session) {
  return state_->cache.save(path, session_model(*state_->model), session.salt, session.tokens, session.note, session.held_tokens);
}

Session Engine::restore_session(const std::string& path, const std::string& salt) {
  kv::Cache::Restored restored = state_->cache.restore(path, session_model(*state_->model), salt);
  return {std::move(restored.tokens), restored.held, std::move(restored.note), salt};
}

void Engine::forget() { state_->cache.forget(); }

int Engine::prompt_tokens_done(RequestId request) const {
  const RunningRequest* running = state_->scheduler.find(request);
  return running ? std::min(running->computed, running->prompt_tokens()) : 0;
}

}  // namespace fovea
