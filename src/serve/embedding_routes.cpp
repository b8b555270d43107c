// Texts as vectors: OpenAI's /v1/embeddings and Ollama's /api/embed.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "serve/call_fields.h"
#include "serve/router.h"

namespace fovea::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr size_t kMostInputs = 256;
static_assert(std::endian::native == std::endian::little, "vectors are sent as they lie in memory");

using Answer = std::function<ordered_json(const std::vector<std::vector<float>>& vectors, int tokens)>;

// Runs one request per text, as many at once as there are sequences, and replies when all are done.
class EmbeddingCall : public std::enable_shared_from_this<EmbeddingCall> {
 public:
  EmbeddingCall(Service& service, const Caller& caller, std::vector<std::vector<int32_t>> inputs, Answer answer, Dialect dialect,
                std::shared_ptr<Reply> reply)
      : service_(service),
        model_(caller.model),
        deadline_(caller.deadline),
        at_once_(std::min({inputs.size(), static_cast<size_t>(model_->engine->options().sequences),
                           static_cast<size_t>(service.options.limits.per_key)})),
        record_(std::make_unique<CallRecord>(service, caller, static_cast<int>(at_once_))),
        owner_(caller.key),
        inputs_(std::move(inputs)),
        answer_(std::move(answer)),
        dialect_(dialect),
        reply_(std::move(reply)),
        vectors_(inputs_.size()) {}

  void start();
  void cancel();
  void fail(const std::exception_ptr& error);

 private:
  void submit_next();
  void take(size_t index, const Event& event);  // does not throw
  void use(size_t index, const Event& event);

  Service& service_;
  ModelUse model_;
  const std::chrono::steady_clock::time_point deadline_;
  const size_t at_once_;
  std::unique_ptr<CallRecord> record_;
  const int owner_;
  const std::vector<std::vector<int32_t>> inputs_;
  Answer answer_;
  Dialect dialect_;
  std::shared_ptr<Reply> reply_;
  std::vector<std::vector<float>> vectors_;
  std::vector<RequestId> requests_;
  Usage usage_;
  size_t done_ = 0;
  bool over_ = false;
};

void EmbeddingCall::start() {
  while (requests_.size() < at_once_) submit_next();
  reply_->when_gone([call = weak_from_this()] {
    if (const auto alive = call.lock()) alive->cancel();
  });
}

void EmbeddingCall::submit_next() {
  const size_t i = requests_.size();
  Request request;
  request.prompt = inputs_[i];
  request.embed = true;
  request.owner = owner_;
  usage_.prompt_tokens += static_cast<int>(inputs_[i].size());
  const auto sink = [self = shared_from_this(), i, post = service_.post](const Event& event) {
    post([self, i, event] { self->take(i, event); });
  };
  requests_.push_back(model_->engine->submit(std::move(request), sink, deadline_));
}

void EmbeddingCall::cancel() {
  over_ = true;
  for (const RequestId request : requests_) model_->engine->cancel(request);
  record_.reset();
}

void EmbeddingCall::fail(const std::exception_ptr& error) {
  if (over_) return;
  record_->done(usage_, "failed");
  cancel();
  reply_->send(error_response(as_api_error(error), dialect_));
}

void EmbeddingCall::take(size_t index, const Event& event) {
  try {
    use(index, event);
  } catch (...) {
    fail(std::current_exception());
  }
}

void EmbeddingCall::use(size_t index, const Event& event) {
  if (over_ || event.finished == FinishReason::none) return;
  if (event.finished == FinishReason::failed) return fail(event.error);
  if (event.finished != FinishReason::length) {
    return fail(std::make_exception_ptr(ApiError(503, "server_error", "the request had no turn in the time it may take", "", "timeout")));
  }
  vectors_[index] = event.embedding;
  if (requests_.size() < inputs_.size()) submit_next();
  if (++done_ < vectors_.size()) return;
  HttpResponse response = {200, text_of(answer_(vectors_, usage_.prompt_tokens))};
  over_ = true;
  record_->done(usage_, "stop");
  record_.reset();
  reply_->send(std::move(response));
}

void embed(Service& service, const Caller& caller, std::vector<std::vector<int32_t>> inputs, Answer answer, Dialect dialect,
           const std::shared_ptr<Reply>& reply) {
  std::shared_ptr<EmbeddingCall> call;
  try {
    call = std::make_shared<EmbeddingCall>(service, caller, std::move(inputs), std::move(answer), dialect, reply);
    call->start();
  } catch (...) {
    if (call) call->fail(std::current_exception());
    else reply->send(error_response(as_api_error(std::current_exception()), dialect));
  }
}

