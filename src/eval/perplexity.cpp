#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "eval/log_softmax.h"
#include "eval/token_loss.h"
#include "fovea/error.h"
#include "fovea/evaluation.h"

namespace fovea {
namespace {

constexpr int kLeastContext = 4;  // below, the second half of a chunk predicts nothing

int chunk_count(const PerplexityJob& job, size_t tokens) {
  if (job.context < kLeastContext) {
    throw Error(fmt::format("a chunk of {} tokens leaves nothing to count", job.context), "context",
                fmt::format("choose {} or more", kLeastContext));
  }
  if (job.chunks < 0) throw Error(fmt::format("{} chunks", job.chunks), "chunks", "choose 0 (all) or more");
  const size_t available = tokens / static_cast<size_t>(job.context);
  const size_t wanted = job.chunks > 0 ? static_cast<size_t>(job.chunks) : std::max<size_t>(available, 1);
  if (wanted > available) {
    throw Error(
        fmt::format("the text has {} tokens: {} chunks of {}", tokens, available, job.context), "text",
        fmt::format("{} chunk{} wanted: give a longer text, a shorter context or fewer chunks", wanted, wanted == 1 ? " is" : "s are"));
  }
  return static_cast<int>(wanted);
}

// Whether the tokenizer itself begins texts with BOS: only then do chunks begin with it.
std::optional<int32_t> leading_bos(const Model& model, const std::vector<int32_t>& tokens) {
  const std::optional<int32_t> bos = model.bos();
  return bos && !tokens.empty() && tokens.front() == *bos ? bos : std::nullopt;
}

void check_counted(const PerplexityJob& job, const EvictionOptions& fresh) {
  if (job.last_tokens < 0 || job.last_tokens >= job.context) {
    throw Error(fmt::format("the last {} tokens are to be counted of {}", job.last_tokens, job.context), "perplexity", "count fewer");
  }
  const bool fits = job.fresh_tokens > fresh.sinks + fresh.interval_tokens && job.fresh_tokens <= job.context - job.last_tokens;
  if (job.fresh_tokens == 0 || (fits && job.last_tokens > 0)) return;
  throw Error(fmt::format("fresh contexts of {} tokens do not go with the last {} of {}", job.fresh_tokens, job.last_tokens, job.context),
              "perplexity", "give more than sinks and tokens at a time, and less than what comes before the last tokens");
}

// Expects the tokens of chunks and adds up what that costs.
class ChunkMeter {
 public:
  ChunkMeter(Engine& engine, const PerplexityJob& job, int chunks)
      : engine_(engine), job_(job), total_(int64_t{chunks} * tokens_per_chunk()) {}

  void measure(const std::vector<int32_t>& chunk) {
    if (job_.fresh_tokens == 0) return measure(chunk, job_.last_tokens > 0 ? job_.last_tokens + 1 : job_.context - job_.context / 2);
    const EvictionOptions& kept = engine_.options().eviction;
    for (int end = job_.context - job_.last_tokens; end < job_.context;) {
      const int more = std::min(kept.interval_tokens, job_.context - end);
      end += more;
      std::vector<int32_t> fresh(chunk.begin(), chunk.begin() + kept.sinks);
      fresh.insert(fresh.end(), chunk.begin() + end - (job_.fresh_tokens - kept.sinks), chunk.begin() + end);
      measure(fresh, more + 1);
    }
  }
  const eval::TokenLoss& loss() const { return loss_; }

 private:
  int64_t tokens_per_chunk() const {
    const int at_a_time = engine_.options().eviction.interval_tokens;
    if (job_.fresh_tokens == 0) return job_.context;
    return int64_t{(job_.last_tokens + at_a_time - 1) / at_a_time} * job_.fresh_tokens;
  }

  // The logits at position i say what they expect at i + 1: those of the last `positions` count, but for the very last.
  void measure(const std::vector<int32_t>& tokens, int positions) {
    const auto length = static_cast<int>(tokens.size());
    Request request;
    request.prompt = tokens;
    request.logits_from = length - positions;
    request.cache = {.keep = KeepLevel::none, .reuse = false};
    request.evict = job_.fresh_tokens == 0;
    request.on_logits = [&](int position, std::span<const float> logits) {
      if (position + 1 >= length) return;
      loss_.add(-eval::log_probability(logits, tokens[static_cast<size_t>(position) + 1]));
    };
    const RequestId id = engine_.submit(std::move(request));
    while (!engine_.idle()) {
      engine_.step();
      const int here = engine_.idle() ? length : engine_.prompt_tokens_done(id);
      if (job_.progress && !job_.progress("measuring perplexity", done_ + here, total_)) throw Stopped();
    }
    done_ += length;
  }

  Engine& engine_;
  const PerplexityJob& job_;
  int64_t total_, done_ = 0;
  eval::TokenLoss loss_;
};

}  // namespace

Perplexity measure_perplexity(const std::shared_ptr<const Model>& model, EngineOptions options, const PerplexityJob& job) {
  const std::vector<int32_t> tokens = model->tokenize(job.text);
  const int chunks = chunk_count(job, tokens.size());
  const std::optional<int32_t> bos = leading_bos(*model, tokens);
  check_counted(job, options.eviction);
  options.context_tokens = job.fresh_tokens > 0 ? job.fresh_tokens : job.context;
  options.sequences = 1;
  if (job.fresh_tokens > 0) options.eviction.policy = EvictionPolicy::none;
  Engine engine(model, options);

  ChunkMeter meter(engine, job, chunks);
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(chunk) * job.context;
    std::vector<int32_t> text(begin, begin + job.context);
    if (bos) text.front() = *bos;
    meter.measure(text);
    if (job.on_chunk) job.on_chunk(chunk + 1, meter.loss().perplexity());
  }
  return {meter.loss().perplexity(), meter.loss().standard_error(), chunks, job.context, meter.loss().count()};
}

}  // namespace fovea
