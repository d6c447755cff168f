// What the fake MKL-DNN keeps: its objects and whether they live, counts, and the failures it was
// asked for. One lock guards everything; it is never held while calling an exported function, where
// the library under test may stand in between.
#pragma once

#include <sched.h>

#include <atomic>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fake_mkldnn.h"

namespace fake {

// A lock that ThreadSanitizer does not see in this library, which is compiled without it: were
// every call of the fake a synchronisation, no race of the library under test would ever show.
class SpinLock {
 public:
  void lock() {
    while (taken_.test_and_set(std::memory_order_acquire)) sched_yield();
  }
  void unlock() { taken_.clear(std::memory_order_release); }

 private:
  std::atomic_flag taken_ = ATOMIC_FLAG_INIT;
};

// What opens every object: of a stream or an iterator this is what tells it from the library's own.
struct Object {
  explicit Object(FakeType type) : tag(static_cast<size_t>(type) + 1) {}
  // A copy has none of the original's growth.
  Object(const Object &other) : tag(other.tag) {}
  Object &operator=(const Object &) { return *this; }
  size_t tag;
  void *growth = nullptr;  // what fake_grow asked for
};

struct Engine : Object {
  Engine() : Object(kFakeEngine) {}
  long number = 0;  // of those created so far: stands for it in digests, as its address may not
};

struct PostOp {
  mkldnn_primitive_kind_t kind;
  float scale;
  mkldnn_alg_kind_t alg;
  float alpha;
  float beta;
};

struct PostOps : Object {
  PostOps() : Object(kFakePostOps) {}
  std::vector<PostOp> ops;
};

struct Attr : Object {
  Attr() : Object(kFakeAttr) {}
#ifdef API1
  mkldnn_scratchpad_mode_t mode = mkldnn_scratchpad_mode_library;
  std::vector<float> rnn;  // what the functions for RNNs set, which none reads
#else
  mkldnn_round_mode_t mode = mkldnn_round_nearest;
#endif
  int mask = 0;
  std::vector<float> scales = {1.0f};
  PostOps post_ops;
};

// The layouts that a descriptor settled on, each a memory descriptor of its own.
enum Role { kSrc, kWeights, kBias, kDst, kWorkspace, kRoles };

struct Descriptor : Object {
  Descriptor() : Object(kFakeDescriptor) {}
  int kind = 0;
  Engine *engine = nullptr;
  uint64_t content = 0;
  std::string implementation;
  int inputs = 0;
  int outputs = 0;
  std::vector<char> op_desc;
  Attr attr;
  mkldnn_memory_desc_t md = {};  // of a memory or a view
  Descriptor *roles[kRoles] = {};
};

struct Primitive : Object {
  Primitive() : Object(kFakePrimitive) {}
  Descriptor *descriptor = nullptr;  // a copy of the one it was made of
  void *handle = nullptr;            // of a memory object
  std::thread::id creator;
#ifndef API1
  std::vector<mkldnn_primitive_at_t> inputs;
  std::vector<const_mkldnn_primitive_t> outputs;
#endif
};

struct Iterator : Object {
  Iterator() : Object(kFakeIterator) {}
  const void *op_desc = nullptr;  // the caller's: must stay valid, as with the real one
  Attr attr;
  Engine *engine = nullptr;
  const Descriptor *hint = nullptr;
  int position = 0;
};

struct Stream : Object {
  Stream() : Object(kFakeStream) {}
  bool lazy = false;
  bool open = true;      // until the first wait
  bool stopped = false;  // between wait and rerun
  std::vector<Primitive *> submitted;
};

// Of the OpenMP runtime: in front of the fake's own there may be another.
extern "C" int omp_get_max_threads();
extern "C" int omp_in_parallel();
extern thread_local bool t_asking;  // the fake itself, which is not counted

class State {
 public:
  static State &get();

  // Counts a call; the status it is to fail with, or mkldnn_success.
  mkldnn_status_t enter(const char *function);