std::vector<int32_t> input_tokens(const json& input, const PromptReader& reader) {
  std::vector<int32_t> tokens;
  if (input.is_string()) {
    tokens = reader.tokens(input.get_ref<const std::string&>(), true);
  } else {
    tokens = token_list(input, reader.model(), "input");
  }
  if (tokens.empty()) throw bad_request("Invalid 'input': it is empty.", "input", "invalid_value");
  return tokens;
}

std::vector<std::vector<int32_t>> inputs_of(Fields& fields, const PromptReader& reader) {
  const json& input = fields.require("input");
  if (!input.is_string() && !input.is_array()) fields.wrong_type("input", "a string or an array");
  const bool is_list = input.is_array() && !input.empty() && !input[0].is_number();
  if (!is_list) return {input_tokens(input, reader)};
  if (input.size() > kMostInputs)
    throw bad_request(fmt::format("Invalid 'input': at most {} texts are taken.", kMostInputs), "input", "array_above_max_length");
  std::vector<std::vector<int32_t>> all;
  for (const json& one : input) {
    if (!one.is_string() && !one.is_array()) fields.wrong_type("input", "strings or arrays of tokens");
    all.push_back(input_tokens(one, reader));
  }
  return all;
}

void check_lengths(std::vector<std::vector<int32_t>>& inputs, int most, bool truncates) {
  for (std::vector<int32_t>& tokens : inputs) {
    if (tokens.size() <= static_cast<size_t>(most)) continue;
    if (!truncates) {
      throw bad_request(fmt::format("This model's maximum context length is {} tokens. However, you gave {}.", most, tokens.size()),
                        "input", "context_length_exceeded");
    }
    tokens.resize(static_cast<size_t>(most));
  }
}

// RFC 4648
std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

ordered_json vector_json(const std::vector<float>& vector, bool as_base64) {
  if (!as_base64) return vector;
  return base64({reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)});
}

}  // namespace

void Router::embeddings(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  Fields fields(body);
  for (const char* harmless : {"model", "user"}) fields.ignore(harmless);
  std::vector<std::vector<int32_t>> inputs = inputs_of(fields, *caller.model->prompts);
  const std::string format = fields.text("encoding_format").value_or("float");
  if (format != "float" && format != "base64")
    throw bad_request("Invalid value for 'encoding_format': expected 'float' or 'base64'.", "encoding_format", "invalid_value");
  const int width = caller.model->model->facts().hidden;
  if (fields.integer("dimensions", 1, 1 << 20).value_or(width) != width) {
    throw bad_request(fmt::format("This model's embeddings have {} dimensions.", width), "dimensions", "invalid_value");
  }
  fields.refuse_others();
  check_lengths(inputs, caller.model->prompts->context_tokens(), false);
  const auto answer = [model = caller.model->name, format](const std::vector<std::vector<float>>& vectors, int tokens) {
    ordered_json data = ordered_json::array();
    for (size_t i = 0; i < vectors.size(); ++i) {
      data.push_back({{"object", "embedding"}, {"index", i}, {"embedding", vector_json(vectors[i], format == "base64")}});
    }
    return ordered_json{
        {"object", "list"}, {"data", std::move(data)}, {"model", model}, {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
  };
  service_.post(
      [this, caller, inputs = std::move(inputs), answer, reply] { embed(service_, caller, inputs, answer, Dialect::openai, reply); });
}

void Router::ollama_embed(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  Fields fields(body, "", Dialect::ollama);
  const bool truncates = fields.boolean("truncate").value_or(true);
  const auto since = std::chrono::steady_clock::now();
  const auto load = static_cast<int64_t>(caller.load_seconds * 1e9);
  const auto answer = [model = caller.model->name, since, load](const std::vector<std::vector<float>>& vectors, int tokens) {
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - since).count();
    return ordered_json{{"model", model},
                        {"embeddings", vectors},
                        {"total_duration", load + nanoseconds},
                        {"load_duration", load},
                        {"prompt_eval_count", tokens}};
  };
  const json* input = fields.find("input");
  if (!input || input->empty()) {  // how clients have a model loaded
    reply->send({200, text_of(answer({}, 0))});
    return;
  }
  std::vector<std::vector<int32_t>> inputs = inputs_of(fields, *caller.model->prompts);
  check_lengths(inputs, caller.model->prompts->context_tokens(), truncates);
  service_.post(
      [this, caller, inputs = std::move(inputs), answer, reply] { embed(service_, caller, inputs, answer, Dialect::ollama, reply); });
}

}  // namespace fovea::serve
