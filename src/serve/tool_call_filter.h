// Takes the calls of tools out of a text that comes in pieces.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/model.h"

namespace fovea::serve {

struct ToolSet;

// Two forms are known, whichever the model's template asks for: <tool_call>{"name": ..., "arguments": {...}}</tool_call> anywhere
// in the text (the last one may lack its end), and an answer that is such an object, or a list of them, as a whole, perhaps between
// ``` (also with "parameters" for "arguments"). What is no call of a known tool stays text. Blanks around calls are dropped.
class ToolCallFilter {
 public:
  struct Said {
    std::string text;  // that can be shown now
    std::vector<ToolCall> calls;
  };

  explicit ToolCallFilter(std::shared_ptr<const ToolSet> tools);

  Said push(std::string_view piece);
  Said finish();

 private:
  enum class Form { undecided, text, bare };

  void decide();
  void take_calls(Said& said);
  bool parse(std::string_view json, std::vector<ToolCall>& calls) const;

  std::shared_ptr<const ToolSet> tools_;
  std::string held_;  // the beginning of a call, maybe
  Form form_ = Form::undecided;
};

}  // namespace fovea::serve
