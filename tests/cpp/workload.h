// What MXNet does, in small: describe an operation, create a primitive of it over memory objects,
// submit it. For the tests against the fake, where shapes mean nothing and pointers everything.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "fake_mkldnn.h"
#include "owned.h"
#include "stats.h"
#include "what.h"
#include "worker.h"

namespace workload {

struct Engine : Owned<mkldnn_engine_t, mkldnn_engine_destroy> {
  Engine() { CHECK_OK(mkldnn_engine_create(&handle, mkldnn_cpu, 0)); }
};

struct Described : Owned<mkldnn_primitive_desc_t, mkldnn_primitive_desc_destroy> {
  using Owned::Owned;
  Described(mkldnn_engine_t engine, What what, int n) {
    CHECK_OK(describe(engine, what, n, &handle));
    REQUIRE(handle != nullptr);
  }
  Described(mkldnn_engine_t engine, const operation::OpDesc &d,
            const_mkldnn_primitive_desc_t hint = nullptr,
            const_mkldnn_primitive_attr_t attr = nullptr) {
#ifdef API1
    CHECK_OK(mkldnn_primitive_desc_create(&handle, &d, attr, engine, hint));
#else
    CHECK_OK(attr == nullptr ? mkldnn_primitive_desc_create(&handle, &d, engine, hint)
                             : mkldnn_primitive_desc_create_v2(&handle, &d, attr, engine, hint));
#endif
    REQUIRE(handle != nullptr);
  }
#ifndef API1
  // Of memory.
  Described(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md) {
    CHECK_OK(mkldnn_memory_primitive_desc_create(&handle, &md, engine));
  }
#endif
  static Described clone_of(const_mkldnn_primitive_desc_t pd) {
    Described clone;
    CHECK_OK(mkldnn_primitive_desc_clone(&clone.handle, pd));
    return clone;
  }
};

struct Iterator : Owned<mkldnn_primitive_desc_iterator_t, mkldnn_primitive_desc_iterator_destroy> {
  Iterator() {}
  Iterator(mkldnn_engine_t engine, const operation::OpDesc &d,
           const_mkldnn_primitive_attr_t attr = nullptr) {
    CHECK_OK(create(engine, d, attr));
  }
  mkldnn_status_t create(mkldnn_engine_t engine, const operation::OpDesc &d,
                         const_mkldnn_primitive_attr_t attr = nullptr) {
#ifdef API1
    return mkldnn_primitive_desc_iterator_create(&handle, &d, attr, engine, nullptr);
#else
    return attr == nullptr
               ? mkldnn_primitive_desc_iterator_create(&handle, &d, engine, nullptr)
               : mkldnn_primitive_desc_iterator_create_v2(&handle, &d, attr, engine, nullptr);
#endif
  }
  mkldnn_status_t next() const { return mkldnn_primitive_desc_iterator_next(handle); }
  Described fetch() const { return Described(mkldnn_primitive_desc_iterator_fetch(handle)); }
};

// The digest of what a primitive was made of.
inline uint64_t content_behind(const_mkldnn_primitive_t primitive) {
  const_mkldnn_primitive_desc_t pd = nullptr;
  CHECK_OK(mkldnn_primitive_get_primitive_desc(primitive, &pd));
  return fake_content(pd);
}
// The digest that an execution of such an operation leaves in the fake's log.
inline uint64_t content(mkldnn_engine_t engine, What what, int n) {
  mkldnn_primitive_desc_t pd = nullptr;
  CHECK_OK(describe(engine, what, n, &pd, true));
  const uint64_t digest = fake_content(pd);
  api::direct().primitive_desc_destroy(pd);
  return digest;
}

// The newest of this thread's executions.
inline FakeExecution last_execution() { return fake_execution(fake_executions() - 1); }

// Distinct addresses, never read or written.
inline char *buffer(int i) {
  static char bytes[1 << 20];
  return bytes + 16 * i;
}

}  // namespace workload

