// Takes the calls of tools out of a text that comes in pieces, while they are written.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/model.h"
#include "serve/written_call.h"

namespace fovea::serve {

struct ToolSet;

// More of a call.
struct CallPart {
  enum class End {
    no,
    whole,  // its arguments are a JSON object
    cut     // they are none, or the answer ended within them
  };
  std::string tool = {};       // not empty: here begins a call of this tool, and what was called before has ended
  std::string arguments = {};  // more of them
  End end = End::no;
  std::string written = {};  // where it is cut: all of the call, as the model wrote it

  bool empty() const { return tool.empty() && arguments.empty() && end == End::no; }
};

// What an answer says next: text that can be shown, or more of a call.
struct AnswerPart {
  std::string text;
  CallPart call = {};
};

// Two forms are known, whichever the model's template asks for: <tool_call>{"name": ..., "arguments": {...}}</tool_call> anywhere
// in the text (the last one may lack its end), and an answer that is such an object, or a list of them, as a whole, perhaps between
// ``` (also with "parameters" for "arguments"). What is no call of a known tool stays text. Blanks around calls are dropped.
//
// Arguments are passed on as they are written, as soon as it is certain that they are those of a call of a known tool: behind a tag
// once name and "arguments": { have come, and everywhere where the answer can be nothing but calls (ToolSet::grammar). All others, and
// calls whose parts stand in another order, come whole. The parts put together do not depend on how the text was cut into pieces.
class ToolCallFilter {
 public:
  explicit ToolCallFilter(std::shared_ptr<const ToolSet> tools);

  std::vector<AnswerPart> push(std::string_view piece);
  std::vector<AnswerPart> finish();

 private:
  enum class Form { undecided, text, bare };
  enum class Place { outside, in_arguments, behind_arguments };
  using Parts = std::vector<AnswerPart>;

  void decide();
  void advance(Parts& parts);
  bool say_text(Parts& parts);
  bool begin_call(Parts& parts);
  bool take_whole_call(Parts& parts);
  bool take_arguments(Parts& parts);
  bool pass_end();
  void end_call(Parts& parts);
  bool is_known(std::string_view name) const;
  bool parse(std::string_view json, Parts& parts) const;

  std::shared_ptr<const ToolSet> tools_;
  const bool only_calls_;  // the answer is nothing else
  std::string held_;       // the beginning of a call, maybe
  Form form_ = Form::undecided;
  Place place_ = Place::outside;
  std::string written_;         // of the call at place_, as far as it was passed on
  size_t arguments_begin_ = 0;  // in written_
  WrittenArguments arguments_;
};

}  // namespace fovea::serve
