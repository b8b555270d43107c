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
    throw Error(fmt::format("the text has {} tokens: {} chunks of {}", tokens, available, job.context),
                "text",
                fmt::format("{} chunk{} wanted: give a longer text, a shorter context or fewer chunks",
                            wanted, wanted == 1 ? " is" : "s are"));
  }
  return static_cast<int>(wanted);
}

// Whether the tokenizer itself begins texts with BOS: only then do chunks begin with it.
std::optional<int32_t> leading_bos(const Model& model, const std::vector<int32_t>& tokens) {
  const std::optional<int32_t> bos = model.bos();
  return bos && !tokens.empty() && tokens.front() == *bos ? bos : std::nullopt;
}

// Runs one chunk to its end. `done` is what earlier chunks computed.
void run_chunk(Engine& engine, Request request, const PerplexityJob& job, int64_t done, int64_t total) {
  const int64_t length = static_cast<int64_t>(request.prompt.size());
  const RequestId id = engine.submit(std::move(request));
  while (!engine.idle()) {
    engine.step();
    const int64_t here = engine.idle() ? length : engine.prompt_tokens_done(id);
    if (job.progress && !job.progress("measuring perplexity", done + here, total)) throw Stopped();
  }
}

}  // namespace

Perplexity measure_perplexity(const std::shared_ptr<const Model>& model, EngineOptions options,
                              const PerplexityJob& job) {
  const std::vector<int32_t> tokens = model->tokenize(job.text);
  const int chunks = chunk_count(job, tokens.size());
  const std::optional<int32_t> bos = leading_bos(*model, tokens);
  options.context_tokens = job.context;
  options.sequences = 1;
  Engine engine(model, options);

  eval::TokenLoss loss;
  const int64_t total = static_cast<int64_t>(chunks) * job.context;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(chunk) * job.context;
    Request request;
    request.prompt.assign(begin, begin + job.context);
    if (bos) request.prompt.front() = *bos;
    // The logits at position i say what they expect at i + 1. Positions before the middle have seen too
    // little.
    const std::vector<int32_t> expected = request.prompt;
    request.logits_from = job.context / 2;
    request.cache = {.keep = KeepLevel::none, .reuse = false};
    request.on_logits = [&](int position, std::span<const float> logits) {
      if (position + 1 >= job.context) return;
      loss.add(-eval::log_probability(logits, expected[static_cast<size_t>(position) + 1]));
    };
    run_chunk(engine, std::move(request), job, static_cast<int64_t>(chunk) * job.context, total);
    if (job.on_chunk) job.on_chunk(chunk + 1, loss.perplexity());
  }
  return {loss.perplexity(), loss.standard_error(), chunks, job.context, loss.count()};
}

}  // namespace fovea
