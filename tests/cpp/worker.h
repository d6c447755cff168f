// Threads for tests that need to know which thread does what, or that others do something.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

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

// Threads that do f(number of the thread, 0), f(number, 1) and so on until it ends.
class Beside {
 public:
  Beside(int threads, const std::function<void(int, int)> &f) : stop_(false) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this, f, i] {
        for (int n = 0; !stop_.load(); ++n) f(i, n);
      });
    }
  }
  ~Beside() {
    stop_ = true;
    for (std::thread &thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_;
  std::vector<std::thread> threads_;
};

}  // namespace workload
