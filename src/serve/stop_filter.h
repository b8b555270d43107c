// Cuts a text that comes in pieces before the first of some stop strings, of which nothing is ever shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fovea::serve {

// What is shown does not depend on how the text was cut into pieces: it ends before the stop string that is complete first (of
// two that end at the same place, the one that begins first).
class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stops);  // none is empty

  std::string push(std::string_view piece);  // text that can be shown now; "" for all that comes after a stop string
  std::string finish();                      // what was held back, if no stop string came
  bool stopped() const { return stopped_; }
  const std::string& matched() const { return matched_; }  // the stop string that came

 private:
  std::vector<std::string> stops_;
  std::string held_;  // the beginning of a stop string, maybe
  std::string matched_;
  bool stopped_ = false;
};

}  // namespace fovea::serve
