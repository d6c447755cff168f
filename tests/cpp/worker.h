// A thread for tests that need to know which thread does what.
#ifndef OPCACHE_TESTS_WORKER_H_
#define OPCACHE_TESTS_WORKER_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace workload {

// Does what it is told, one thing after the other, and lives in between.
class Worker {
 public:
  Worker() : stop_(false), thread_([this] { loop(); }) {}
  ~Worker() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  // Runs f on the thread and waits until it is done.
  void run(const std::function<void()> &f) {
    std::unique_lock<std::mutex> lock(mutex_);
    job_ = f;
    changed_.notify_all();
    changed_.wait(lock, [&] { return job_ == nullptr; });
  }

 private:
  void loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return job_ != nullptr || stop_; });
      if (job_ == nullptr) return;
      job_();
      job_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;
  bool stop_;
  std::thread thread_;
};

}  // namespace workload

#endif  // OPCACHE_TESTS_WORKER_H_
