#include "serve/single_answer.h"

namespace fovea::serve {
namespace {

using Clock = std::chrono::steady_clock;

class SingleAnswer : public std::enable_shared_from_this<SingleAnswer> {
 public:
  SingleAnswer(Service& service, const Caller& caller, bool streams, std::unique_ptr<AnswerForm> form, std::shared_ptr<Reply> reply)
      : record_(std::make_unique<CallRecord>(service, caller, 1)), form_(std::move(form)), reply_(std::move(reply)), streams_(streams) {}

  void start(Service& service, const Caller& caller, const GenerationCall& call);
  void cancel();

 private:
  void begin(const ReuseReport& report);
  void take(const TextPiece& piece);
  void finish(const Usage& usage);
  void fail(const std::exception_ptr& failure);
  double seconds() const { return std::chrono::duration<double>(Clock::now() - since_).count(); }

  std::unique_ptr<CallRecord> record_;
  std::unique_ptr<AnswerForm> form_;
  std::shared_ptr<Reply> reply_;
  const bool streams_;
  std::weak_ptr<Generation> generation_;
  const Clock::time_point since_ = Clock::now();
  AnswerTimes times_;
  Headers headers_;
  AnswerContent content_;
  ChoiceEnd end_;
  bool begun_ = false;
};

void SingleAnswer::start(Service& service, const Caller& caller, const GenerationCall& call) {
  const auto self = shared_from_this();
  GenerationListener listener = {[self](const ReuseReport& report) { self->begin(report); },
                                 [self](const TextPiece& piece) { self->take(piece); }, [self](const ChoiceEnd& end) { self->end_ = end; },
                                 [self](const Usage& usage) { self->finish(usage); },
                                 [self](const std::exception_ptr& error) { self->fail(error); }};
  generation_ = Generation::start(caller.model, service.post, call, std::move(listener), caller.deadline);
  reply_->when_gone([answer = weak_from_this()] {
    if (const auto alive = answer.lock()) alive->cancel();
  });
}

void SingleAnswer::cancel() {
  if (const auto generation = generation_.lock()) generation->cancel();
  record_.reset();
}

void SingleAnswer::begin(const ReuseReport& report) {
  begun_ = true;
  times_.prompt_seconds = seconds();
  record_->begun(report);
  headers_.emplace_back("X-Fovea-Cache", cache_header(report));
  if (!streams_) return;
  reply_->open({200, "", form_->stream_type(), of_stream(headers_)});
  reply_->write(form_->opening(report));
}

void SingleAnswer::take(const TextPiece& piece) {
  if (!streams_) {
    content_.text += piece.text;
    content_.take(piece.call);
    return;
  }
  if (!piece.text.empty()) reply_->write(form_->piece(piece.text));
  if (!piece.call.empty()) reply_->write(form_->call(piece.call));
}

void SingleAnswer::finish(const Usage& usage) {
  times_.total_seconds = seconds();
  record_->done(usage, end_.finish == FinishReason::stop ? "stop" : "length");
  record_.reset();
  if (!streams_) return reply_->send({200, serve::text_of(form_->whole(content_, end_, usage, times_)), "application/json", headers_});
  reply_->write(form_->closing(end_, usage, times_));
  reply_->close();
}

void SingleAnswer::fail(const std::exception_ptr& failure) {
  const ApiError error = as_api_error(failure);
  if (record_) record_->done({}, "failed");
  record_.reset();
  if (!streams_ || !begun_) return reply_->send(error_response(error, form_->dialect()));
  reply_->write(form_->failure(error));
  reply_->close();
}

}  // namespace

void AnswerContent::take(const CallPart& part) {
  if (!part.tool.empty()) calls.push_back({"", part.tool, ""});
  if (!part.arguments.empty()) calls.back().arguments += part.arguments;
  if (part.end != CallPart::End::cut) return;
  calls.pop_back();
  text += part.written;
}

void answer_single(Service& service, const Caller& caller, const GenerationCall& call, bool streams, std::unique_ptr<AnswerForm> form,
                   const std::shared_ptr<Reply>& reply) {
  const Dialect dialect = form->dialect();
  std::shared_ptr<SingleAnswer> answer;
  try {
    answer = std::make_shared<SingleAnswer>(service, caller, streams, std::move(form), reply);
    answer->start(service, caller, call);
  } catch (...) {
    reply->send(error_response(as_api_error(std::current_exception()), dialect));
    if (answer) answer->cancel();
  }
}

}  // namespace fovea::serve
