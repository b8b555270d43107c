// How much of a step may go to prompts while other requests generate.
#pragma once

namespace fovea {

// A step that reads 512 tokens of a prompt takes as long as dozens of steps that generate, and everybody who generates waits
// for it. So while somebody does, a step takes only as many tokens of prompts as make it kStretch times as long as it would
// be without them, by what earlier steps took. Results do not depend on it (the numerics contract).
//
// threads  one at a time
class PromptShare {
 public:
  static constexpr double kStretch = 2.0;
  static constexpr int kLeastRows = 16;  // so that prompts get on, whatever the clock says
  static constexpr int kFirstRows = 64;  // before anything is known

  explicit PromptShare(int chunk_tokens) : most_(chunk_tokens) {}

  int rows() const;  // of prompts, in a step with generated tokens

  // A step with so many rows of either kind took so long.
  void took(int generated_rows, int prompt_rows, double seconds);

 private:
  int most_;
  double step_seconds_ = 0;  // of a step that only generates; a running mean, 0: not known
  double row_seconds_ = 0;   // of a row of a prompt; likewise
};

}  // namespace fovea
