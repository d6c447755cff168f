// Fork: the child goes on with the one thread it has, whatever the others were doing.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

#include "opcache.h"
#include "workload.h"

using namespace workload;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

namespace {

const int kChildSeconds = 10;  // a child takes milliseconds: what is alive then, hangs

// Runs f in a forked child, which must pass its checks and not hang.
void in_child(const std::function<void()> &f) {
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(kChildSeconds);
    const int before = check::failures();
    f();
    _exit(check::failures() > before ? 1 : 0);
  }
  int status = 0;
  REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK_EQ(status, 0);
}

// ThreadSanitizer cannot start threads in a forked child.
void on_thread_of_child(const std::function<void()> &f) {
#ifdef __SANITIZE_THREAD__
  f();
#else
  on_thread(f);
#endif
}

void work(mkldnn_engine_t engine) {
  for (int round = 0; round < 3; ++round) {
    for (int what = 0; what < kShuffle; ++what) {
      const What w = static_cast<What>(what);
      const Described pd(engine, w, 4 + round % 2);
      Bound bound(engine, pd.pd, 10 * round);
      bound.run(content(engine, w, 4 + round % 2));
    }
  }
  check_no_misuse();
}

// Several threads that hold live and idle primitives and wait.
struct Crowd {
  explicit Crowd(mkldnn_engine_t engine) : ready(0), stop(false) {
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([this, engine, i] {
        work(engine);
        const Described pd(engine, kReluBackward, 4);
        Bound live(engine, pd.pd, 100 * i);
        live.run();
        ++ready;
        while (!stop.load()) std::this_thread::yield();
        live.run();
      });
    }
    while (ready.load() < 3) std::this_thread::yield();
  }
  ~Crowd() {
    stop = true;
    for (std::thread &t : threads) t.join();
  }
  std::atomic<int> ready;
  std::atomic<bool> stop;
  std::vector<std::thread> threads;
};

}  // namespace

TEST(child_works_on, ASSUME) {
  Engine engine;
  {
    Crowd crowd(engine.handle);
    work(engine.handle);
    in_child([&] {
      // What this thread had is still there.
      CHECK_EQ(primitives_made_by([&] { call(engine.handle, kReluBackward, 4); }), 0);
      work(engine.handle);
      on_thread_of_child([&] { work(engine.handle); });
      CHECK_EQ(Stats()["threads"], 1);
    });
    in_child([&] { in_child([&] { work(engine.handle); }); });
    work(engine.handle);
  }
  work(engine.handle);
  check_no_misuse();
}

// The forking thread may be one that never used MKL-DNN.
TEST(fork_from_a_thread_without_a_cache, ASSUME) {
  Engine engine;
  Crowd crowd(engine.handle);
  in_child([&] {
    work(engine.handle);
    CHECK_EQ(Stats()["threads"], 1);
  });
}

// What other threads held when the process forked is the child's to release.
TEST(child_releases_what_others_made, ASSUME) {
  Engine engine;
  std::unique_ptr<Described> pd;
  std::unique_ptr<Bound> bound;
  std::atomic<bool> made(false), stop(false);
  std::thread other([&] {
    pd = std::make_unique<Described>(engine.handle, kReluBackward, 4);
    bound = std::make_unique<Bound>(engine.handle, pd->pd, 0);
    made = true;
    while (!stop.load()) std::this_thread::yield();
  });
  while (!made.load()) std::this_thread::yield();
  in_child([&] {
    bound->run(content(engine.handle, kReluBackward, 4));
    Bound(engine.handle, pd->pd, 50).run(content(engine.handle, kReluBackward, 4));
    bound.reset();
    pd.reset();
    work(engine.handle);
  });
  stop = true;
  other.join();
  bound->run(content(engine.handle, kReluBackward, 4));
  bound.reset();
  pd.reset();
  check_no_misuse();
}

// A child of a parent that was full has room of its own.
TEST(child_of_a_full_parent_caches, ASSUME, "MKLDNN_OPCACHE_CAPACITY=30") {
  Engine engine;
  std::atomic<bool> full(false), stop(false);
  std::thread other([&] {
    for (int n = 4; n < 60; ++n) call(engine.handle, kReluBackward, n);
    full = true;
    while (!stop.load()) std::this_thread::yield();
  });
  while (!full.load()) std::this_thread::yield();
  in_child([&] {
    for (int round = 0; round < 2; ++round) {
      for (int n = 4; n < 8; ++n) {
        CHECK_EQ(primitives_made_by([&] { call(engine.handle, kReluBackward, n); }),
                 round == 0 ? 1 : 0);
      }
    }
    const Stats stats;
    CHECK_EQ(stats["totals/idle_primitives"], 4);
    CHECK_EQ(stats["totals/live_primitives"], 0);
  });
  stop = true;
  other.join();
}

namespace {

void fork_beside_work() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  printf("fork beside work: the sanitizer's own allocator does not survive it: skipped\n");
  return;
#endif
  Engine engine;
  work(engine.handle);  // what the tests make once is made before the first fork
  std::atomic<bool> stop(false);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; !stop.load(); ++n) {
        on_thread([&] {
          call(engine.handle, kReluBackward, 4 + (n + i) % 5);
          call(engine.handle, kConvolutionBackwardWeights, 4 + n % 3);
        });
      }
    });
  }
  // Reports hold locks longer than calls do.
  threads.emplace_back([&] {
    while (!stop.load()) const Stats stats;
  });
  // Until the first that fails: one that hangs takes its time.
  const int before = check::failures();
  for (int i = 0; i < 250 && check::failures() == before; ++i) {
    in_child([&] {
      call(engine.handle, kReluBackward, 4);
      call(engine.handle, kPoolingBackward, 4);
      if (i % 10 == 0) on_thread_of_child([&] { call(engine.handle, kReluBackward, 5); });
      const Stats stats;
    });
  }
  stop = true;
  for (std::thread &t : threads) t.join();
  check_no_misuse();
}

}  // namespace

