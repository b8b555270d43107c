// A call of a tool as models write it, while it is written: {"name": "find", "arguments": {"city": "Oslo"}}
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fovea::serve {

// The part of a call before its arguments, in the order in which models are taught to write it.
struct CallHead {
  enum class State {
    unfinished,  // what is there may go on to be one
    other,       // it is none
    complete
  } state = State::other;
  std::string name = {};
  size_t arguments = 0;  // where they begin, with {
};
CallHead call_head(std::string_view text);

// Where the object ends that arguments are.
class WrittenArguments {
 public:
  // How much of `text`, which goes on where the last one ended, belongs to it.
  size_t take(std::string_view text);
  bool complete() const { return begun_ && depth_ == 0; }

 private:
  int depth_ = 0;
  bool begun_ = false, in_text_ = false, escaped_ = false;
};

}  // namespace fovea::serve
