#include "serve/service.h"

#include <fmt/format.h>

#include <ctime>

#include "serve/call_fields.h"

namespace fovea::serve {

void Service::log(const nlohmann::ordered_json& line) const {
  if (options.log) options.log(text_of(line));
}

std::string cache_header(const ReuseReport& report) {
  return fmt::format("reused={}; of={}; reason={}; at={}", report.reused_tokens, report.prompt_tokens, name_of(report.reason),
                     report.position);
}

std::string random_id(const char* prefix) { return fmt::format("{}{:016x}{:08x}", prefix, random_seed(), random_seed() & 0xffffffff); }

std::string text_of(const nlohmann::ordered_json& json) { return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

Headers of_stream(Headers headers) {
  headers.emplace_back("Cache-Control", "no-cache");
  headers.emplace_back("X-Accel-Buffering", "no");
  return headers;
}

CallRecord::CallRecord(Service& service, const Caller& caller, int requests) : service_(service), caller_(caller), requests_(requests) {
  if (service.draining) throw ApiError(503, "server_error", "the server is shutting down", "", "shutting_down");
  int& count = service.under_way[caller.key];
  const int most = service.options.limits.per_key;
  if (caller.key >= 0 && requests > most - count) {
    throw ApiError(429, "rate_limit_error",
                   fmt::format("{} requests of this key are under way and this asks for {}; it may have {}.", count, requests, most), "",
                   "rate_limit_exceeded");
  }
  count += requests;
  service.metrics.add("fovea_calls_under_way", "", 1);
}

CallRecord::~CallRecord() {
  service_.under_way[caller_.key] -= requests_;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - since_).count();
  Metrics& metrics = service_.metrics;
  metrics.add("fovea_calls_under_way", "", -1);
  const std::string& label = caller_.model->label;
  metrics.add("fovea_calls_total", fmt::format("{}{}finish=\"{}\"", label, label.empty() ? "" : ",", finish_), 1);
  metrics.add("fovea_prompt_tokens_total", label, usage_.prompt_tokens);
  metrics.add("fovea_cached_tokens_total", label, usage_.cached_tokens);
  metrics.add("fovea_generated_tokens_total", label, usage_.generated_tokens);
  metrics.observe("fovea_call_seconds", seconds);
  service_.recent.add({first_seconds_, seconds, usage_.generated_tokens});
  nlohmann::ordered_json line = {{"time", std::time(nullptr)}, {"event", "call"}, {"request", caller_.request_id}};
  if (caller_.key >= 0) line["key"] = caller_.key;
  if (service_.several()) line["model"] = caller_.model->name;
  line["prompt_tokens"] = usage_.prompt_tokens;
  line["cached_tokens"] = usage_.cached_tokens;
  line["generated_tokens"] = usage_.generated_tokens;
  line["first_token_ms"] =
      first_seconds_ < 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(static_cast<int64_t>(first_seconds_ * 1000));
  line["ms"] = static_cast<int64_t>(seconds * 1000);
  line["finish"] = finish_;
  service_.log(line);
}

void CallRecord::begun(const ReuseReport& report) {
  first_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - since_).count();
  usage_.prompt_tokens = report.prompt_tokens;
  usage_.cached_tokens = report.reused_tokens;
  service_.metrics.observe("fovea_first_token_seconds", first_seconds_);
}

void CallRecord::done(const Usage& usage, std::string finish) {
  usage_ = usage;
  finish_ = std::move(finish);
}

}  // namespace fovea::serve