#ifdef API1
#include "bound1.h"
#else
#include "bound.h"
#endif

namespace workload {

// A descriptor and a primitive of it that come and go together, on whichever threads.
struct Pair {
  void make(mkldnn_engine_t engine, What what, int n, int first) {
    pd = Described(engine, what, n);
    bound = std::make_unique<Bound>(engine, pd, first);
  }
  void reset() {
    bound.reset();
    pd.reset();
  }
  Bound *operator->() const { return bound.get(); }
  Described pd;
  std::unique_ptr<Bound> bound;
};

// No object of an operation, at the fake.
inline void check_none_lives() {
  CHECK_EQ(fake_live(kFakePrimitive), 0);
  CHECK_EQ(fake_live(kFakeDescriptor), 0);
}

// Describe, create, run, destroy: one call of an operator.
inline void call(mkldnn_engine_t engine, What what, int n, int first = 0) {
  const Described described(engine, what, n);
  Bound bound(engine, described, first);
  bound.run();
}
// The same call of ReLU's backward pass three times.
inline void call_three_times() {
  const Engine engine;
  for (int round = 0; round < 3; ++round) call(engine, kReluBackward, 4);
}
// The same, and it executes what it should.
inline void call_right(mkldnn_engine_t engine, What what, int n, int first = 0) {
  call(engine, what, n, first);
  CHECK_TEXT(last_execution().content == content(engine, what, n), name_of(what) << " " << n);
}
// How many real primitives it creates.
inline long primitives_made_by(const std::function<void()> &f) {
  const long before = fake_created(kFakePrimitive);
  f();
  return fake_created(kFakePrimitive) - before;
}
inline long made_by_call(mkldnn_engine_t engine, What what, int n, int first = 0) {
  return primitives_made_by([&] { call(engine, what, n, first); });
}
inline long descriptors_made_by(const std::function<void()> &f) {
  const long before = fake_created(kFakeDescriptor);
  f();
  return fake_created(kFakeDescriptor) - before;
}
// The same of a description alone, and of a primitive of a descriptor that is run.
inline long made_by_describing(mkldnn_engine_t engine, What what, int n) {
  return descriptors_made_by([&] { Described(engine, what, n); });
}
inline long made_by_running(mkldnn_engine_t engine, const_mkldnn_primitive_desc_t pd,
                            int first = 0) {
  return primitives_made_by([&] { Bound(engine, pd, first).run(); });
}
// All of these sizes, and less than `end`.
inline void call_all(mkldnn_engine_t engine, What what, int n, int end) {
  for (; n < end; ++n) call(engine, what, n);
}
// Everything is a miss, and right; nothing of it is kept.
inline void keeps_nothing(mkldnn_engine_t engine) {
  for (int round = 0; round < 3; ++round) {
    for (const What what : known_kinds()) {
      CHECK_EQ(primitives_made_by([&] { call_right(engine, what, 4, 10 * round); }), 1);
      check_none_lives();
    }
  }
}
inline std::vector<Described> described(mkldnn_engine_t engine, What what, int n, int end) {
  std::vector<Described> all;
  for (; n < end; ++n) all.emplace_back(engine, what, n);
  return all;
}

// Ten that are live under a bound, half of whose descriptors nobody else holds: all run right while
// others come and go. `last` is called while they live.
inline void live_ones_stay(mkldnn_engine_t engine, const std::function<void()> &last) {
  std::vector<Described> all = described(engine, kReluBackward, 4, 14);
  std::vector<Bound> live;
  for (int i = 0; i < 10; ++i) live.emplace_back(engine, all[static_cast<size_t>(i)], 100 * i);
  for (size_t i = 0; i < 5; ++i) all[i].reset();
  for (int round = 0; round < 2; ++round) {
    call_all(engine, kReluBackward, 30, 40);
    for (size_t i = 0; i < live.size(); ++i) {
      const uint64_t expected = content(engine, kReluBackward, 4 + static_cast<int>(i));
      live[i].run(expected);
      CHECK_EQ(content_behind(live[i]), expected);
    }
  }
  CHECK(fake_live(kFakePrimitive) >= 10);
  last();
}

// Runs f on a thread and waits for its end, when that thread's part of the cache is gone too.
inline void on_thread(const std::function<void()> &f) { std::thread(f).join(); }

// Nothing was done wrong with the fake; and nothing is left at it.
inline void check_no_misuse() { CHECK_TEXT(fake_misuses() == 0, fake_misuse()); }
inline void check_all_gone() {
  check_no_misuse();
  CHECK_EQ(std::string(fake_left()), "");
  CHECK_EQ(fake_live(kFakeEngine), 0);
}

// What holds when all threads that used the library have ended, or nothing is idle on any.
inline void check_end() {
  check_all_gone();
  CHECK_EQ(fake_foreign_destroys(), 0);
  const Stats stats;
  for (const char *field :
       {"totals/live_primitives", "totals/idle_primitives", "totals/descriptors",
        "memory/live_bytes", "memory/idle_bytes", "memory/descriptor_bytes"}) {
    CHECK_TEXT(stats[field] == 0, field << " " << stats[field]);
  }
}

// Runs f on a thread with an engine that outlives it. Then nothing is left, and nothing was wrong.
inline void with_engine(const std::function<void(mkldnn_engine_t)> &f) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] { f(engine); });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_end();
}

