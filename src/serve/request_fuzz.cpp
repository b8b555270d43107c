// Any bytes are a request that is read, or an ApiError that every API can put into words; whatever the outcome, its JSON is UTF-8.
#include <cstdint>
#include <cstdlib>

#include "serve/api_error.h"
#include "serve/call_fields.h"
#include "serve/stop_filter.h"

namespace {

using namespace fovea::serve;

void read(std::string_view text) {
  const nlohmann::json body = parse_body(text);
  Fields fields(body);
  const std::vector<std::string> stops = stop_strings(fields, "stop", 4);
  (void)fields.number("temperature", 0, 2);
  (void)fields.integer("max_tokens", 1, 1000);
  (void)fields.boolean("stream");
  for (const fovea::ChatTurn& turn : chat_turns(fields.require("messages"), "messages")) {
    StopFilter filter(stops);
    const std::string shown = filter.push(turn.content) + filter.finish();
    for (const std::string& stop : stops) {
      if (shown.find(stop) != std::string::npos) abort();
    }
  }
  fields.refuse_others();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    read({reinterpret_cast<const char*>(data), size});
  } catch (const ApiError& error) {
    if (error.status != 400 || *error.what() == '\0') abort();
    for (const Dialect dialect : {Dialect::openai, Dialect::ollama, Dialect::anthropic}) {
      (void)nlohmann::json::parse(error_response(error, dialect).body);
    }
  }
  return 0;
}
