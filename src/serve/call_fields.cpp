#include "serve/call_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>

#include "serve/answer_grammar.h"
#include "serve/api_error.h"
#include "serve/tools.h"

namespace fovea::serve {
namespace {

using nlohmann::json;

constexpr int kMostTopLogprobs = 20, kMostCompletionLogprobs = 5;
constexpr size_t kMostBiases = 1024, kMostPrompts = 16, kMostStopBytes = 256;
constexpr size_t kLongestSalt = 256;
constexpr int64_t kMostInteger = std::numeric_limits<int64_t>::max();
constexpr int kUsualCompletionTokens = 16;
constexpr int kMostWholeLogprobs = 1 << 18;  // of a whole reply: all wait in memory for the last

std::vector<std::pair<int32_t, float>> logit_bias(Fields& fields, const Model& model) {
  std::vector<std::pair<int32_t, float>> biases;
  const json* map = fields.find("logit_bias");
  if (!map) return biases;
  if (!map->is_object()) fields.wrong_type("logit_bias", "an object");
  if (map->size() > kMostBiases) throw bad_request(fmt::format("'logit_bias' takes at most {} tokens.", kMostBiases), "logit_bias");
  for (const auto& [name, value] : map->items()) {
    int32_t token = -1;
    const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), token);
    if (failure != std::errc() || end != name.data() + name.size() || token < 0 || token >= model.facts().vocabulary) {
      throw bad_request("Invalid key in 'logit_bias': " + name.substr(0, 32) + ". You should only be submitting token IDs of this model.",
                        "logit_bias");
    }
    if (!value.is_number() || value.get<double>() < -100 || value.get<double>() > 100) {
      throw bad_request("Invalid value in 'logit_bias': expected a number from -100 to 100.", "logit_bias");
    }
    biases.emplace_back(token, value.get<float>());
  }
  return biases;
}

SamplingOptions sampling_options(Fields& fields, const Model& model) {
  SamplingOptions options;
  options.logit_bias = logit_bias(fields, model);
  options.presence_penalty = static_cast<float>(fields.number("presence_penalty", -2, 2).value_or(0));
  options.frequency_penalty = static_cast<float>(fields.number("frequency_penalty", -2, 2).value_or(0));
  options.repetition_penalty = static_cast<float>(fields.number("repetition_penalty", 0.01, 10).value_or(1));
  options.temperature = static_cast<float>(fields.number("temperature", 0, 2).value_or(1));
  options.top_k = static_cast<int>(fields.integer("top_k", -1, model.facts().vocabulary).value_or(0));
  options.top_k = std::max(options.top_k, 0);  // -1 is how others spell all
  options.top_p = static_cast<float>(fields.number("top_p", 0, 1).value_or(1));
  if (options.top_p == 0) options.top_k = 1, options.top_p = 1;  // the most likely token alone
  options.min_p = static_cast<float>(fields.number("min_p", 0, 1).value_or(0));
  const auto seed = fields.integer("seed", -kMostInteger, kMostInteger);
  options.seed = seed ? static_cast<uint64_t>(*seed) : random_seed();
  return options;
}

StreamMode stream_mode(Fields& fields) {
  const bool streams = fields.boolean("stream").value_or(false);
  const json* options = fields.find("stream_options");
  if (!options) return streams ? StreamMode::pieces : StreamMode::whole;
  if (!streams) throw bad_request("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options");
  Fields inside(*options, "stream_options.");
  const bool usage = inside.boolean("include_usage").value_or(false);
  inside.boolean("include_obfuscation");
  inside.refuse_others();
  return usage ? StreamMode::pieces_and_usage : StreamMode::pieces;
}

// Who asks, and how it is to be run.
void read_scheduling(Fields& fields, const CallContext& context, GenerationCall& generation) {
  generation.stop_tokens = context.prompts.model().end_tokens();
  generation.priority = static_cast<int>(fields.integer("priority", -1000, 1000).value_or(0));
  generation.prompt_lookup =
      static_cast<int>(fields.integer("prompt_lookup", 0, EngineLimits::kMostLookupTokens).value_or(context.prompt_lookup));
  generation.owner = context.owner;
  generation.salt = context.salt;
  generation.keep = fields.boolean("store").value_or(true);
  if (const auto salt = fields.text("cache_salt")) {  // it is kept as long as what it keeps apart
    if (salt->size() > kLongestSalt)
      throw bad_request(fmt::format("'cache_salt' has at most {} bytes.", kLongestSalt), "cache_salt", "string_above_max_length");
    generation.salt += "/" + *salt;
  }
}