// Scopes that are none, and the word in them that is none.
const struct {
  const char *text, *word;
} kWrongScopes[] = {
    {"bakward", "bakward"},       {"lrn,relu", "relu"},   {"lrn,", ""},   {",lrn", ""},
    {"lrn, sum", " sum"},         {"all ", "all "},       {"All", "All"}, {"off,lrn", "off"},
    {"backward,lrn", "backward"}, {"lrn;sum", "lrn;sum"}, {"1", "1"}};

inline void set_scope(const char *text) { CHECK_EQ(mkldnn_opcache_set_scope(text, nullptr, 0), 0); }
inline void set_capacity(size_t n) { CHECK_EQ(mkldnn_opcache_set_capacity(n), 0); }

// A test of the library before the fake, with_engine.
#define CACHED_TEST(name, ...)                                                \
  static void cached_##name(mkldnn_engine_t engine);                          \
  TEST(name, ASSUME, ##__VA_ARGS__) { workload::with_engine(cached_##name); } \
  static void cached_##name([[maybe_unused]] mkldnn_engine_t engine)
#define CACHED_SCENE(name)                              \
  static void cached_##name(mkldnn_engine_t engine);    \
  SCENE(name) { workload::with_engine(cached_##name); } \
  static void cached_##name([[maybe_unused]] mkldnn_engine_t engine)

inline void with_workers(const std::function<void(mkldnn_engine_t, Worker &, Worker &)> &f) {
  Engine engine;
  {
    Worker a, b;
    f(engine, a, b);
  }
  mkldnn_opcache_clear();  // what is left is this thread's
  engine.reset();
  check_end();
}

// A test with an engine and two threads, which end before it; what is one thread's is destroyed by
// no other.
#define WORKER_TEST(name, ...)                                                                  \
  static void workers_##name(mkldnn_engine_t engine, workload::Worker &a, workload::Worker &b); \
  TEST(name, ASSUME, ##__VA_ARGS__) { workload::with_workers(workers_##name); }                 \
  static void workers_##name([[maybe_unused]] mkldnn_engine_t engine,                           \
                             [[maybe_unused]] workload::Worker &a,                              \
                             [[maybe_unused]] workload::Worker &b)

// The same function of the library beneath; nullptr when it has none.
inline void *beneath(const char *function) {
  static void *const handle = dlopen(MKLDNN_LIBRARY, RTLD_NOLOAD | RTLD_LAZY);
  REQUIRE(handle != nullptr);
  return dlsym(handle, function);
}

}  // namespace workload
