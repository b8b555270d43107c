#include "text/control_names.h"

#include <algorithm>
#include <string_view>

namespace fovea::text {
namespace {

constexpr std::string_view kEnds[] = {
    "<eos>",
    "</s>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<end_of_turn>",
    "<turn|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<end_of_utterance>",
    "<|tool_response>",
    "[e~[",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
};

// Of "fill in the middle" and of repositories.
constexpr std::string_view kOthers[] = {
    "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",    "<\uFF5Cfim\u2581begin\uFF5C>",
    "<PRE>",          "\u2581<PRE>",  "<|code_prefix|>", "<|prefix|>",
    "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",    "<\uFF5Cfim\u2581hole\uFF5C>",
    "<SUF>",          "\u2581<SUF>",  "<|code_suffix|>", "<|suffix|>",
    "<|fim_middle|>", "<fim-middle>", "<fim_middle>",    "<\uFF5Cfim\u2581end\uFF5C>",
    "<MID>",          "\u2581<MID>",  "<|code_middle|>", "<|middle|>",
    "<|fim_pad|>",    "<fim-pad>",    "<fim_pad>",       "<PAD>",
    "[PAD]",          "<|fim_repo|>", "<|repo_name|>",   "<fim-repo>",
    "<REPO>",         "<reponame>",   "<|file_sep|>",
};

bool has_control(const TokenTable& tokens, const std::vector<TokenKind>& kinds, std::string_view text) {
  const auto id = tokens.find(text);
  return id && kinds[static_cast<size_t>(*id)] == TokenKind::control;
}

}  // namespace

std::vector<TokenKind> kinds_for_parsing(const TokenTable& tokens, std::vector<TokenKind> kinds) {
  const auto mark = [&](std::string_view text) {
    if (const auto id = tokens.find(text)) kinds[static_cast<size_t>(*id)] = TokenKind::control;
  };
  for (const std::string_view text : kEnds) mark(text);
  for (const std::string_view text : kOthers) mark(text);
  return kinds;
}

std::vector<int32_t> end_tokens_among(const TokenTable& tokens, const std::vector<TokenKind>& kinds) {
  // In OpenAI's "harmony" format "<|end|>" ends a message, and the turn goes on.
  const bool is_harmony = has_control(tokens, kinds, "<|return|>") && has_control(tokens, kinds, "<|call|>");
  std::vector<int32_t> ends;
  for (const std::string_view text : kEnds) {
    if (has_control(tokens, kinds, text) && !(is_harmony && text == "<|end|>")) ends.push_back(*tokens.find(text));
  }
  std::sort(ends.begin(), ends.end());
  return ends;
}

}  // namespace fovea::text