// What both kinds of requests have.
void read_common(Fields& fields, const CallContext& context, OpenAiCall& call) {
  GenerationCall& generation = call.generation;
  fields.ignore("model");
  call.stream = stream_mode(fields);
  generation.sampling = sampling_options(fields, context.prompts.model());
  generation.choices = static_cast<int>(fields.integer("n", 1, context.limits.choices).value_or(1));
  generation.stops = stop_strings(fields, "stop", 4);
  generation.grammar = openai_grammar(fields, context.prompts.model());
  read_scheduling(fields, context, generation);
  for (const char* harmless : {"user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}) {
    fields.ignore(harmless);
  }
}

std::optional<int> token_limit(Fields& fields, const char* name, const ServerLimits& limits) {
  const int most = limits.output_tokens > 0 ? limits.output_tokens : EngineLimits::kMostContextTokens;
  const auto tokens = fields.integer(name, 1, most);
  return tokens ? std::optional(static_cast<int>(*tokens)) : std::nullopt;
}

void limit_logprobs(OpenAiCall& call, size_t prompts) {
  GenerationCall& generation = call.generation;
  if (call.stream != StreamMode::whole || !generation.top_logprobs) return;
  const int each = static_cast<int>(prompts) * generation.choices * (*generation.top_logprobs + 1), most = kMostWholeLogprobs / each;
  if (!generation.max_tokens || generation.clamp_tokens) {
    generation.max_tokens = std::min(generation.max_tokens.value_or(most), most);
    generation.clamp_tokens = true;
  } else if (*generation.max_tokens > most) {
    throw bad_request(
        fmt::format("Up to {} tokens with {} log probabilities each are more than the {} that a whole reply may have. Set 'stream', "
                    "or ask for fewer.",
                    *generation.max_tokens, each, kMostWholeLogprobs),
        "logprobs", "invalid_value");
  }
}

// Fields of OpenAI whose only value here is the one that asks for nothing.
void refuse_what_is_missing(Fields& fields) {
  const auto unsupported = [&](const char* name) {
    throw bad_request(fmt::format("Unsupported parameter: '{}' is not supported by this server.", name), name, "unsupported_parameter");
  };
  if (const json* list = fields.find("functions"); list && !(list->is_array() && list->empty())) unsupported("functions");
  for (const char* name : {"audio", "prediction", "web_search_options"}) {
    if (fields.find(name)) unsupported(name);
  }
  if (const json* modalities = fields.find("modalities"); modalities && *modalities != json::array({"text"})) unsupported("modalities");
  if (const json* choice = fields.find("function_call"); choice && *choice != "none" && *choice != "auto") unsupported("function_call");
  for (const char* harmless : {"reasoning_effort", "verbosity"}) fields.ignore(harmless);
}

// An answer that has to be of a form cannot be a call as well; what `structured_outputs` allows may contain calls.
void offer_tools(Fields& fields, std::shared_ptr<const ToolSet> tools, const Model& model, GenerationCall& generation) {
  generation.tools = std::move(tools);
  if (!generation.tools || generation.tools->choice == ToolChoice::none) return;
  if (generation.grammar && (generation.tools->choice != ToolChoice::automatic || !fields.find("structured_outputs"))) {
    throw bad_request(
        "'tools' and a form of the answer together are not supported by this server: set 'tool_choice' to 'none', or leave one out.",
        "tools", "unsupported_parameter");
  }
  if (generation.tools->choice != ToolChoice::automatic) generation.grammar = generation.tools->grammar(model);
}

// A string, or tokens.
struct Prompt {
  std::string text;
  std::vector<int32_t> tokens;
};

Prompt prompt_of(const json& value, const PromptReader& reader) {
  const Model& model = reader.model();
  Prompt prompt;
  if (value.is_string()) {
    prompt.text = value.get<std::string>();
    prompt.tokens = reader.tokens(prompt.text, true);
  } else {
    prompt.tokens = token_list(value, model, "prompt");
  }
  if (prompt.tokens.empty() && model.bos()) prompt.tokens.push_back(*model.bos());
  if (prompt.tokens.empty()) throw bad_request("Invalid 'prompt': it is empty.", "prompt", "invalid_value");
  return prompt;
}

std::vector<Prompt> prompts_of(Fields& fields, const PromptReader& reader) {
  const json& value = fields.require("prompt");
  const bool is_list = value.is_array() && !value.empty() && !value[0].is_number();
  if (!value.is_string() && !value.is_array()) fields.wrong_type("prompt", "a string or an array");
  if (!is_list) return {prompt_of(value, reader)};
  if (value.size() > kMostPrompts) throw bad_request(fmt::format("'prompt' takes at most {} prompts.", kMostPrompts), "prompt");
  std::vector<Prompt> prompts;
  for (const json& one : value) {
    if (!one.is_string() && !one.is_array())
      throw bad_request("Invalid type for 'prompt': expected strings or arrays of tokens.", "prompt", "invalid_type");
    prompts.push_back(prompt_of(one, reader));
  }
  return prompts;
}

}  // namespace

