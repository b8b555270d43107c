// Errors that users meet. Every one says what is wrong, where, and how to mend it.
//
// Thrown at the border (files, arguments, requests); inside, "no room" and "not found" are answers (optional,
// expected values), and our own mistakes are asserts that no input can reach.
#pragma once

#include <stdexcept>
#include <string>

namespace fovea {

class Error : public std::runtime_error {
 public:
  //   what   "tensor blk.5.attn_k is 640x512, expected 640x256"
  //   where  the file, key, argument or field, with its place ("model.gguf, tensor 41"); may be empty
  //   mend   what the reader can do about it; may be empty
  Error(std::string what, std::string where, std::string mend)
      : std::runtime_error(message(what, where, mend)), problem_(std::move(what)), where_(std::move(where)), mend_(std::move(mend)) {}

  const std::string& problem() const { return problem_; }
  const std::string& where() const { return where_; }
  const std::string& mend() const { return mend_; }

 private:
  static std::string message(const std::string& what, const std::string& where, const std::string& mend) {
    std::string text = where.empty() ? what : where + ": " + what;
    return mend.empty() ? text : text + " (" + mend + ")";
  }

  std::string problem_, where_, mend_;
};

}  // namespace fovea
