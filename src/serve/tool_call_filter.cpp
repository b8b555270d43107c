#include "serve/tool_call_filter.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "serve/json_fields.h"
#include "serve/tools.h"

namespace fovea::serve {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kBegin = "<tool_call>", kEnd = "</tool_call>", kBlanks = " \t\r\n", kFence = "```";
constexpr size_t kLongestFence = 24;  // "```json" and its like

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// Whether a text goes on like one of these, as far as it is there.
template <size_t N> bool may_begin_with(std::string_view text, const std::array<std::string_view, N>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(), [&](std::string_view b) { return text.substr(0, b.size()) == b.substr(0, text.size()); });
}

// The text without ``` and what follows on that line; the same if there is none; nothing if that is not known yet.
std::string_view without_fence(std::string_view text) {
  if (!text.starts_with('`')) return text;
  const size_t line = text.find('\n');
  if (line == std::string_view::npos) return {};
  text = trimmed(text.substr(line));
  if (text.ends_with(kFence)) text.remove_suffix(kFence.size());
  return trimmed(text);
}

// Length of the end of `text` that is blanks and then the beginning of kBegin.
size_t held_back(std::string_view text) {
  size_t tag = std::min(text.size(), kBegin.size() - 1);
  while (!kBegin.starts_with(text.substr(text.size() - tag))) --tag;
  const std::string_view before = text.substr(0, text.size() - tag);
  const size_t said = before.find_last_not_of(kBlanks);
  return text.size() - (said == std::string_view::npos ? 0 : said + 1);
}

}  // namespace

ToolCallFilter::ToolCallFilter(std::shared_ptr<const ToolSet> tools) : tools_(std::move(tools)) {}

// Whether the answer as a whole may be a call.
void ToolCallFilter::decide() {
  static constexpr std::array<std::string_view, 6> kKeys = {R"("name")", R"("arguments")", R"("parameters")", R"("type")", R"("function")", R"("id")"};
  std::string_view text = trimmed(held_);
  if (text.empty()) return;
  form_ = Form::text;
  if (text.starts_with('`')) {
    if (!kFence.starts_with(text.substr(0, 3)) || (text.size() > kLongestFence && text.find('\n') > kLongestFence)) return;
    text = without_fence(text);
  }
  if (text.starts_with('[')) text = trimmed(text.substr(1));
  if (text.starts_with('{')) text = trimmed(text.substr(1));
  else if (!text.empty()) return;
  if (may_begin_with(text, kKeys)) form_ = text.find(':') == std::string_view::npos ? Form::undecided : Form::bare;
}

bool ToolCallFilter::parse(std::string_view text, std::vector<ToolCall>& calls) const {
  const ordered_json parsed = parse_text(text);
  const ordered_json list = parsed.is_array() ? parsed : ordered_json::array({parsed});
  std::vector<ToolCall> found;
  for (const ordered_json& one : list) {
    const ordered_json& call = one.is_object() && one.contains("function") && one["function"].is_object() ? one["function"] : one;
    if (!call.is_object()) return false;
    const auto name = call.contains("name") ? call.find("name") : call.find("function");
    if (name == call.end() || !name->is_string() || !tools_->find(name->get<std::string>())) return false;
    auto arguments = call.contains("arguments") ? call.find("arguments") : call.find("parameters");
    ordered_json given = arguments == call.end() ? ordered_json::object() : *arguments;
    if (given.is_string()) given = parse_text(given.get_ref<const std::string&>());
    if (!given.is_object()) return false;
    found.push_back({"", *name, given.dump()});
  }
  if (found.empty()) return false;
  calls.insert(calls.end(), found.begin(), found.end());
  return true;
}

void ToolCallFilter::take_calls(Said& said) {
  for (;;) {
    const size_t begin = held_.find(kBegin);
    if (begin == std::string::npos) break;
    const size_t body = begin + kBegin.size(), end = held_.find(kEnd, body);
    const size_t text_end = held_.find_last_not_of(kBlanks, begin == 0 ? std::string::npos : begin - 1);
    if (end == std::string::npos) {  // what stands before it can be shown
      const size_t shown = begin == 0 || text_end == std::string::npos ? 0 : text_end + 1;
      said.text += held_.substr(0, shown);
      held_.erase(0, shown);
      return;
    }
    const bool is_call = parse(std::string_view(held_).substr(body, end - body), said.calls);
    const size_t after = end + kEnd.size();
    if (!is_call) said.text += held_.substr(0, after);
    else if (begin > 0 && text_end != std::string::npos) said.text += held_.substr(0, text_end + 1);
    held_.erase(0, after);
  }
  const size_t shown = held_.size() - held_back(held_);
  said.text += held_.substr(0, shown);
  held_.erase(0, shown);
}

ToolCallFilter::Said ToolCallFilter::push(std::string_view piece) {
  Said said;
  held_ += piece;
  if (form_ == Form::undecided) decide();
  if (form_ == Form::text) take_calls(said);
  return said;
}

ToolCallFilter::Said ToolCallFilter::finish() {
  Said said;
  const std::string_view whole = trimmed(held_);
  const bool is_tagged = whole.starts_with(kBegin);
  if (whole.empty()) {
    said.text = held_;
  } else if (!parse(is_tagged ? whole.substr(kBegin.size()) : form_ == Form::text ? std::string_view() : without_fence(whole), said.calls)) {
    said.text = held_;
  }
  held_.clear();
  return said;
}

}  // namespace fovea::serve
