// Runs the forward pass on batches of one's own making, and keeps what it computes for one sequence.
//
// For long sequences of real models: the last layer's output of every position is small enough to keep whole,
// and logits are a function of it.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "engine/model_state.h"
#include "fovea/model.h"
#include "kernels/compute.h"
#include "kv/cache.h"
#include "model/forward.h"

namespace fovea::testing_support {

struct TracePlan {
  int chunk_tokens = 512;
  int threads = 2;
  int logits_every = 97;  // positions whose logits are kept, besides the last
  // Sequences that share each batch: the first is in front of the traced one, the others behind it. Each
  // reads these tokens, `companion_chunks` of them at a time.
  std::vector<std::span<const int32_t>> companions;
  std::vector<int> companion_chunks;
};

struct Trace {
  std::vector<float> hidden;  // [positions][hidden], before the final norm
  std::vector<float> logits;  // of the kept positions
};

class ForwardTracer {
 public:
  ForwardTracer(std::shared_ptr<const Model> model, const TracePlan& plan, std::span<const int32_t> tokens)
      : model_(std::move(model)),
        plan_(plan),
        pool_(plan.threads),
        cache_(model::kv_groups(spec(), KvCodec::bf16, KvCodec::bf16), cache_options(plan, tokens)),
        compute_(*model_->state().kernels, pool_, compute_limits(spec(), matrix_forms(weights()), most_rows(plan))),
        scratch_(spec(), most_rows(plan)) {
    traced_ = {*cache_.create(), tokens, plan.chunk_tokens, 0};
    for (size_t i = 0; i < plan.companions.size(); ++i) {
      companions_.push_back({*cache_.create(), plan.companions[i], plan.companion_chunks[i], 0});
    }
  }

  Trace run() {
    Trace trace;
    while (traced_.done < static_cast<int>(traced_.tokens.size())) step(trace);
    return trace;
  }

 private:
  struct Reader {
    kv::SequenceId id{};
    std::span<const int32_t> tokens;
    int chunk = 0;
    int done = 0;
  };

  static int most_rows(const TracePlan& plan) {
    int rows = plan.chunk_tokens;
    for (const int chunk : plan.companion_chunks) rows += chunk;
    return rows;
  }
  static kv::CacheOptions cache_options(const TracePlan& plan, std::span<const int32_t> tokens) {
    return {static_cast<int>(tokens.size()), std::min(most_rows(plan), static_cast<int>(tokens.size())),
            1 + static_cast<int>(plan.companions.size()), 0};
  }

  const model::ModelSpec& spec() const { return model_->state().spec; }
  const model::Weights& weights() const { return model_->state().weights; }

  void add(Reader& reader) {
    const int rows = std::min(reader.chunk, static_cast<int>(reader.tokens.size()) - reader.done);
    if (rows == 0) return;
    if (!cache_.reserve(reader.id, rows)) throw std::logic_error("the cache has no room for what it was made for");
    batch_.add(reader.id, reader.done, reader.tokens.subspan(static_cast<size_t>(reader.done), static_cast<size_t>(rows)));
  }

  void step(Trace& trace) {
    batch_.clear();
    if (!companions_.empty()) add(companions_.front());
    const int first_row = batch_.rows();
    add(traced_);
    const int rows = batch_.rows() - first_row;
    for (size_t i = 1; i < companions_.size(); ++i) add(companions_[i]);
    std::vector<int> wanted(static_cast<size_t>(rows));
    std::iota(wanted.begin(), wanted.end(), first_row);
    forward(spec(), weights(), batch_, wanted, cache_, compute_, scratch_);
    keep(trace, rows);
    for (size_t s = 0; s < batch_.ids.size(); ++s) {
      cache_.commit(batch_.ids[s], batch_.sequences[s].rows);
      reader_of(batch_.ids[s]).done += batch_.sequences[s].rows;
    }
  }

  void keep(Trace& trace, int rows) {
    trace.hidden.insert(trace.hidden.end(), scratch_.x.data, scratch_.x.data + int64_t{rows} * spec().hidden);
    for (int i = 0; i < rows; ++i) {
      const int position = traced_.done + i;
      const bool last = position + 1 == static_cast<int>(traced_.tokens.size());
      if (!last && position % plan_.logits_every != 0) continue;
      project_logits(spec(), weights(), i, 1, compute_, scratch_);
      trace.logits.insert(trace.logits.end(), scratch_.logits.data, scratch_.logits.data + spec().vocabulary);
    }
  }

  Reader& reader_of(kv::SequenceId id) {
    if (id == traced_.id) return traced_;
    return *std::find_if(companions_.begin(), companions_.end(), [id](const Reader& r) { return r.id == id; });
  }

  std::shared_ptr<const Model> model_;
  TracePlan plan_;
  ThreadPool pool_;
  kv::Cache cache_;
  kernels::Compute compute_;
  model::Scratch scratch_;
  model::Batch batch_;
  Reader traced_;
  std::vector<Reader> companions_;
};

}  // namespace fovea::testing_support
