// Answers of one choice, in the form of any API that streams text and then says how it ended.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "serve/http.h"
#include "serve/service.h"

namespace fovea::serve {

struct AnswerTimes {
  double prompt_seconds = 0, total_seconds = 0;  // until the first token, and in all
};

struct AnswerContent {
  std::string text;
  std::vector<ToolCall> calls;  // whose arguments are JSON objects; what was cut is text

  void take(const CallPart& part);
};

// How an API writes. Calls come in this order: opening, (piece or call)*, closing; or, for what is not streamed, whole. The parts of one
// call are not interrupted.
class AnswerForm {
 public:
  virtual ~AnswerForm() = default;
  virtual Dialect dialect() const = 0;
  virtual std::string stream_type() const = 0;  // Content-Type
  virtual std::string opening(const ReuseReport& report) = 0;
  virtual std::string piece(const std::string& text) = 0;
  virtual std::string call(const CallPart& part) = 0;
  virtual std::string closing(const ChoiceEnd& end, const Usage& usage, const AnswerTimes& times) = 0;
  virtual std::string failure(const ApiError& error) = 0;
  virtual nlohmann::ordered_json whole(const AnswerContent& content, const ChoiceEnd& end, const Usage& usage,
                                       const AnswerTimes& times) = 0;
};

// Runs the call and replies. On the server's thread; does not throw.
void answer_single(Service& service, const Caller& caller, const GenerationCall& call, bool streams, std::unique_ptr<AnswerForm> form,
                   const std::shared_ptr<Reply>& reply);

}  // namespace fovea::serve
