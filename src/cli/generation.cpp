#include "cli/generation.h"

#include <chrono>
#include <limits>

#include "cli/interrupt.h"
#include "cli/progress_bar.h"

namespace fovea::cli {

Generated generate_text(Engine& engine, const std::shared_ptr<const Model>& model, Request request,
                        const std::function<void(const std::string&)>& on_text) {
  if (request.max_tokens == kUntilTheEnd) {
    const int limit = request.shift_after ? std::numeric_limits<int>::max() : engine.options().context_tokens;
    const int room = limit - static_cast<int>(request.prompt.size());
    request.max_tokens = room > 0 ? room : 1;  // no room: let the engine say so
  }
  const EngineStats before = engine.stats();
  const auto begin = std::chrono::steady_clock::now();
  Generated result;
  std::optional<double> first_token_seconds;
  std::optional<Model::TextStream> stream;
  if (model->has_tokenizer()) stream.emplace(model);
  ProgressBar bar(ProgressUnit::tokens);

  const auto pass_on = [&](const std::string& text) {
    if (text.empty()) return;
    result.text += text;
    on_text(text);
  };
  const auto on_token = [&](int32_t token) {
    if (!first_token_seconds) {
      first_token_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      bar.clear();
    }
    result.tokens.push_back(token);
    if (stream) pass_on(stream->push(token));
    return !interrupted();
  };
  const auto on_prefill = [&](int done, int total) {
    bar.update("reading the prompt", done, total);
    return !interrupted();
  };
  result.finish = engine.generate(std::move(request), on_token, on_prefill);
  bar.clear();
  if (stream) pass_on(stream->finish());
  const EngineStats after = engine.stats();
  result.times = times_between(before, after);
  result.lost = {after.evicted_tokens - before.evicted_tokens, after.shifted_tokens - before.shifted_tokens};
  result.times.first_token_seconds = first_token_seconds;
  return result;
}

}  // namespace fovea::cli
