// One call of a client on its way: its choices, as text.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fovea/async_engine.h"
#include "serve/loaded_model.h"
#include "serve/stop_filter.h"
#include "serve/tool_call_filter.h"
#include "serve/tools.h"

namespace fovea::serve {

// What any API asks for, in the engine's terms.
struct GenerationCall {
  std::vector<int32_t> prompt;
  std::optional<int> max_tokens;  // none: until the context is full. A call for more than fits is refused
  bool clamp_tokens = false;      // more than fits is what fits
  int choices = 1;                // with seeds sampling.seed, sampling.seed + 1, ...
  SamplingOptions sampling;
  std::vector<std::string> stops;
  std::vector<int32_t> stop_tokens;
  std::shared_ptr<const Grammar> grammar = {};  // of the answer; null: any text
  std::shared_ptr<const ToolSet> tools = {};    // whose calls are taken out of the text; null: none
  std::optional<int> top_logprobs;
  int owner = 0;  // Request::owner
  std::string salt;
  int priority = 0;
  bool keep = true;       // false: its conversation does not outlive the server
  int prompt_lookup = 0;  // Request::prompt_lookup
};

struct TokenText {
  int32_t token = 0;
  size_t begin = 0;  // where its text begins in the choice's text
  std::optional<TokenLogprobs> logprobs;
};

// Text of one choice that can be shown, or more of a call, and the tokens that begin in it.
struct TextPiece {
  int choice = 0;
  std::string text;
  std::vector<TokenText> tokens;
  CallPart call = {};
};

struct ChoiceEnd {
  int choice = 0;
  FinishReason finish = FinishReason::none;
  std::string stop = {};  // the stop string that ended it; empty: none
  int calls = 0;          // of tools, with all of their arguments
};

struct Usage {
  int prompt_tokens = 0, cached_tokens = 0;
  int generated_tokens = 0;  // of all choices
};

// Called on the server's thread, in this order: begun, pieces and ends, done; or failed, at any point, and nothing after it.
struct GenerationListener {
  std::function<void(const ReuseReport&)> begun;  // the prompt has been read
  std::function<void(const TextPiece&)> piece;
  std::function<void(const ChoiceEnd&)> ended;
  std::function<void(const Usage&)> done;
  std::function<void(std::exception_ptr)> failed;
};

// Of a token in the model's vocabulary, which can be larger than the tokenizer's: empty for what has no text.
std::string token_text(const Model& model, int32_t token);

using Post = std::function<void(std::function<void()>)>;  // to the server's thread

// Choices are requests with the same prompt: the first reads it, the others begin with what it left (engine/scheduler.h).
//
// threads  the server's
// owner    lives as long as requests are under way, whoever else has it; holds the model, and has its conversation saved
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  static constexpr size_t kMostStops = 16;

  // errors: ApiError when prompt and tokens do not fit the context; Error, QueueFull as AsyncEngine::submit
  static std::shared_ptr<Generation> start(ModelUse model, const Post& post, const GenerationCall& call, GenerationListener listener,
                                           std::chrono::steady_clock::time_point deadline);
  void cancel();  // nothing more is called

 private:
  struct Choice {
    Choice(std::shared_ptr<const Model> model, std::vector<std::string> stops) : text(std::move(model)), filter(std::move(stops)) {}

    RequestId request = 0;
    Model::TextStream text;
    StopFilter filter;
    size_t decoded = 0, shown = 0;   // bytes of text
    std::vector<TokenText> waiting;  // whose text is not shown yet
    std::optional<ToolCallFilter> calls;
    int called = 0;
    bool over = false;
  };

  Generation(ModelUse model, GenerationListener listener) : model_(std::move(model)), listener_(std::move(listener)) {}

  void submit(const Post& post, const GenerationCall& call, std::chrono::steady_clock::time_point deadline);
  void take(size_t choice, const Event& event);  // does not throw
  void use(size_t choice, const Event& event);
  void show(size_t index, std::string text, bool all_tokens);
  void pass_on(size_t index, std::vector<TokenText> tokens, std::vector<AnswerPart> parts);
  void end(size_t index, FinishReason finish);
  void fail(std::exception_ptr error);

  ModelUse model_;
  GenerationListener listener_;
  std::vector<Choice> choices_;
  Usage usage_;
  bool keep_ = false;  // its conversation is saved
  std::string salt_;
  std::vector<int32_t> tokens_;  // of prompt and first choice, to be saved
  bool begun_ = false, over_ = false;
};

}  // namespace fovea::serve
