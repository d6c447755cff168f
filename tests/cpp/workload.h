// What MXNet does, in small: describe an operation, create a primitive of it over memory objects,
// submit it. For the tests against the fake, where shapes mean nothing and pointers everything.
#ifndef OPCACHE_TESTS_WORKLOAD_H_
#define OPCACHE_TESTS_WORKLOAD_H_

#include <mkldnn.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "fake_mkldnn.h"
#include "operation.h"
#include "owned.h"
#include "stats.h"
#include "worker.h"

namespace workload {

enum What {
  kReluForward,
  kReluBackward,
  kBatchNormForward,
  kBatchNormBackward,
  kConvolutionForward,
  kConvolutionBackwardData,
  kConvolutionBackwardWeights,
  kDeconvolutionForward,  // MKL-DNN's own kind, which MXNet does not use
  kInnerProductBackwardData,
  kInnerProductBackwardWeights,
  kLrnBackward,
  kPoolingBackward,
  kSoftmax,
  kReorder,
  kSum,
  kConcat,
  kShuffle,  // a kind that the library does not know
  kWhats,
};
// The name under which the library counts it.
const char *name_of(What what);
// All but the shuffle.
const std::vector<What> &known_kinds();

struct Engine : Owned<mkldnn_engine_t, mkldnn_engine_destroy> {
  Engine() { CHECK_OK(mkldnn_engine_create(&handle, mkldnn_cpu, 0)); }
};

// A one-dimensional layout, and one of four dimensions.
mkldnn_memory_desc_t line(int n);
mkldnn_memory_desc_t image(int n, mkldnn_memory_format_t format = mkldnn_nchw);

// What describes it, and its forward pass, in size `n`.
operation::Operation operation_of(What what, int n);
operation::OpDesc op_desc(What what, int n);

// A descriptor of operation `what` of size `n`: different sizes, different descriptions. A backward
// one makes its forward hint first and destroys it afterwards. `direct`: past the library.
mkldnn_status_t describe(mkldnn_engine_t engine, What what, int n, mkldnn_primitive_desc_t *result,
                         bool direct = false);

struct Described : Owned<mkldnn_primitive_desc_t, mkldnn_primitive_desc_destroy> {
  using Owned::Owned;
  Described(mkldnn_engine_t engine, What what, int n);
  Described(mkldnn_engine_t engine, const operation::OpDesc &d,
            const_mkldnn_primitive_desc_t hint = nullptr,
            const_mkldnn_primitive_attr_t attr = nullptr);
  // Of memory.
  Described(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md);
  static Described clone_of(const_mkldnn_primitive_desc_t pd);
};

// The digest of what a primitive was made of.
uint64_t content_behind(const_mkldnn_primitive_t primitive);
// The digest that an execution of such an operation leaves in the fake's log.
uint64_t content(mkldnn_engine_t engine, What what, int n);

struct Primitive : Owned<mkldnn_primitive_t, mkldnn_primitive_destroy> {
  Primitive() {}
  // Over memory objects of others.
  Primitive(const_mkldnn_primitive_desc_t pd, const std::vector<mkldnn_primitive_at_t> &inputs,
            std::vector<const_mkldnn_primitive_t> outputs = {});
};

struct Memory : Primitive {
  Memory(mkldnn_engine_t engine, void *data) : Memory(engine, line(1), data) {}
  Memory(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md, void *data);
  Memory(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md);  // pointing nowhere
  void point_to(void *data) { CHECK_OK(mkldnn_memory_set_data_handle(handle, data)); }
  void *data() const;
};

// On an eager stream of its own.
void execute(mkldnn_primitive_t primitive);
// The newest of this thread's executions.
FakeExecution last_execution();

// Distinct addresses, never read or written.
char *buffer(int i);

// A primitive over memory objects of its own, whose data are at buffer(first), buffer(first + 1)
// ... inputs first.
struct Bound : Primitive {
  Bound(mkldnn_engine_t engine, const_mkldnn_primitive_desc_t pd, int first);
  Bound(Bound &&) = default;
  ~Bound() { reset(); }  // before its memory objects
  void execute() { workload::execute(handle); }
  // All of its data, to buffer(to) and on.
  void move_to(int to);
  // Executes and checks the log: its own data, and the content if not 0.
  void run(uint64_t content = 0);
  void check_log(int first, uint64_t content = 0) const;

  std::vector<Memory> memories;
  std::vector<mkldnn_primitive_at_t> inputs;
  std::vector<const_mkldnn_primitive_t> outputs;
  int first;
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

// Describe, create, run, destroy: one call of an operator.
void call(mkldnn_engine_t engine, What what, int n, int first = 0);
// The same call of ReLU's backward pass three times.
void call_three_times();
// The same, and it executes what it should.
void call_right(mkldnn_engine_t engine, What what, int n, int first = 0);
// How many real primitives it creates.
long primitives_made_by(const std::function<void()> &f);
long made_by_call(mkldnn_engine_t engine, What what, int n, int first = 0);
long descriptors_made_by(const std::function<void()> &f);
// The same of a description alone, and of a primitive of a descriptor that is run.
long made_by_describing(mkldnn_engine_t engine, What what, int n);
long made_by_running(mkldnn_engine_t engine, const_mkldnn_primitive_desc_t pd, int first = 0);
// All of these sizes, and less than `end`.
void call_all(mkldnn_engine_t engine, What what, int n, int end);
std::vector<Described> described(mkldnn_engine_t engine, What what, int n, int end);

// Runs f on a thread and waits for its end, when that thread's part of the cache is gone too.
void on_thread(const std::function<void()> &f);

// Nothing is left at the fake, and nothing was done wrong with it.
void check_all_gone();
void check_no_misuse();

// Runs f on a thread with an engine that outlives it. Then nothing is left, and nothing was wrong.
void with_engine(const std::function<void(mkldnn_engine_t engine)> &f);

// A test of the library before the fake, with_engine.
#define CACHED_TEST(name, ...)                                                \
  static void cached_##name(mkldnn_engine_t engine);                          \
  TEST(name, ASSUME, ##__VA_ARGS__) { workload::with_engine(cached_##name); } \
  static void cached_##name([[maybe_unused]] mkldnn_engine_t engine)
#define CACHED_SCENE(name)                              \
  static void cached_##name(mkldnn_engine_t engine);    \
  SCENE(name) { workload::with_engine(cached_##name); } \
  static void cached_##name([[maybe_unused]] mkldnn_engine_t engine)

// A test with an engine and two threads, which end before it; what is one thread's is destroyed by
// no other.
#define WORKER_TEST(name, ...)                                                                  \
  static void workers_##name(mkldnn_engine_t engine, workload::Worker &a, workload::Worker &b); \
  TEST(name, ASSUME, ##__VA_ARGS__) { workload::with_workers(workers_##name); }                 \
  static void workers_##name([[maybe_unused]] mkldnn_engine_t engine,                           \
                             [[maybe_unused]] workload::Worker &a,                              \
                             [[maybe_unused]] workload::Worker &b)
void with_workers(const std::function<void(mkldnn_engine_t engine, Worker &a, Worker &b)> &f);

// The same function of the library beneath; nullptr when it has none.
void *beneath(const char *function);

}  // namespace workload

#endif  // OPCACHE_TESTS_WORKLOAD_H_
