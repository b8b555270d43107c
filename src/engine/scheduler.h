// Which request computes what in the next step.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/pooling.h"
#include "engine/prompt_lookup.h"
#include "engine/prompt_share.h"
#include "engine/step_times.h"
#include "engine/token_constraint.h"
#include "fovea/request.h"
#include "kv/cache.h"
#include "model/forward.h"
#include "sampling/sampler.h"

namespace fovea {

// A request on its way: its tokens so far, and how many of them are in the cache.
struct RunningRequest {
  RequestId id = 0;
  Request request = {};
  std::vector<int32_t> tokens = {};  // prompt and output
  int computed = 0;                  // of them, through the model
  int generated = 0;
  kv::SequenceId sequence{};
  std::optional<sampling::Sampler> sampler = {};   // from the first token on: those that wait cost little
  std::optional<TokenConstraint> constraint = {};  // likewise, where the request has a grammar
  ReuseReport reuse = {};
  LossReport lost = {};
  MeanPooling pooled = {};                  // of Request::embed
  std::optional<PromptLookup> lookup = {};  // from the first token on, where the request wants it
  std::vector<int32_t> guessed = {};        // of this step: what may follow tokens
  int right = 0;                            // of guessed, the first so many: what came

  int prompt_tokens() const { return static_cast<int>(request.prompt.size()); }
  bool in_prompt() const { return computed < prompt_tokens(); }
  // Of the rows of a step, those that count: what was computed after a wrong guess does not.
  int rows_taken(int rows) const { return in_prompt() ? rows : right + 1; }
};

// By priority, then whose owner has the fewest running, then first come, first served; except that a prompt which begins
// like one that is being read waits until the common part is there, instead of reading it a second time.
//
// A step takes one token of every request that is generating, then chunks of prompts: of these only what keeps the step near
// the length of one without (PromptShare), so that a long prompt slows the others' tokens down by a known factor. The oldest
// prompt gets half of that at least, the others the rest, the shortest first: a short one does not wait for a long one.
// threads  one at a time
class Scheduler {
 public:
  // evicts: requests forget, unless they say otherwise
  Scheduler(kv::Cache& cache, int chunk_tokens, bool evicts)
      : cache_(cache), chunk_tokens_(chunk_tokens), evicts_(evicts), share_(chunk_tokens) {}

  void add(std::unique_ptr<RunningRequest> request) { waiting_.push_back(std::move(request)); }
  // Gives back everything the request holds, and leaves what it computed to later ones. False for unknown ids.
  bool remove(RequestId id);
  const RunningRequest* find(RequestId id) const;
  const RunningRequest* find_running(RequestId id) const;
  bool idle() const { return waiting_.empty() && running_.empty(); }
  int running() const { return static_cast<int>(running_.size()); }
  int waiting() const { return static_cast<int>(waiting_.size()); }

  // Fills `batch` with the next step; returns the requests in it, in the order of batch.sequences. Empty: nothing can run.
  std::vector<RunningRequest*> next(model::Batch& batch);
  // The step that next() gave took so long. Called before its positions count as computed.
  void took(const std::vector<RunningRequest*>& scheduled, const model::Batch& batch, double seconds);

  // Called when a request starts, with what it found in the cache.
  std::function<void(RequestId, const ReuseReport&)> on_start;
  // Called when a sequence has no room left for a further token; false: it waits.
  std::function<bool(RunningRequest&)> on_full;

 private:
  using Waiting = std::deque<std::unique_ptr<RunningRequest>>;

  void admit();
  Waiting::iterator next_to_start();
  void add_prompts(int rows, model::Batch& batch, std::vector<RunningRequest*>& scheduled);
  void start(RunningRequest& request);
  bool follows_another(const RunningRequest& request);
  bool add_rows(RunningRequest& request, int tokens, model::Batch& batch);
  bool add_next(RunningRequest& request, int most_rows, int others, model::Batch& batch);
  void guess(RunningRequest& request, int most, int rows);

  kv::Cache& cache_;
  int chunk_tokens_;
  bool evicts_;
  PromptShare share_;
  StepTimes times_;
  Waiting waiting_;
  std::vector<std::unique_ptr<RunningRequest>> running_;
};

}  // namespace fovea
