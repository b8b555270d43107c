#include "files/npy.h"
#include "fovea/error.h"
#include "fovea/evaluation.h"

namespace fovea {

EngineStats write_logits(const std::shared_ptr<const Model>& model, EngineOptions options,
                         const LogitsJob& job) {
  Request request;
  request.prompt = files::read_npy_integers(job.tokens_path);
  const auto total = static_cast<int64_t>(request.prompt.size());
  if (total == 0) throw Error("there are no tokens", job.tokens_path, "give at least one token");
  options.context_tokens = static_cast<int>(total);
  options.sequences = 1;
  Engine engine(model, options);

  files::NpyRowWriter writer(job.out_path, total, model->facts().vocabulary);
  request.on_logits = [&](int, std::span<const float> logits) { writer.write(logits); };
  const RequestId id = engine.submit(std::move(request));
  while (!engine.idle()) {
    engine.step();
    const int64_t done = engine.idle() ? total : engine.prompt_tokens_done(id);
    if (job.progress && !job.progress("computing logits", done, total)) throw Stopped();
  }
  writer.finish();
  return engine.stats();
}

}  // namespace fovea
