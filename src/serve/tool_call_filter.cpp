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
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](std::string_view b) { return text.substr(0, b.size()) == b.substr(0, text.size()); });
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

// Length of the longest end of `text` that begins `tag` without being all of it.
size_t begun(std::string_view text, std::string_view tag) {
  size_t length = std::min(text.size(), tag.size() - 1);
  while (!tag.starts_with(text.substr(text.size() - length))) --length;
  return length;
}

size_t without_blanks_at_end(std::string_view text) {
  const size_t last = text.find_last_not_of(kBlanks);
  return last == std::string_view::npos ? 0 : last + 1;
}

bool forces_calls(const ToolSet& tools) { return tools.choice == ToolChoice::required || tools.choice == ToolChoice::named; }

}  // namespace

ToolCallFilter::ToolCallFilter(std::shared_ptr<const ToolSet> tools) : tools_(std::move(tools)), only_calls_(forces_calls(*tools_)) {}

bool ToolCallFilter::is_known(std::string_view name) const { return tools_->find(name) != nullptr; }

// Whether the answer as a whole may be a call.
void ToolCallFilter::decide() {
  static constexpr std::array<std::string_view, 6> kKeys = {R"("name")", R"("arguments")", R"("parameters")",
                                                            R"("type")", R"("function")",  R"("id")"};
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

bool ToolCallFilter::parse(std::string_view text, Parts& parts) const {
  const ordered_json parsed = parse_text(text);
  const ordered_json list = parsed.is_array() ? parsed : ordered_json::array({parsed});
  Parts found;
  for (const ordered_json& one : list) {
    const ordered_json& call = one.is_object() && one.contains("function") && one["function"].is_object() ? one["function"] : one;
    if (!call.is_object()) return false;
    const auto name = call.contains("name") ? call.find("name") : call.find("function");
    if (name == call.end() || !name->is_string() || !is_known(name->get_ref<const std::string&>())) return false;
    auto arguments = call.contains("arguments") ? call.find("arguments") : call.find("parameters");
    ordered_json given = arguments == call.end() ? ordered_json::object() : *arguments;
    if (given.is_string()) given = parse_text(given.get_ref<const std::string&>());
    if (!given.is_object()) return false;
    found.push_back({"", {*name, given.dump(), CallPart::End::whole}});
  }
  if (found.empty()) return false;
  parts.insert(parts.end(), found.begin(), found.end());
  return true;
}

// What stands before a call, or before what may become one. False: nothing further can be said of what is held.
bool ToolCallFilter::say_text(Parts& parts) {
  const size_t tag = held_.find(kBegin);
  const size_t end = tag == std::string::npos ? held_.size() - begun(held_, kBegin) : tag;
  const size_t shown = without_blanks_at_end(std::string_view(held_).substr(0, end));
  if (shown > 0) parts.push_back({held_.substr(0, shown)});
  held_.erase(0, shown);
  return tag != std::string::npos;
}

// False: it is not known yet whether a call begins here, or none does that is passed on as it is written.
bool ToolCallFilter::begin_call(Parts& parts) {
  const size_t begin = form_ == Form::text ? held_.find(kBegin) + kBegin.size() : held_.find('{');
  if (begin == std::string::npos) return false;
  CallHead head = call_head(std::string_view(held_).substr(begin));
  if (head.state != CallHead::State::complete || !is_known(head.name)) return false;
  parts.push_back({"", {std::move(head.name)}});
  written_ = held_.substr(0, begin + head.arguments);
  held_.erase(0, written_.size());
  arguments_begin_ = written_.size();
  arguments_ = {};
  place_ = Place::in_arguments;
  return true;
}

// A tagged call as a whole, or text that only looks like one. False: its end has not come.
bool ToolCallFilter::take_whole_call(Parts& parts) {
  const size_t body = held_.find(kBegin) + kBegin.size();
  if (call_head(std::string_view(held_).substr(body)).state == CallHead::State::unfinished) return false;
  const size_t end = held_.find(kEnd, body);
  if (end == std::string::npos) return false;
  const size_t after = end + kEnd.size();
  if (!parse(std::string_view(held_).substr(body, end - body), parts)) parts.push_back({held_.substr(0, after)});
  held_.erase(0, after);
  return true;
}

bool ToolCallFilter::take_arguments(Parts& parts) {
  const size_t taken = arguments_.take(held_);
  if (taken == 0) return false;
  parts.push_back({"", {"", held_.substr(0, taken)}});
  written_ += parts.back().call.arguments;
  held_.erase(0, taken);
  if (arguments_.complete()) end_call(parts);
  return true;
}

void ToolCallFilter::end_call(Parts& parts) {
  CallPart end;
  const bool whole = arguments_.complete() && parse_text(std::string_view(written_).substr(arguments_begin_)).is_object();
  end.end = whole ? CallPart::End::whole : CallPart::End::cut;
  if (!whole) end.written = std::move(written_);
  parts.push_back({"", std::move(end)});
  place_ = Place::behind_arguments;
}

// Drops what belongs to a call behind its arguments. False: there may be more of it.
bool ToolCallFilter::pass_end() {
  if (form_ == Form::bare) {
    const size_t next = held_.find('{');
    held_.erase(0, next);
    if (next == std::string::npos) return false;
  } else {
    const size_t end = held_.find(kEnd), other = held_.find(kBegin), first = std::min(end, other);
    held_.erase(0, first == std::string::npos ? held_.size() - std::max(begun(held_, kEnd), begun(held_, kBegin)) : first);
    if (first == std::string::npos) return false;
    if (first == end) held_.erase(0, kEnd.size());
  }
  place_ = Place::outside;
  return true;
}

void ToolCallFilter::advance(Parts& parts) {
  bool goes_on = true;
  while (goes_on) {
    if (place_ == Place::in_arguments) goes_on = take_arguments(parts);
    else if (place_ == Place::behind_arguments) goes_on = pass_end();
    else if (form_ == Form::text) goes_on = say_text(parts) && (begin_call(parts) || take_whole_call(parts));
    else goes_on = form_ == Form::bare && only_calls_ && begin_call(parts);
  }
}

std::vector<AnswerPart> ToolCallFilter::push(std::string_view piece) {
  Parts parts;
  held_ += piece;
  if (form_ == Form::undecided) decide();
  advance(parts);
  return parts;
}

std::vector<AnswerPart> ToolCallFilter::finish() {
  Parts parts;
  if (place_ == Place::in_arguments) end_call(parts);
  const std::string_view whole = trimmed(held_);
  const bool is_tagged = whole.starts_with(kBegin);
  if (place_ == Place::behind_arguments) held_.clear();
  else if (whole.empty() || !parse(is_tagged             ? whole.substr(kBegin.size())
                                   : form_ == Form::text ? std::string_view()
                                                         : without_fence(whole),
                                   parts)) {
    if (!held_.empty()) parts.push_back({std::exchange(held_, {})});
  }
  held_.clear();
  return parts;
}

}  // namespace fovea::serve
