// What MXNet does, in small: describe an operation, create a primitive of it over memory objects,
// submit it. For the tests against the fake, where shapes mean nothing and pointers everything.
#pragma once

#include <mkldnn.h>

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
    CHECK_OK(attr == nullptr ? mkldnn_primitive_desc_create(&handle, &d, engine, hint)
                             : mkldnn_primitive_desc_create_v2(&handle, &d, attr, engine, hint));
    REQUIRE(handle != nullptr);
  }
  // Of memory.
  Described(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md) {
    CHECK_OK(mkldnn_memory_primitive_desc_create(&handle, &md, engine));
  }
  static Described clone_of(const_mkldnn_primitive_desc_t pd) {
    Described clone;
    CHECK_OK(mkldnn_primitive_desc_clone(&clone.handle, pd));
    return clone;
  }
};

struct Iterator : Owned<mkldnn_primitive_desc_iterator_t, mkldnn_primitive_desc_iterator_destroy> {
  Iterator(mkldnn_engine_t engine, const operation::OpDesc &d,
           const_mkldnn_primitive_attr_t attr = nullptr) {
    CHECK_OK(attr == nullptr
                 ? mkldnn_primitive_desc_iterator_create(&handle, &d, engine, nullptr)
                 : mkldnn_primitive_desc_iterator_create_v2(&handle, &d, attr, engine, nullptr));
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

struct Primitive : Owned<mkldnn_primitive_t, mkldnn_primitive_destroy> {
  Primitive() {}
  // Over memory objects of others.
  Primitive(const_mkldnn_primitive_desc_t pd, const std::vector<mkldnn_primitive_at_t> &inputs,
            std::vector<const_mkldnn_primitive_t> outputs = {}) {
    CHECK_OK(mkldnn_primitive_create(&handle, pd, inputs.data(), outputs.data()));
    REQUIRE(handle != nullptr);
  }
};

struct Memory : Primitive {
  Memory(mkldnn_engine_t engine, void *data) : Memory(engine, line(1), data) {}
  Memory(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md, void *data) : Memory(engine, md) {
    point_to(data);
  }
  // Pointing nowhere.
  Memory(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md) {
    const Described pd(engine, md);
    CHECK_OK(mkldnn_primitive_create(&handle, pd, nullptr, nullptr));
  }
  void point_to(void *data) { CHECK_OK(mkldnn_memory_set_data_handle(handle, data)); }
  void *data() const {
    void *data = nullptr;
    CHECK_OK(mkldnn_memory_get_data_handle(handle, &data));
    return data;
  }
};

struct Stream : Owned<mkldnn_stream_t, mkldnn_stream_destroy> {
  explicit Stream(mkldnn_stream_kind_t kind) { CHECK_OK(mkldnn_stream_create(&handle, kind)); }
  mkldnn_status_t try_submit(mkldnn_primitive_t p) {
    return mkldnn_stream_submit(handle, 1, &p, nullptr);
  }
  void submit(mkldnn_primitive_t p) { CHECK_OK(try_submit(p)); }
  void wait() { CHECK_OK(mkldnn_stream_wait(handle, 1, nullptr)); }
  void rerun() { CHECK_OK(mkldnn_stream_rerun(handle, nullptr)); }
};

// On an eager stream of its own.
inline void execute(mkldnn_primitive_t primitive) {
  Stream stream(mkldnn_eager);
  stream.submit(primitive);
  stream.wait();
}
// The newest of this thread's executions.
inline FakeExecution last_execution() { return fake_execution(fake_executions() - 1); }

// Distinct addresses, never read or written.
inline char *buffer(int i) {
  static char bytes[1 << 20];
  return bytes + 16 * i;
}

// A primitive over memory objects of its own, whose data are at buffer(first), buffer(first + 1)
// ... inputs first.
struct Bound : Primitive {
  Bound(mkldnn_engine_t engine, const_mkldnn_primitive_desc_t pd, int first_buffer)
      : first(first_buffer) {
    const int n_inputs = mkldnn_primitive_desc_query_s32(pd, mkldnn_query_num_of_inputs_s32, 0);
    const int n_outputs = mkldnn_primitive_desc_query_s32(pd, mkldnn_query_num_of_outputs_s32, 0);
    for (int i = 0; i < n_inputs + n_outputs; ++i) {
      memories.emplace_back(engine, buffer(first + i));
      if (i < n_inputs) {
        inputs.push_back({memories.back(), 0});
      } else {
        outputs.push_back(memories.back());
      }
    }
    CHECK_OK(mkldnn_primitive_create(&handle, pd, inputs.data(), outputs.data()));
    REQUIRE(handle != nullptr);
  }
  Bound(Bound &&) = default;
  ~Bound() { reset(); }  // before its memory objects
  void execute() { workload::execute(handle); }
  // All of its data, to buffer(to) and on.
  void move_to(int to) {
    for (Memory &memory : memories) memory.point_to(buffer(to++));
  }
  // Executes and checks the log: its own data, and the content if not 0.
  void run(uint64_t expected = 0) {
    const long before = fake_executions();
    execute();
    CHECK_EQ(fake_executions(), before + 1);
    check_log(first, expected);
  }
  void check_log(int first_buffer, uint64_t expected = 0,
                 const FakeExecution &e = last_execution()) const {
    CHECK_EQ(e.inputs, inputs.size());
    CHECK_EQ(e.outputs, outputs.size());
    for (int i = 0; i < e.inputs + e.outputs; ++i) CHECK_EQ(e.data[i], buffer(first_buffer + i));
    if (expected != 0) CHECK_EQ(e.content, expected);
  }

  std::vector<Memory> memories;
  std::vector<mkldnn_primitive_at_t> inputs;
  std::vector<const_mkldnn_primitive_t> outputs;
  int first;
};

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
  static void *const handle = dlopen("libmkldnn.so.0", RTLD_NOLOAD | RTLD_LAZY);
  REQUIRE(handle != nullptr);
  return dlsym(handle, function);
}

}  // namespace workload
