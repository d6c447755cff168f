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

namespace {

using check::in_child;

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
    for (const What w : known_kinds()) {
      const Described pd(engine, w, 4 + round % 2);
      Bound bound(engine, pd, 10 * round);
      bound.run(content(engine, w, 4 + round % 2));
    }
  }
  check_no_misuse();
}

// Several threads that hold live and idle primitives and wait.
struct Crowd {
  explicit Crowd(mkldnn_engine_t engine) {
    for (int i = 0; i < 3; ++i) {
      workers[i].run([&] {
        work(engine);
        live[i] = std::make_unique<Bound>(engine, Described(engine, kReluBackward, 4), 100 * i);
        live[i]->run();
      });
    }
  }
  ~Crowd() {
    for (int i = 0; i < 3; ++i) {
      workers[i].run([&] {
        live[i]->run();
        live[i].reset();
      });
    }
  }
  std::unique_ptr<Bound> live[3];
  Worker workers[3];
};

}  // namespace

TEST(child_works_on, ASSUME) {
  Engine engine;
  {
    Crowd crowd(engine);
    work(engine);
    in_child([&] {
      // What this thread had is still there.
      CHECK_EQ(made_by_call(engine, kReluBackward, 4), 0);
      work(engine);
      on_thread_of_child([&] { work(engine); });
      CHECK_EQ(Stats()["threads"], 1);
    });
    in_child([&] { in_child([&] { work(engine); }); });
    work(engine);
  }
  work(engine);
  check_no_misuse();
}

// The forking thread may be one that never used MKL-DNN.
TEST(fork_from_a_thread_without_a_cache, ASSUME) {
  Engine engine;
  Crowd crowd(engine);
  in_child([&] {
    work(engine);
    CHECK_EQ(Stats()["threads"], 1);
  });
}

// What other threads held when the process forked is the child's to release.
TEST(child_releases_what_others_made, ASSUME) {
  Engine engine;
  Pair relu;
  Worker other;
  other.run([&] { relu.make(engine, kReluBackward, 4, 0); });
  in_child([&] {
    relu->run(content(engine, kReluBackward, 4));
    Bound(engine, relu.pd, 50).run(content(engine, kReluBackward, 4));
    relu.reset();
    work(engine);
  });
  relu->run(content(engine, kReluBackward, 4));
  relu.reset();
  check_no_misuse();
}

// A child of a parent that was full has room of its own.
TEST(child_of_a_full_parent_caches, ASSUME, CAPACITY(30)) {
  Engine engine;
  Worker other;
  other.run([&] { call_all(engine, kReluBackward, 4, 60); });
  in_child([&] {
    for (int round = 0; round < 2; ++round) {
      for (int n = 4; n < 8; ++n) {
        CHECK_EQ(made_by_call(engine, kReluBackward, n), round == 0 ? 1 : 0);
      }
    }
    const Stats stats;
    CHECK_EQ(stats["totals/idle_primitives"], 4);
    CHECK_EQ(stats["totals/live_primitives"], 0);
  });
}

namespace {

void fork_beside_work() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  printf("fork beside work: the sanitizer's own allocator does not survive it: skipped\n");
  return;
#endif
  Engine engine;
  work(engine);  // what the tests make once is made before the first fork
  const Beside beside(2, [&](int i, int n) {
    on_thread([&] {
      call(engine, kReluBackward, 4 + (n + i) % 5);
      call(engine, kConvolutionBackwardWeights, 4 + n % 3);
    });
  });
  // Reports hold locks longer than calls do.
  const Beside reports(1, [](int, int) { const Stats stats; });
  // Until the first that fails: one that hangs takes its time.
  const int before = check::failures();
  for (int i = 0; i < 250 && check::failures() == before; ++i) {
    in_child([&] {
      call(engine, kReluBackward, 4);
      call(engine, kPoolingBackward, 4);
      if (i % 10 == 0) on_thread_of_child([&] { call(engine, kReluBackward, 5); });
      const Stats stats;
    });
  }
  check_no_misuse();
}

}  // namespace

// Forks at any moment of other threads' work, a thousand times in all: no lock may stay behind in
// the child. What chance brings about; below, every lock in turn.
TEST(fork_beside_work, ASSUME) { fork_beside_work(); }
TEST(fork_beside_evictions, ASSUME, CAPACITY(6)) { fork_beside_work(); }
TEST(fork_beside_misses, ASSUME, CAPACITY(1)) { fork_beside_work(); }
TEST(fork_beside_bypasses, ASSUME, SCOPE("off")) { fork_beside_work(); }

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
  if (!t_watched) {
    // All that the other thread holds is the library's. Where this call came from cannot be told:
    // it may be the last of its function, which is gone then.
    if (!g_watch.holds.load()) return lock(mutex);
    if (pthread_mutex_trylock(mutex) == 0) return 0;
    g_watch.waited_for = true;
    g_watch.go_on = true;
    return lock(mutex);
  }
  if (!in_the_library(__builtin_return_address(0))) return lock(mutex);
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
  Bound(engine, pd, 0).execute();
}

void use_all(mkldnn_engine_t engine) {
  for (const What what : known_kinds()) use(engine, what, 4);
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
  auto bound = std::make_unique<Bound>(engine, pd, 0);
  on_thread([&] { release(bound); });  // of another thread
  on_thread([&] { bound = std::make_unique<Bound>(engine, pd, 0); });
  release(bound);  // of a thread that has ended
  const Stats stats;
  mkldnn_opcache_set_capacity(1000);
  return nullptr;
}

// A fork while another thread holds a lock, for every lock that its work takes: the fork must wait
// for it, and the child must find none taken.
void fork_beside_each_lock() {
  Engine engine;
  use_all(engine);
  long locks = 0;
  for (const int before = check::failures(); check::failures() == before; ++locks) {
    g_watch.until = locks;
    g_watch.waited_for = false;
    g_watch.go_on = false;
    pthread_t other;
    REQUIRE(pthread_create(&other, nullptr, watched_work, engine) == 0);
    bool ended = false;
    while (!ended && !g_watch.holds.load()) {
      ended = pthread_tryjoin_np(other, nullptr) == 0;
    }
    if (ended) break;
    in_child([&] {
      use_all(engine);
      on_thread([&] { use_all(engine); });
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
TEST(fork_beside_each_lock_of_misses, ASSUME, CAPACITY(1)) { fork_beside_each_lock(); }
TEST(fork_beside_each_lock_of_shadows, ASSUME, SHADOW(1)) { fork_beside_each_lock(); }

#endif
