#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "eval/divergence.h"
#include "fovea/error.h"
#include "fovea/evaluation.h"

namespace fovea {
namespace {

constexpr int kChunk = 48;  // positions whose logits are compared at a time: as many as the engine computes at once

// One engine that reads the tokens, a chunk per step.
class Reader {
 public:
  Reader(const std::shared_ptr<const Model>& model, const EngineOptions& options, const std::vector<int32_t>& tokens, LogitsSink sink)
      : engine_(model, options) {
    Request request;
    request.prompt = tokens;
    request.cache = {.keep = KeepLevel::none, .reuse = false};
    request.on_logits = std::move(sink);
    engine_.submit(std::move(request));
  }
  bool done() const { return engine_.idle(); }
  void step() { engine_.step(); }
  double bytes_per_token() const {
    const Plan plan = engine_.plan();
    return static_cast<double>(plan.kv_bytes) / plan.context_tokens;
  }

 private:
  Engine engine_;
};

EngineOptions options_for(EngineOptions options, const KvChoice& choice, int context) {
  options.kv_local = choice.local;
  options.kv_global = choice.global;
  options.context_tokens = context;
  options.sequences = 1;
  options.chunk_tokens = std::min(kChunk, context);
  options.cache_bytes = 0;
  return options;
}

std::vector<int32_t> first_tokens(const Model& model, const KvQualityJob& job) {
  std::vector<int32_t> tokens = model.tokenize(job.text);
  if (job.context < 1 || tokens.size() < static_cast<size_t>(job.context)) {
    throw Error(fmt::format("the text has {} tokens, {} are wanted", tokens.size(), job.context), "text",
                "give a longer text or a context of 1 or more");
  }
  tokens.resize(static_cast<size_t>(job.context));
  return tokens;
}

}  // namespace

std::vector<KvQuality> measure_kv_quality(const std::shared_ptr<const Model>& model, const EngineOptions& reference,
                                          const KvQualityJob& job) {
  const std::vector<int32_t> tokens = first_tokens(*model, job);
  const auto vocabulary = static_cast<size_t>(model->facts().vocabulary);
  std::vector<float> expected(static_cast<size_t>(kChunk) * vocabulary);
  const auto row = [&](int position) {
    return std::span(expected).subspan(static_cast<size_t>(position % kChunk) * vocabulary, vocabulary);
  };
  Reader base(model, options_for(reference, {reference.kv_local, reference.kv_global}, job.context), tokens,
              [&](int position, std::span<const float> logits) { std::copy(logits.begin(), logits.end(), row(position).begin()); });

  std::vector<KvQuality> results;
  for (const KvChoice& choice : job.choices) results.push_back({choice});
  std::vector<std::unique_ptr<Reader>> readers;
  for (KvQuality& result : results) {
    readers.push_back(std::make_unique<Reader>(model, options_for(reference, result.choice, job.context), tokens,
                                               [&](int position, std::span<const float> logits) {
                                                 const eval::Divergence found = eval::divergence(row(position), logits);
                                                 result.mean_kl += found.kl;
                                                 result.same_top += found.same_top ? 1 : 0;
                                               }));
    result.bytes_per_token = readers.back()->bytes_per_token();
  }
  for (int64_t done = 0; !base.done(); done += kChunk) {
    if (job.progress && !job.progress("comparing", done, job.context)) throw Stopped();
    base.step();
    for (const auto& reader : readers) reader->step();
  }
  for (KvQuality& result : results) {
    result.mean_kl /= job.context;
    result.same_top /= job.context;
  }
  return results;
}

}  // namespace fovea