std::vector<int32_t> token_list(const json& list, const Model& model, const char* name) {
  std::vector<int32_t> tokens;
  for (const json& token : list) {
    if (!token.is_number_integer() || token.get<double>() < 0 || token.get<double>() >= model.facts().vocabulary) {
      throw bad_request(fmt::format("Invalid value for '{}': expected token IDs of this model.", name), name, "invalid_value");
    }
    tokens.push_back(token.get<int32_t>());
  }
  return tokens;
}

uint64_t random_seed() {
  thread_local std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

std::vector<std::string> stop_strings(Fields& fields, const char* name, size_t most) {
  const json* value = fields.find(name);
  if (!value) return {};
  std::vector<std::string> stops;
  if (value->is_string()) stops.push_back(value->get<std::string>());
  else if (!value->is_array()) fields.wrong_type(name, "a string or an array of strings");
  else {
    for (const json& stop : *value) {
      if (!stop.is_string()) fields.wrong_type(name, "a string or an array of strings");
      stops.push_back(stop.get<std::string>());
    }
  }
  if (stops.size() > most) {
    throw bad_request(
        fmt::format("Invalid '{}': array too long. Expected an array with maximum length {}, but got an array with length {} instead.",
                    name, most, stops.size()),
        name, "array_above_max_length");
  }
  for (const std::string& stop : stops) {
    if (!stop.empty() && stop.size() <= kMostStopBytes) continue;
    throw bad_request(fmt::format("Invalid '{}': stop strings have 1 to {} bytes.", name, kMostStopBytes), name, "invalid_value");
  }
  return stops;
}

std::string text_of_content(const json& content, const std::string& name) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    throw bad_request(fmt::format("Invalid type for '{}': expected one of a string or array of objects.", name), name, "invalid_type");
  }
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    Fields part(content[i], fmt::format("{}[{}].", name, i));
    const std::string type = part.text("type").value_or("text");
    if (type != "text" && type != "input_text" && type != "output_text" && type != "refusal") {
      throw bad_request(fmt::format("Invalid value: '{}'. This model takes text.", type.substr(0, 32)), part.full_name("type"),
                        "invalid_value");
    }
    const char* field = type == "refusal" ? "refusal" : "text";
    part.require(field);
    text += *part.text(field);
  }
  return text;
}

ChatTurn chat_turn(const json& message, const std::string& path) {
  Fields fields(message, path + ".");
  fields.require("role");
  ChatTurn turn;
  turn.role = *fields.text("role");
  const bool known =
      turn.role == "system" || turn.role == "developer" || turn.role == "user" || turn.role == "assistant" || turn.role == "tool";
  if (!known) {
    throw bad_request(fmt::format("Invalid value: '{}'. Supported values are: 'system', 'developer', 'user', 'assistant' and 'tool'.",
                                  turn.role.substr(0, 32)),
                      fields.full_name("role"), "invalid_value");
  }
  if (turn.role == "developer") turn.role = "system";
  if (const json* calls = fields.find("tool_calls"); calls && turn.role == "assistant") {
    turn.tool_calls = tool_calls_of(*calls, fields.full_name("tool_calls"), Dialect::openai);
  }
  if (turn.role == "tool") {
    fields.require("tool_call_id");
    turn.tool_call_id = *fields.text("tool_call_id");
  }
  const json* content = turn.tool_calls.empty() ? &fields.require("content") : fields.find("content");
  if (content) turn.content = text_of_content(*content, fields.full_name("content"));
  for (const char* harmless : {"name", "refusal", "annotations", "reasoning_content"}) fields.ignore(harmless);
  for (const char* absent : {"function_call", "audio"}) {
    const json* value = fields.find(absent);
    if (value && !value->empty())
      throw bad_request(fmt::format("Unsupported parameter: '{}'.", fields.full_name(absent)), fields.full_name(absent),
                        "unsupported_parameter");
  }
  fields.refuse_others();
  return turn;
}

std::vector<ChatTurn> chat_turns(const json& messages, const std::string& name) {
  if (!messages.is_array())
    throw bad_request(fmt::format("Invalid type for '{}': expected an array of objects.", name), name, "invalid_type");
  if (messages.empty())
    throw bad_request(fmt::format("Invalid '{}': empty array. Expected an array with minimum length 1.", name), name, "empty_array");
  if (messages.size() > kMostMessages)
    throw bad_request(fmt::format("'{}' takes at most {} messages.", name, kMostMessages), name, "array_above_max_length");
  std::vector<ChatTurn> turns;
  for (size_t i = 0; i < messages.size(); ++i) turns.push_back(chat_turn(messages[i], fmt::format("{}[{}]", name, i)));
  return turns;
}

GenerationCall response_call(Fields& fields, const CallContext& context) {
  GenerationCall generation;
  fields.ignore("model");
  generation.sampling = sampling_options(fields, context.prompts.model());
  generation.grammar = responses_grammar(fields, context.prompts.model());
  generation.max_tokens = token_limit(fields, "max_output_tokens", context.limits);
  if (!generation.max_tokens && context.limits.output_tokens > 0) {
    generation.max_tokens = context.limits.output_tokens;
    generation.clamp_tokens = true;
  }
  offer_tools(fields, responses_tools(fields), context.prompts.model(), generation);
  read_scheduling(fields, context, generation);
  return generation;
}

OpenAiCall chat_call(const json& body, const CallContext& context) {
  Fields fields(body);
  OpenAiCall call;
  const std::vector<ChatTurn> turns = chat_turns(fields.require("messages"), "messages");
  read_common(fields, context, call);
  refuse_what_is_missing(fields);
  GenerationCall& generation = call.generation;
  offer_tools(fields, openai_tools(fields), context.prompts.model(), generation);
  generation.max_tokens = token_limit(fields, "max_completion_tokens", context.limits);
  if (const auto older = token_limit(fields, "max_tokens", context.limits); !generation.max_tokens) generation.max_tokens = older;
  if (!generation.max_tokens && context.limits.output_tokens > 0) {
    generation.max_tokens = context.limits.output_tokens;
    generation.clamp_tokens = true;
  }
  const bool logprobs = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, kMostTopLogprobs);
  if (top && !logprobs) throw bad_request("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs");
  if (logprobs) generation.top_logprobs = static_cast<int>(top.value_or(0));
  limit_logprobs(call, 1);
  fields.refuse_others();
  generation.prompt = context.prompts.tokens(turns, generation.tools ? generation.tools->for_template() : "");
  return call;
}

std::vector<OpenAiCall> completion_calls(const json& body, const CallContext& context) {
  Fields fields(body);
  OpenAiCall call;
  call.chat = false;
  read_common(fields, context, call);
  GenerationCall& generation = call.generation;
  generation.max_tokens = token_limit(fields, "max_tokens", context.limits).value_or(kUsualCompletionTokens);
  if (const auto top = fields.integer("logprobs", 0, kMostCompletionLogprobs)) generation.top_logprobs = static_cast<int>(*top);
  const bool echo = fields.boolean("echo").value_or(false);
  if (echo && generation.top_logprobs)
    throw bad_request("'echo' with 'logprobs' is not supported by this server.", "echo", "unsupported_parameter");
  if (fields.text("suffix").value_or("") != "")
    throw bad_request("Unsupported parameter: 'suffix' is not supported by this server.", "suffix", "unsupported_parameter");
  if (fields.integer("best_of", 1, context.limits.choices).value_or(generation.choices) != generation.choices) {
    throw bad_request("'best_of' other than 'n' is not supported by this server.", "best_of", "unsupported_parameter");
  }
  std::vector<Prompt> prompts = prompts_of(fields, context.prompts);
  fields.refuse_others();
  if (prompts.size() * static_cast<size_t>(generation.choices) > static_cast<size_t>(context.limits.choices)) {
    throw bad_request(fmt::format("'n' times the number of prompts is at most {}.", context.limits.choices), "n");
  }
  limit_logprobs(call, prompts.size());
  std::vector<OpenAiCall> calls;
  for (Prompt& prompt : prompts) {
    OpenAiCall& one = calls.emplace_back(call);
    if (echo) one.echo = prompt.text.empty() ? context.prompts.model().detokenize(prompt.tokens) : prompt.text;
    one.generation.prompt = std::move(prompt.tokens);
  }
  return calls;
}

}  // namespace fovea::serve
