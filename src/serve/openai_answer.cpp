#include "serve/openai_answer.h"

#include <ctime>

namespace fovea::serve {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFingerprint = "fovea-" FOVEA_VERSION;

// As OpenAI has it: that a call was made is said where the model was free to make none.
const char* finish_name(const ChoiceEnd& end, const ToolSet* tools) {
  if (end.calls > 0 && tools && tools->choice != ToolChoice::named) return "tool_calls";
  return end.finish == FinishReason::stop ? "stop" : "length";  // expired, too: there is more
}

ordered_json call_json(const std::string& id, const std::string& tool) {
  return {{"id", id}, {"type", "function"}, {"function", {{"name", tool}, {"arguments", ""}}}};
}

ordered_json bytes_of(const std::string& text) {
  ordered_json bytes = ordered_json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

class OpenAiAnswer : public std::enable_shared_from_this<OpenAiAnswer> {
 public:
  OpenAiAnswer(Service& service, const Caller& caller, std::vector<OpenAiCall> calls, std::shared_ptr<Reply> reply)
      : service_(service),
        model_(caller.model),
        deadline_(caller.deadline),
        record_(std::make_unique<CallRecord>(service, caller, static_cast<int>(calls.size()) * calls.front().generation.choices)),
        calls_(std::move(calls)),
        reply_(std::move(reply)) {
    const OpenAiCall& first = calls_.front();
    chat_ = first.chat;
    streams_ = first.stream != StreamMode::whole;
    id_ = random_id(chat_ ? "chatcmpl-" : "cmpl-");
    created_ = std::time(nullptr);
    choices_.resize(calls_.size() * static_cast<size_t>(first.generation.choices));
    for (size_t i = 0; i < choices_.size(); ++i) choices_[i].text = calls_[i / static_cast<size_t>(first.generation.choices)].echo;
  }

  void start();
  void cancel();

 private:
  struct Choice {
    std::string text;
    std::vector<TokenText> tokens;
    std::vector<ordered_json> calls;
    const char* finish = "";
    bool spoke = false;
  };

  GenerationListener listener(size_t call);
  size_t index(size_t call, int choice) const {
    return call * static_cast<size_t>(calls_.front().generation.choices) + static_cast<size_t>(choice);
  }
  bool wants_logprobs() const { return calls_.front().generation.top_logprobs.has_value(); }

  void begin(const ReuseReport& report);
  void take(size_t index, const TextPiece& piece);
  void take_call(size_t index, const CallPart& part);
  void end(size_t index, const ChoiceEnd& end);
  void finish(const Usage& usage);
  void fail(const std::exception_ptr& error);

  ordered_json frame(bool chunk) const;
  ordered_json delta(size_t index, const std::string& text, const std::vector<TokenText>& tokens) const;
  ordered_json token_json(int32_t token, float logprob) const;
  ordered_json logprobs(const std::vector<TokenText>& tokens, size_t offset) const;
  ordered_json chat_logprobs(const std::vector<TokenText>& tokens) const;
  ordered_json usage() const;
  static ordered_json message(const Choice& choice);
  ordered_json whole() const;
  void send_chunk(ordered_json choice);
  void send_event(const ordered_json& event) { reply_->write("data: " + text_of(event) + "\n\n"); }

  Service& service_;
  ModelUse model_;
  const std::chrono::steady_clock::time_point deadline_;
  std::unique_ptr<CallRecord> record_;
  std::vector<OpenAiCall> calls_;
  std::shared_ptr<Reply> reply_;
  std::vector<std::weak_ptr<Generation>> generations_;
  std::vector<Choice> choices_;
  Usage usage_;
  Headers headers_;
  std::string id_;
  int64_t created_ = 0;
  size_t done_ = 0;
  bool chat_ = true, streams_ = false, begun_ = false, over_ = false;
};

void OpenAiAnswer::start() {
  for (size_t i = 0; i < calls_.size() && !over_; ++i) {
    generations_.push_back(Generation::start(model_, service_.post, calls_[i].generation, listener(i), deadline_));
  }
  reply_->when_gone([answer = weak_from_this()] {
    if (const auto self = answer.lock()) self->cancel();
  });
}

GenerationListener OpenAiAnswer::listener(size_t call) {
  const auto self = shared_from_this();
  return {[self](const ReuseReport& report) { self->begin(report); },
          [self, call](const TextPiece& piece) { self->take(self->index(call, piece.choice), piece); },
          [self, call](const ChoiceEnd& end) { self->end(self->index(call, end.choice), end); },
          [self](const Usage& usage) { self->finish(usage); }, [self](const std::exception_ptr& error) { self->fail(error); }};
}

void OpenAiAnswer::cancel() {
  over_ = true;
  for (const auto& weak : generations_) {
    if (const auto generation = weak.lock()) generation->cancel();
  }
  record_.reset();
}

void OpenAiAnswer::begin(const ReuseReport& report) {
  if (std::exchange(begun_, true)) return;
  record_->begun(report);
  headers_.emplace_back("X-Fovea-Cache", cache_header(report));
  if (!streams_) return;
  reply_->open({200, "", "text/event-stream; charset=utf-8", of_stream(headers_)});
}

void OpenAiAnswer::take(size_t i, const TextPiece& piece) {
  Choice& choice = choices_[i];
  if (!streams_) {
    choice.text += piece.text;
    if (wants_logprobs()) choice.tokens.insert(choice.tokens.end(), piece.tokens.begin(), piece.tokens.end());
    if (!piece.call.empty()) take_call(i, piece.call);
    return;
  }
  if (!choice.spoke && chat_)
    send_chunk({{"index", i}, {"delta", {{"role", "assistant"}, {"content", ""}}}, {"logprobs", nullptr}, {"finish_reason", nullptr}});
  const std::string text = choice.spoke ? piece.text : choice.text + piece.text;  // what echoes first
  choice.spoke = true;
  if (!text.empty() || piece.call.empty() || (wants_logprobs() && !piece.tokens.empty())) send_chunk(delta(i, text, piece.tokens));
  if (!piece.call.empty()) take_call(i, piece.call);
}

// In a stream: what is called, then with what. Arguments that were cut stay as they are: finish_reason tells.
void OpenAiAnswer::take_call(size_t i, const CallPart& part) {
  std::vector<ordered_json>& calls = choices_[i].calls;
  const auto send = [&](ordered_json call) {
    ordered_json choice = delta(i, "", {});
    choice["delta"] = {{"tool_calls", ordered_json::array({std::move(call)})}};
    send_chunk(std::move(choice));
  };
  if (!part.tool.empty()) {
    calls.push_back(call_json(random_id("call_"), part.tool));
    ordered_json begun = {{"index", calls.size() - 1}};
    begun.update(calls.back());
    if (streams_) send(std::move(begun));
  }
  if (part.arguments.empty()) return;
  if (streams_) return send({{"index", calls.size() - 1}, {"function", {{"arguments", part.arguments}}}});
  calls.back()["function"]["arguments"].get_ref<std::string&>() += part.arguments;
}

void OpenAiAnswer::end(size_t i, const ChoiceEnd& end) {
  Choice& choice = choices_[i];
  choice.finish = finish_name(end, calls_.front().generation.tools.get());
  if (!streams_) return;
  if (!choice.spoke) take(i, {});
  ordered_json last = delta(i, "", {});
  if (chat_) last["delta"] = ordered_json::object();
  last["finish_reason"] = choice.finish;
  send_chunk(std::move(last));
}

void OpenAiAnswer::finish(const Usage& usage) {
  usage_.prompt_tokens += usage.prompt_tokens;
  usage_.cached_tokens += usage.cached_tokens;
  usage_.generated_tokens += usage.generated_tokens;
  if (++done_ < calls_.size()) return;
  over_ = true;
  record_->done(usage_, choices_.front().finish);
  record_.reset();
  if (!streams_) return reply_->send({200, text_of(whole()), "application/json", headers_});
  if (calls_.front().stream == StreamMode::pieces_and_usage) {
    ordered_json event = frame(true);
    event["choices"] = ordered_json::array();
    event["usage"] = this->usage();
    send_event(event);
  }
  reply_->write("data: [DONE]\n\n");
  reply_->close();
}

void OpenAiAnswer::fail(const std::exception_ptr& failure) {
  if (over_) return;
  const ApiError error = as_api_error(failure);
  if (streams_ && begun_) {
    send_event(error_json(error, Dialect::openai));
    reply_->close();
  } else {
    reply_->send(error_response(error, Dialect::openai));
  }
  if (record_) record_->done(usage_, "failed");
  cancel();
}

ordered_json OpenAiAnswer::frame(bool chunk) const {
  const char* object = !chat_ ? "text_completion" : chunk ? "chat.completion.chunk" : "chat.completion";
  return {{"id", id_}, {"object", object}, {"created", created_}, {"model", model_->name}, {"system_fingerprint", kFingerprint}};
}

ordered_json OpenAiAnswer::delta(size_t i, const std::string& text, const std::vector<TokenText>& tokens) const {
  ordered_json choice = {{"index", i}};
  if (chat_) choice["delta"] = {{"content", text}};
  else choice["text"] = text;
  const bool any = wants_logprobs() && !tokens.empty();
  choice["logprobs"] = any ? (chat_ ? chat_logprobs(tokens) : logprobs(tokens, choices_[i].text.size())) : ordered_json();
  choice["finish_reason"] = nullptr;
  return choice;
}

void OpenAiAnswer::send_chunk(ordered_json choice) {
  ordered_json event = frame(true);
  event["choices"] = ordered_json::array({std::move(choice)});
  if (calls_.front().stream == StreamMode::pieces_and_usage) event["usage"] = nullptr;
  send_event(event);
}

ordered_json OpenAiAnswer::token_json(int32_t token, float logprob) const {
  const std::string bytes = token_text(*model_->model, token);
  return {{"token", bytes}, {"logprob", logprob}, {"bytes", bytes_of(bytes)}};
}

ordered_json OpenAiAnswer::chat_logprobs(const std::vector<TokenText>& tokens) const {
  ordered_json content = ordered_json::array();
  for (const TokenText& token : tokens) {
    ordered_json entry = token_json(token.token, token.logprobs->chosen);
    entry["top_logprobs"] = ordered_json::array();
    for (const auto& [id, logprob] : token.logprobs->top) entry["top_logprobs"].push_back(token_json(id, logprob));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

ordered_json OpenAiAnswer::logprobs(const std::vector<TokenText>& tokens, size_t offset) const {
  ordered_json result = {{"tokens", ordered_json::array()},
                         {"token_logprobs", ordered_json::array()},
                         {"top_logprobs", ordered_json::array()},
                         {"text_offset", ordered_json::array()}};
  for (const TokenText& token : tokens) {
    result["tokens"].push_back(token_text(*model_->model, token.token));
    result["token_logprobs"].push_back(token.logprobs->chosen);
    result["text_offset"].push_back(offset + token.begin);
    ordered_json top = ordered_json::object();
    for (const auto& [id, logprob] : token.logprobs->top) top[token_text(*model_->model, id)] = logprob;
    result["top_logprobs"].push_back(std::move(top));
  }
  return result;
}

ordered_json OpenAiAnswer::usage() const {
  return {{"prompt_tokens", usage_.prompt_tokens},
          {"completion_tokens", usage_.generated_tokens},
          {"total_tokens", usage_.prompt_tokens + usage_.generated_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage_.cached_tokens}}}};
}

ordered_json OpenAiAnswer::message(const Choice& choice) {
  const bool only_calls = choice.text.empty() && !choice.calls.empty();
  ordered_json message = {
      {"role", "assistant"}, {"content", only_calls ? ordered_json() : ordered_json(choice.text)}, {"refusal", nullptr}};
  if (!choice.calls.empty()) message["tool_calls"] = choice.calls;
  return message;
}

ordered_json OpenAiAnswer::whole() const {
  ordered_json object = frame(false), choices = ordered_json::array();
  for (size_t i = 0; i < choices_.size(); ++i) {
    const Choice& choice = choices_[i];
    ordered_json one = {{"index", i}};
    if (chat_) one["message"] = message(choice);
    else one["text"] = choice.text;
    if (!wants_logprobs()) one["logprobs"] = nullptr;
    else one["logprobs"] = chat_ ? chat_logprobs(choice.tokens) : logprobs(choice.tokens, 0);
    one["finish_reason"] = choice.finish;
    choices.push_back(std::move(one));
  }
  object["choices"] = std::move(choices);
  object["usage"] = usage();
  return object;
}

}  // namespace

void answer_openai(Service& service, const Caller& caller, std::vector<OpenAiCall> calls, const std::shared_ptr<Reply>& reply) {
  std::shared_ptr<OpenAiAnswer> answer;
  try {
    answer = std::make_shared<OpenAiAnswer>(service, caller, std::move(calls), reply);
    answer->start();
  } catch (...) {
    reply->send(error_response(as_api_error(std::current_exception()), Dialect::openai));
    if (answer) answer->cancel();
  }
}

}  // namespace fovea::serve
