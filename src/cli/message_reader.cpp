#include "cli/message_reader.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"

namespace fovea::cli {
namespace {

constexpr int kPasteGapMilliseconds = 30;  // nobody types a whole line in that time

}  // namespace

bool MessageReader::more_is_waiting() const {
  if (!buffer_.empty()) return true;
  pollfd waiting = {STDIN_FILENO, POLLIN, 0};
  return !at_end_ && poll(&waiting, 1, kPasteGapMilliseconds) > 0;
}

MessageReader::Line MessageReader::read_line(std::string& line) {
  while (true) {
    const size_t newline = buffer_.find('\n');
    if (newline != std::string::npos) {
      line = buffer_.substr(0, newline);
      buffer_.erase(0, newline + 1);
      return Line::complete;
    }
    if (at_end_) break;
    char bytes[4096];
    const ssize_t count = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR && interrupted()) {
      buffer_.clear();
      return Line::interrupted;
    }
    if (count <= 0 && !(count < 0 && errno == EINTR)) at_end_ = true;
    if (count > 0) buffer_.append(bytes, static_cast<size_t>(count));
  }
  line = std::move(buffer_);
  buffer_.clear();
  return line.empty() ? Line::end : Line::complete;  // the last line may lack its newline
}

MessageReader::Outcome MessageReader::read(std::string_view prompt, std::string& message) {
  const bool person = is_terminal(Stream::in);
  if (person) write_error(prompt);
  message.clear();
  while (true) {
    std::string line;
    switch (read_line(line)) {
      case Line::interrupted:
        return Outcome::interrupted;
      case Line::end:
        return message.empty() ? Outcome::end : Outcome::message;
      case Line::complete:
        break;
    }
    const bool continues = line.ends_with('\\');
    if (continues) line.pop_back();
    message += line;
    // From a pipe each line is a message of its own.
    if (!continues && !(person && more_is_waiting())) return Outcome::message;
    message += '\n';
  }
}

}  // namespace fovea::cli
