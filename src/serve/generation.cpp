#include "serve/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "fovea/error.h"
#include "serve/api_error.h"

namespace fovea::serve {
namespace {

int tokens_to_generate(const GenerationCall& call, int context) {
  const int prompt = static_cast<int>(std::min<size_t>(call.prompt.size(), EngineLimits::kMostContextTokens + 1));
  const int room = context - prompt + 1;  // the last token is chosen, not computed
  if (prompt > context || (call.max_tokens && *call.max_tokens > room && !call.clamp_tokens)) {
    throw bad_request(
        fmt::format("This model's maximum context length is {} tokens. However, you requested {} tokens ({} in the prompt, {} to "
                    "generate). Please reduce the length of either.",
                    context, call.prompt.size() + static_cast<size_t>(call.max_tokens.value_or(1)), call.prompt.size(),
                    call.max_tokens.value_or(1)),
        "messages", "context_length_exceeded");
  }
  return std::min(call.max_tokens.value_or(room), room);
}

// Models have more rows of logits than tokens have names: what is chosen there says nothing.
std::string pushed(Model::TextStream& text, int32_t token) {
  try {
    return text.push(token);
  } catch (const Error&) {
    return "";
  }
}

}  // namespace

std::string token_text(const Model& model, int32_t token) {
  try {
    return model.token_bytes(token);
  } catch (const Error&) {
    return "";
  }
}

std::shared_ptr<Generation> Generation::start(ModelUse model, const Post& post, const GenerationCall& call, GenerationListener listener,
                                              std::chrono::steady_clock::time_point deadline) {
  std::shared_ptr<Generation> generation(new Generation(std::move(model), std::move(listener)));
  try {
    generation->submit(post, call, deadline);
  } catch (...) {
    generation->cancel();
    throw;
  }
  return generation;
}

void Generation::submit(const Post& post, const GenerationCall& call, std::chrono::steady_clock::time_point deadline) {
  Request request;
  request.prompt = call.prompt;
  request.max_tokens = tokens_to_generate(call, model_->engine->options().context_tokens);
  request.sampling = call.sampling;
  request.stop_tokens = call.stop_tokens;
  request.grammar = call.grammar;
  request.top_logprobs = call.top_logprobs;
  request.priority = call.priority;
  request.prompt_lookup = call.prompt_lookup;
  request.owner = call.owner;
  request.cache.salt = call.salt;
  keep_ = call.keep && model_->conversations;
  if (keep_) salt_ = call.salt, tokens_ = call.prompt;
  usage_.prompt_tokens = static_cast<int>(call.prompt.size());
  choices_.reserve(static_cast<size_t>(call.choices));
  for (int i = 0; i < call.choices; ++i) {
    choices_.emplace_back(model_->model, call.stops);
    if (call.tools && call.tools->choice != ToolChoice::none) choices_.back().calls.emplace(call.tools);
  }
  for (size_t i = 0; i < choices_.size(); ++i) {
    request.sampling.seed = call.sampling.seed + i;
    const auto sink = [self = shared_from_this(), i, post](const Event& event) { post([self, i, event] { self->take(i, event); }); };
    choices_[i].request = model_->engine->submit(request, sink, deadline);
  }
}

void Generation::cancel() {
  over_ = true;
  for (const Choice& choice : choices_) {
    if (!choice.over && choice.request != 0) model_->engine->cancel(choice.request);
  }
  listener_ = {};
}

void Generation::fail(std::exception_ptr error) {
  const auto failed = std::move(listener_.failed);
  cancel();
  if (failed) failed(std::move(error));
}

void Generation::take(size_t index, const Event& event) {
  try {
    use(index, event);
  } catch (...) {
    fail(std::current_exception());
  }
}

void Generation::use(size_t index, const Event& event) {
  Choice& choice = choices_[index];
  if (over_ || choice.over) return;
  if (event.finished == FinishReason::failed) return fail(event.error);
  if (event.finished == FinishReason::expired && !begun_) {
    return fail(std::make_exception_ptr(ApiError(503, "server_error", "the request had no turn in the time it may take", "", "timeout")));
  }
  if (event.finished == FinishReason::cancelled) {  // by nobody here: the server ends
    return fail(std::make_exception_ptr(ApiError(503, "server_error", "the server is shutting down", "", "shutting_down")));
  }
  if (!begun_) {
    begun_ = true;
    usage_.cached_tokens = event.reuse.reused_tokens;
    listener_.begun(event.reuse);
    if (over_) return;
  }
  if (event.token) {
    ++usage_.generated_tokens;
    if (keep_ && index == 0) tokens_.push_back(*event.token);
    choice.waiting.push_back({*event.token, choice.decoded, event.logprobs});
    const std::string text = pushed(choice.text, *event.token);
    choice.decoded += text.size();
    show(index, choice.filter.push(text), false);
  }
  if (choice.filter.stopped()) {
    model_->engine->cancel(choice.request);
    return end(index, FinishReason::stop);
  }
  if (event.finished == FinishReason::none) return;
  const std::string rest = choice.text.finish();
  std::string shown = choice.filter.push(rest);
  shown += choice.filter.finish();
  show(index, std::move(shown), !choice.filter.stopped());
  end(index, event.finished);
}

// Passes on text, and the tokens that begin before its end.
void Generation::show(size_t index, std::string text, bool all_tokens) {
  Choice& choice = choices_[index];
  choice.shown += text.size();
  const auto hidden = all_tokens ? choice.waiting.end()
                                 : std::find_if(choice.waiting.begin(), choice.waiting.end(),
                                                [&](const TokenText& token) { return token.begin >= choice.shown; });
  std::vector<TokenText> tokens(std::make_move_iterator(choice.waiting.begin()), std::make_move_iterator(hidden));
  choice.waiting.erase(choice.waiting.begin(), hidden);
  std::vector<AnswerPart> parts;
  if (choice.calls) parts = choice.calls->push(text);
  else parts.push_back({std::move(text)});
  pass_on(index, std::move(tokens), std::move(parts));
}

void Generation::pass_on(size_t index, std::vector<TokenText> tokens, std::vector<AnswerPart> parts) {
  if (parts.empty()) parts.emplace_back();
  for (AnswerPart& part : parts) {
    choices_[index].called += part.call.end == CallPart::End::whole;
    const TextPiece piece{static_cast<int>(index), std::move(part.text), std::exchange(tokens, {}), std::move(part.call)};
    if (!over_ && (!piece.text.empty() || !piece.tokens.empty() || !piece.call.empty())) listener_.piece(piece);
  }
}

void Generation::end(size_t index, FinishReason finish) {
  Choice& choice = choices_[index];
  choice.over = true;
  if (choice.calls) pass_on(index, {}, choice.calls->finish());
  if (keep_ && index == 0) model_->conversations->add({salt_, std::move(tokens_), usage_.prompt_tokens});
  listener_.ended({static_cast<int>(index), finish, choice.filter.matched(), choice.called});
  if (!std::all_of(choices_.begin(), choices_.end(), [](const Choice& c) { return c.over; })) return;
  over_ = true;
  const GenerationListener listener = std::exchange(listener_, {});
  try {
    listener.done(usage_);
  } catch (...) {  // no memory for the reply, say: somebody waits for one
    listener.failed(std::current_exception());
  }
}

}  // namespace fovea::serve
