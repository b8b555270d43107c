// A thread that does pieces of work one after the other, beside its owner.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

namespace fovea {

// The thread is there from the first piece of work on.
//
// threads  run() from one at a time; the destructor finishes what was asked for
class BackgroundThread {
 public:
  BackgroundThread() = default;
  ~BackgroundThread();

  std::future<void> run(std::function<void()> work);  // what it throws is thrown by get()

 private:
  void loop();

  std::mutex mutex_;  // of the queue and `leaving_`
  std::condition_variable wake_;
  std::deque<std::packaged_task<void()>> queue_;
  bool leaving_ = false;
  std::thread thread_;
};

}  // namespace fovea