  // A new live object, counted as `type`; kFakeTypes: not counted, part of another object.
  template <class T>
  T *make(FakeType type) {
    static std::vector<void *> *const dead = new std::vector<void *>;
    T *t = new (allocate(sizeof(T), dead)) T;
    born(t, type, dead);
    if (growth[type] > 0) t->growth = ::operator new(growth[type]);
    return t;
  }
  template <class T>
  void destroy(T *t) {
    ::operator delete(t->growth);
    t->~T();
    died(t);
  }
  // `handle` when it is a live object counted as `a` or `b`; nullptr, and a misuse, when it is not.
  template <class T, class Handle>
  T *check(const char *function, Handle handle, FakeType a, FakeType b) {
    void *object = const_cast<void *>(static_cast<const void *>(handle));
    return static_cast<T *>(checked(function, object, a, b));
  }
  FakeType type_of(const void *object) const;
  void misuse(const std::string &text);

  SpinLock mutex;
  std::atomic<int> max_threads{4}, in_parallel{0};
  int implementations = 3;
  bool reuse = false;
  bool scratchpads = false;
  std::atomic<bool> calls_back{false};
  std::atomic<void (*)()> on_primitive_create{nullptr};
  long foreign_destroys = 0;
  long zero_paddings = 0;
  long created[kFakeTypes + 1] = {};
  long live[kFakeTypes + 1] = {};
  size_t growth[kFakeTypes + 1] = {};
  std::map<std::string, long> calls;
  long misuses = 0;
  std::string first_misuse;
  struct {
    std::string function;
    long countdown;  // 0: none
    bool for_good;
    mkldnn_status_t status;
  } failure = {"", 0, false, mkldnn_success};
  long failures = 0;

 private:
  // Memory is never given back: a handle stays recognisable after its object died.
  struct Record {
    FakeType type;
    bool alive;
    std::thread::id creator;
    std::vector<void *> *dead;  // where its memory waits for reuse
  };
  void *allocate(size_t bytes, std::vector<void *> *dead);
  void born(void *object, FakeType type, std::vector<void *> *dead);
  void died(void *object);
  void *checked(const char *function, void *object, FakeType a, FakeType b);

  std::unordered_map<const void *, Record> records_;
};

// The real library's count of a thread's primitives that share its scratchpad: one is freed when as
// many were destroyed on the thread as were created there. To be called with each creation,
// destruction and execution; a misuse where there is none.
void count_scratchpad(Primitive *p);
void uncount_scratchpad(const Primitive &p);
void need_scratchpad(const Primitive &p);

// Adds to the calling thread's log.
void log_execution(const FakeExecution &execution);

// Whether a layout can be read at all.
bool sane(const mkldnn_memory_desc_t &md);

// Whether there is such an operation.
bool is_described(const void *op_desc);
// A descriptor of implementation number `position`; nullptr when the operation has no such kind.
Descriptor *describe(const void *op_desc, const Attr *attr, Engine *engine, const Descriptor *hint,
                     int position);
Descriptor *describe_memory(const mkldnn_memory_desc_t &md, Engine *engine, int kind,
                            FakeType type);
Descriptor *describe_reorder(const Descriptor &input, const Descriptor &output, const Attr *attr);
// scales: of a sum, else nullptr; dimension: of a concat.
Descriptor *describe_many(int kind, const mkldnn_memory_desc_t *output, int n, const float *scales,
                          int dimension, const std::vector<const Descriptor *> &inputs,
                          const Attr *attr);
// An independent copy, its layouts included.
Descriptor *copy(const Descriptor &d, FakeType type);
void destroy(Descriptor *d);

#ifndef API1
bool has_padding(const mkldnn_memory_desc_t &md);
#endif

// mkldnn_memory_desc_init, for callers that hold the lock.
mkldnn_status_t init_memory(mkldnn_memory_desc_t *result, int ndims, const Dim *dims,
                            mkldnn_data_type_t data_type, Format format);

typedef std::lock_guard<SpinLock> Lock;

}  // namespace fake
