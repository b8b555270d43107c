// How many threads generate, where other programs take processors away.
#pragma once

namespace fovea {

// A step that generates is many short runs of the thread pool, each as late as its last piece. When another program holds a
// processor, a thread is put aside for milliseconds with a piece in its hands, many times a second, and the others wait. As
// generation is bound by memory, fewer threads that nobody disturbs can be faster. So: where waiting takes a good part of
// the time, fewer threads are tried for some steps and kept if these were faster; from time to time one more is tried.
// Results do not depend on it (the numerics contract).
//
// threads  one at a time
class TeamSize {
 public:
  explicit TeamSize(int most) : most_(most), size_(most) {}

  int next() const { return trial_steps_ > 0 ? trial_size_ : size_; }  // threads for the next step

  // A step of `rows` rows with next() threads took so long, of which run() waited `stalled_seconds` for last pieces.
  void took(int rows, double seconds, double stalled_seconds);

 private:
  void start_trial(int size);
  void end_trial();
  void restart();  // what was measured is no longer comparable

  int most_, size_;
  int rows_ = 0;
  double seconds_ = 0;                    // of a step with size_ threads: a running mean; 0: not measured yet
  double stalled_ = 0;                    // likewise, as a share of the time
  int trial_size_ = 0, trial_steps_ = 0;  // steps left; 0: no trial
  double trial_seconds_ = 0;
  unsigned attempts_ = 0;       // at fewer threads
  int wait_ = 0, backoff_ = 0;  // steps before the next trial; what a failed trial sets it to
};

}  // namespace fovea
