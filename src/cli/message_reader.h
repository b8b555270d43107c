// Messages typed or pasted at a prompt.
#pragma once

#include <string>
#include <string_view>

namespace fovea::cli {

// Reads stdin by the line, with the line editing of the terminal itself. Lines that arrive together, as from
// a paste, are one message; a line that ends in a backslash continues on the next. Do not mix with other
// readers of stdin: it reads ahead.
class MessageReader {
 public:
  enum class Outcome { message, interrupted, end };

  // Shows `prompt` on stderr when a person is typing.
  Outcome read(std::string_view prompt, std::string& message);

 private:
  enum class Line { complete, interrupted, end };
  Line read_line(std::string& line);
  bool more_is_waiting() const;  // now, or within the blink that a paste takes

  std::string buffer_;  // read and not yet handed out
  bool at_end_ = false;
};

}  // namespace fovea::cli
