#include <fmt/format.h>

#include "files/npy.h"
#include "fovea/error.h"
#include "fovea/evaluation.h"

namespace fovea {

namespace {

// Writes the logits of positions [from, tokens) of a request of their own.
void run_request(Engine& engine, std::vector<int32_t> tokens, int from, files::NpyRowWriter& writer, int64_t total,
                 const Progress& progress) {
  Request request;
  const auto length = static_cast<int64_t>(tokens.size());
  request.prompt = std::move(tokens);
  request.logits_from = from;
  request.on_logits = [&](int, std::span<const float> logits) { writer.write(logits); };
  const RequestId id = engine.submit(std::move(request));
  while (!engine.idle()) {
    engine.step();
    const int64_t done = engine.idle() ? length : engine.prompt_tokens_done(id);
    if (progress && !progress("computing logits", done, total)) throw Stopped();
  }
}

}  // namespace

EngineStats write_logits(const std::shared_ptr<const Model>& model, EngineOptions options, const LogitsJob& job) {
  const std::vector<int32_t> tokens = files::read_npy_integers(job.tokens_path);
  const auto total = static_cast<int64_t>(tokens.size());
  if (total == 0) throw Error("there are no tokens", job.tokens_path, "give at least one token");
  if (job.cached_tokens < 0 || job.cached_tokens > total) {
    throw Error(fmt::format("{} tokens are to be cached, and there are {}", job.cached_tokens, total), job.tokens_path,
                "cache at most as many as there are");
  }
  options.context_tokens = static_cast<int>(total);
  options.sequences = 1;
  Engine engine(model, options);

  files::NpyRowWriter writer(job.out_path, total, model->facts().vocabulary);
  if (job.cached_tokens > 0) {
    run_request(engine, {tokens.begin(), tokens.begin() + job.cached_tokens}, 0, writer, total, job.progress);
  }
  run_request(engine, tokens, job.cached_tokens, writer, total, job.progress);
  writer.finish();
  return engine.stats();
}

}  // namespace fovea
