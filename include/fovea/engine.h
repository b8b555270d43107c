// Runs requests on a model: many sequences in one ragged batch, a step at a time.
//
//   submit -> [ step: schedule (chunks of prompts and single tokens together), forward, sample, publish ]* -> events
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fovea/cache_map.h"
#include "fovea/model.h"
#include "fovea/options.h"
#include "fovea/plan.h"
#include "fovea/request.h"
#include "fovea/stats.h"

namespace fovea {

// A sequence that outlives the process.
struct Session {
  std::vector<int32_t> tokens;
  int held_tokens = 0;    // of them, whose keys and values were saved
  std::string note;       // whatever the program wants to find again beside them
  std::string salt = {};  // CacheTerms::salt, under which they are kept; not written to the file
};

// owner    shares the model; owns the K/V cache, the scratch memory and the threads
// threads  one thread at a time calls an engine; steps use the engine's own threads
// numerics logits and tokens of a request do not depend on chunk size, thread count, other requests, or on what of its
//          prompt was found in the cache, bit for bit (unless the request itself allows approximate_windows)
class Engine {
 public:
  // Reserves all memory it will ever use. errors: Error when the options do not fit the model, or the plan does not
  // fit the machine: with the numbers, and settings that fit.
  Engine(std::shared_ptr<const Model> model, const EngineOptions& options = {});
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // errors: Error when the request can never run (empty, token outside the vocabulary, longer than the context).
  RequestId submit(Request request);
  void check(const Request& request) const;  // only that; may be called from any thread
  void cancel(RequestId request);            // no further events; unknown ids are ignored

  // One forward over whatever can run; events in order of submission. Empty when idle or when a step only
  // computed part of a prompt.
  std::vector<Event> step();
  bool idle() const;

  // Runs one request to its end. `on_token` returning false cancels it. errors: as submit, and what failed the request.
  FinishReason generate(Request request, const std::function<bool(int32_t)>& on_token,
                        const std::function<bool(int done, int total)>& on_prefill = {});

  const Model& model() const;
  const EngineOptions& options() const;  // as resolved: no zeros left
  EngineStats stats() const;
  CacheMap cache_map() const;  // where what stats() counts is
  // nullopt: still waiting, or unknown.
  std::optional<ReuseReport> reuse(RequestId request) const;
  void forget();      // everything kept for requests to come
  Plan plan() const;  // of the memory that model and engine take together

  // Writes what is kept of these tokens to a file; appends where the file holds the beginning of the same sequence. The
  // file is whole whenever the process is killed. Returns how many tokens are kept; where those are
  // fewer than session.held_tokens, nothing was written. errors: Error
  int save_session(const std::string& path, const Session& session);
  // Keeps what a file holds, for a request of that salt whose prompt begins with these tokens. errors: Error when it is damaged,
  // or of another model, K/V codec or format
  Session restore_session(const std::string& path, const std::string& salt = {});
  // Prompt tokens of this request already in the cache or computed, for progress; 0 for unknown ids.
  int prompt_tokens_done(RequestId request) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea
