#include "cli/sampling_options.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "cli/option_checks.h"

namespace fovea::cli {
namespace {

constexpr float kChatTemperature = 0.7f, kChatTopP = 0.95f, kChatRepetitionPenalty = 1.1f;
constexpr double kMostHeat = 100;  // above, every token is as likely as any other
constexpr double kMostPenalty = 1000;
constexpr long long kMostTokens = std::numeric_limits<int>::max();

CLI::Validator logit_bias() {
  const auto check = [](const std::string& text) -> std::string {
    try {
      parse_logit_bias(text);
      return "";
    } catch (const CLI::ValidationError& error) {
      return error.what();
    }
  };
  CLI::Validator validator(check, "");
  validator.non_modifying();
  return validator;
}

}  // namespace

std::pair<int32_t, float> parse_logit_bias(const std::string& text) {
  std::pair<int32_t, float> bias;
  const char* const end = text.data() + text.size();
  const auto [colon, bad_token] = std::from_chars(text.data(), end, bias.first);
  if (bad_token == std::errc() && colon != end && *colon == ':') {
    const char* number = colon + 1;
    if (end - number > 1 && *number == '+') ++number;
    const auto [rest, bad_value] = std::from_chars(number, end, bias.second);
    const bool usable = !std::isnan(bias.second) && bias.second < std::numeric_limits<float>::infinity();
    if (bad_value == std::errc() && rest == end && usable && bias.first >= 0) return bias;
  }
  throw CLI::ValidationError("'" + text + "' is not ID:VALUE, such as 42:-1.5 (or 42:-inf, never)");
}

void SamplingArguments::add(CLI::App& command) {
  const auto option = [&](const char* name, auto& value, const char* help, const CLI::Validator& check, const char* type) {
    return command.add_option(name, value, help)->check(check)->type_name(type)->group("Sampling");
  };
  option("--temp", temperature, "0: always the most likely token; higher: bolder (default 0; 0.7 in chat)", number(0, kMostHeat), "T");
  option("--top-k", options.top_k, "choose among the K most likely tokens; 0: all", whole_number(0, kMostTokens), "K")
      ->capture_default_str();
  option("--top-p", top_p, "choose among the fewest tokens whose probabilities reach P\n(default 1; 0.95 in chat)", number_above(0, 1),
         "P");
  option("--min-p", options.min_p, "drop tokens less likely than P times the most likely", number(0, 1), "P")->capture_default_str();
  option("--seed", options.seed, "the same seed gives the same text", whole_number(0, std::numeric_limits<long long>::max()), "S")
      ->capture_default_str();
  option("--repeat-penalty", repetition_penalty, "above 1: shun tokens of the newest --repeat-window\n(default 1; 1.1 in chat)",
         number_above(0, kMostPenalty), "X");
  option("--repeat-window", options.penalty_window, "tokens the repeat penalty looks back at; -1: all", whole_number(-1, kMostTokens), "N")
      ->capture_default_str();
  option("--presence-penalty", options.presence_penalty, "subtracted from the logit of what was generated",
         number(-kMostPenalty, kMostPenalty), "X")
      ->capture_default_str();
  option("--frequency-penalty", options.frequency_penalty, "subtracted for each time it was generated", number(-kMostPenalty, kMostPenalty),
         "X")
      ->capture_default_str();
  option("--logit-bias", biases, "add VALUE to the logit of token ID; may be repeated", logit_bias(), "ID:VALUE")->allow_extra_args(false);
}

SamplingOptions SamplingArguments::resolved(bool conversation) const {
  SamplingOptions resolved = options;
  resolved.temperature = temperature.value_or(conversation ? kChatTemperature : 0);
  resolved.top_p = top_p.value_or(conversation ? kChatTopP : 1);
  resolved.repetition_penalty = repetition_penalty.value_or(conversation ? kChatRepetitionPenalty : 1);
  for (const std::string& bias : biases) resolved.logit_bias.push_back(parse_logit_bias(bias));
  return resolved;
}

}  // namespace fovea::cli