// Forks at any moment of other threads' work, a thousand times in all: no lock may stay behind in
// the child. What chance brings about; below, every lock in turn.
TEST(fork_beside_work, ASSUME) { fork_beside_work(); }
TEST(fork_beside_evictions, ASSUME, "MKLDNN_OPCACHE_CAPACITY=6") { fork_beside_work(); }
TEST(fork_beside_misses, ASSUME, "MKLDNN_OPCACHE_CAPACITY=1") { fork_beside_work(); }
TEST(fork_beside_bypasses, ASSUME, "MKLDNN_OPCACHE=off") { fork_beside_work(); }

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

// Makes one thread stop right after the library took its nth lock on it, until another thread finds
// a lock taken or lets it go on.
struct LockWatch {
  std::atomic<long> until{-1};  // locks still to pass over; negative: none is awaited
  std::atomic<bool> holds{false}, waited_for{false}, go_on{false};
};
LockWatch g_watch;
thread_local bool t_watched = false;

bool in_the_library(const void *code) {
  Dl_info info;
  return dladdr(code, &info) != 0 && strstr(info.dli_fname, "libmkldnn_opcache") != nullptr;
}

}  // namespace

// In place of the C library's, for the library under test as well.
extern "C" int pthread_mutex_lock(pthread_mutex_t *mutex) {
  typedef int (*Lock)(pthread_mutex_t *);
  static std::atomic<Lock> real{nullptr};  // a static with a guard would lock
  Lock lock = real.load();
  if (lock == nullptr) {
    lock = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
    real = lock;
  }
  if (!t_watched && !g_watch.holds.load()) return lock(mutex);
  if (!in_the_library(__builtin_return_address(0))) return lock(mutex);
  if (!t_watched) {
    if (pthread_mutex_trylock(mutex) == 0) return 0;
    g_watch.waited_for = true;
    g_watch.go_on = true;
    return lock(mutex);
  }
  const int status = lock(mutex);
  if (g_watch.until.fetch_sub(1) == 0) {
    g_watch.holds = true;
    while (!g_watch.go_on.load()) std::this_thread::yield();
    g_watch.holds = false;
  }
  return status;
}

namespace {

// In shadow mode, too, where more is executed than was asked for.
void use(mkldnn_engine_t engine, What what, int n) {
  const Described pd(engine, what, n);
  Bound(engine, pd.pd, 0).execute();
}

void use_all(mkldnn_engine_t engine) {
  for (int what = 0; what < kShuffle; ++what) use(engine, static_cast<What>(what), 4);
}

// From a thread's first call to its end.
void *watched_work(void *engine_handle) {
  t_watched = true;
  const mkldnn_engine_t engine = static_cast<mkldnn_engine_t>(engine_handle);
  use(engine, kReluBackward, 4);
  use(engine, kConvolutionBackwardWeights, 5);
  const auto release = [](std::unique_ptr<Bound> &bound) {
    t_watched = true;
    bound.reset();
  };
  const Described pd(engine, kPoolingBackward, 6);
  auto bound = std::make_unique<Bound>(engine, pd.pd, 0);
  on_thread([&] { release(bound); });  // of another thread
  on_thread([&] { bound = std::make_unique<Bound>(engine, pd.pd, 0); });
  release(bound);  // of a thread that has ended
  const Stats stats;
  mkldnn_opcache_set_capacity(1000);
  return nullptr;
}

// A fork while another thread holds a lock, for every lock that its work takes: the fork must wait
// for it, and the child must find none taken.
void fork_beside_each_lock() {
  Engine engine;
  use_all(engine.handle);
  long locks = 0;
  for (const int before = check::failures(); check::failures() == before; ++locks) {
    g_watch.until = locks;
    g_watch.waited_for = false;
    g_watch.go_on = false;
    pthread_t other;
    REQUIRE(pthread_create(&other, nullptr, watched_work, engine.handle) == 0);
    bool ended = false;
    while (!ended && !g_watch.holds.load()) {
      ended = pthread_tryjoin_np(other, nullptr) == 0;
    }
    if (ended) break;
    in_child([&] {
      use_all(engine.handle);
      on_thread([&] { use_all(engine.handle); });
      const Stats stats;
      mkldnn_opcache_set_capacity(2000);
    });
    CHECK_TEXT(g_watch.waited_for.load(), "the fork did not wait for lock " << locks);
    g_watch.go_on = true;
    REQUIRE(pthread_join(other, nullptr) == 0);
  }
  CHECK_TEXT(locks > 20, locks);
  check_no_misuse();
}

}  // namespace

TEST(fork_beside_each_lock, ASSUME) { fork_beside_each_lock(); }
TEST(fork_beside_each_lock_of_misses, ASSUME, "MKLDNN_OPCACHE_CAPACITY=1") {
  fork_beside_each_lock();
}
TEST(fork_beside_each_lock_of_shadows, ASSUME, "MKLDNN_OPCACHE_SHADOW=1") {
  fork_beside_each_lock();
}

#endif
