// Does each step in both worlds and compares everything that a caller can see: statuses, answers,
// what was executed on which data, handles that should not have been used any more. Legal use only
// (an object that is still needed is not destroyed), and calls with arguments that are wrong.
#pragma once

#include <array>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "api.h"
#include "fake_mkldnn.h"
#include "fuzz_describe.h"
#include "fuzz_steps.h"
#include "worker.h"

namespace fuzz {

// The two worlds: MKL-DNN through the library, and a second copy of the fake that nothing stands
// before. Both are reached through the same table of functions.

// What the fake tells of itself; X(name without the fake_ prefix)
// clang-format off
#define FUZZ_FAKE_FUNCTIONS(X) \
  X(call_back) X(content) X(created) X(execution) X(executions) X(foreign_destroys) \
  X(forget_executions) X(left) X(misuse) X(misuses) X(reuse_addresses) X(set_max_threads)
// clang-format on

struct World : api::Api {
  struct {
#define FUZZ_DECLARE(name) decltype(&fake_##name) name;
    FUZZ_FAKE_FUNCTIONS(FUZZ_DECLARE)
#undef FUZZ_DECLARE
  } fake;
};

const int kWorlds = 2;

inline World through_the_library() {
  World w;
  static_cast<api::Api &>(w) = api::through();
#define FUZZ_TAKE(name) w.fake.name = fake_##name;
  FUZZ_FAKE_FUNCTIONS(FUZZ_TAKE)
#undef FUZZ_TAKE
  return w;
}

inline World reference() {
  // Its own calls stay inside it: it is linked with -Bsymbolic.
  void *const library = dlopen("libmkldnn_reference.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fprintf(stderr, "fuzz: %s\n", dlerror());
    exit(2);
  }
  World w;
  static_cast<api::Api &>(w) = api::of_library(library);
#define FUZZ_TAKE(name) \
  w.fake.name = reinterpret_cast<decltype(w.fake.name)>(api::find(library, "fake_" #name));
  FUZZ_FAKE_FUNCTIONS(FUZZ_TAKE)
#undef FUZZ_TAKE
  return w;
}

// 0: through the library; 1: the reference. Ends the program when there is no reference.
inline const World &world(int which) {
  static const World worlds[kWorlds] = {through_the_library(), reference()};
  return worlds[which];
}

// A handle in each world.
template <class Handle>
struct Both {
  Handle at[kWorlds] = {};
  bool used() const { return at[0] != nullptr; }
};

class Twin {
 public:
  // alone: no other one runs beside it, so what the fakes count is its own doing.
  explicit Twin(bool alone = true);
  ~Twin();
  // Until the worlds differ or the steps end; then destroys all that is left. Once.
  void run(const Steps &steps);

  // In words, with the number of the step; empty when all was the same.
  const std::string &difference() const { return difference_; }
  // What is in the worlds although everything has been destroyed and all threads have ended; empty
  // when nothing is.
  static std::string left_over();
  // Steps that called something, by what they are.
  const std::array<long, kSteps> &done() const { return done_; }

 private:
  static const size_t kDescriptors = 20, kMemories = 14, kPrimitives = 12, kStreams = 4, kAttrs = 4,
                      kIterators = 3, kEngines = 2, kThreads = 3;

  struct Descriptor : Both<mkldnn_primitive_desc_t> {
    explicit Descriptor(int on = 0, bool of_memory = false, bool of_view = false)
        : engine(on), memory(of_memory), view(of_view) {}
    int engine;
    bool memory;
    bool view;
  };
  struct Object;
  typedef std::shared_ptr<Object> ObjectPtr;
  // A primitive or memory object. It may be destroyed before what was made over it.
  struct Object : Both<mkldnn_primitive_t> {
    bool alive = true;
    bool memory = false;
    bool view = false;
    bool cached = false;  // handed out by the library's cache
    int engine = 0;
    size_t thread = 0;
    long life = 0;  // of that thread
    std::vector<std::pair<ObjectPtr, size_t>> inputs;
    std::vector<ObjectPtr> outputs;
    bool runnable() const;
  };
  struct Stream : Both<mkldnn_stream_t> {
    bool lazy = false;
    bool stopped = false;  // between wait and rerun
    std::vector<ObjectPtr> submitted;
    bool runnable() const;
  };
  struct Iterator : Both<mkldnn_primitive_desc_iterator_t> {
    std::unique_ptr<OpDesc> op_desc;
    Descriptor hint;
    int engine = 0;
  };
  struct Attr : Both<mkldnn_primitive_attr_t> {};
  struct Engine : Both<mkldnn_engine_t> {};

  typedef const uint8_t *Args;
  // Each returns false when there was nothing to do it with.
#define FUZZ_DECLARE(name, weight) bool name(Args a);
  FUZZ_STEPS(FUZZ_DECLARE)
#undef FUZZ_DECLARE

  void go(const Steps &steps, size_t *next);
  void step(const Step &step);
  bool same() const { return difference_.empty(); }
  void differ(const std::string &what);
  void compare_executions();
  void finish();
  void destroy_everything();

  template <class T>
  void compare(const char *what, const T &cached, const T &reference) {
    if (cached == reference) return;
    std::ostringstream text;
    text << what << ": " << cached << " with the cache, " << reference << " without";
    differ(text.str());
  }
  // One call in each world; the status, which is the same.
  template <class Call>
  mkldnn_status_t both(const char *what, const Call &call) {
    mkldnn_status_t status[kWorlds];
    for (int w = 0; w < kWorlds; ++w) status[w] = call(world(w), w);
    compare(what, static_cast<int>(status[0]), static_cast<int>(status[1]));
    return status[1];
  }
#define BOTH(function, ...) \
  both(#function, [&](const World &w, int i) { return w.function(__VA_ARGS__); })
  // One question in each world, of which the answers are the same.
  template <class Question>
  void ask(const char *what, const Question &question) {
    compare(what, question(world(0), 0), question(world(1), 1));
  }
#define ASK(what, answer) ask(what, [&](const World &w, int i) { return answer; })
  // The first slot from `from` on, around the end, that is used and wanted; nullptr: none.
  template <class Slots, class Wanted>
  static auto pick(Slots &slots, uint8_t from, const Wanted &wanted) -> decltype(&slots[0]) {
    for (size_t i = 0; i < slots.size(); ++i) {
      auto &slot = slots[(from + i) % slots.size()];
      if (slot.used() && wanted(slot)) return &slot;
    }
    return nullptr;
  }
  template <class Slots>
  static auto pick(Slots &slots, uint8_t from) -> decltype(&slots[0]) {
    return pick(slots, from, [](const auto &) { return true; });
  }
// What there must be, or there is nothing to do a step with.
#define PICKED(name, ...)        \
  const auto name = __VA_ARGS__; \
  if (name == nullptr) return false
  int number_of(const Engine *engine) const { return static_cast<int>(engine - engines_.data()); }
  // One call in each world that makes a descriptor like `made`, which takes a slot.
  template <class Call>
  bool make(uint8_t slot, Descriptor made, const char *what, const Call &call) {
    if (both(what, [&](const World &w, int i) { return call(w, i, &made.at[i]); }) ==
        mkldnn_success) {
      compare_contents(what, made);
    }
    keep(slot, made);
    return true;
  }
#define MAKE(slot, made, what, call) \
  make(slot, made, what,             \
       [&](const World &w, [[maybe_unused]] int i, mkldnn_primitive_desc_t *pd) { return call; })
  template <class Call>
  bool make_of_many(Args a, size_t n, const char *what, const Call &call);
  ObjectPtr pick_object(const std::vector<ObjectPtr> &from, uint8_t first, bool runnable) const;

  void compare_contents(const char *what, const Both<const_mkldnn_primitive_desc_t> &pds);
  void compare_contents(const char *what, const Both<mkldnn_primitive_desc_t> &pds);
  // Takes the place of what is in the slot, which is destroyed.
  void keep(uint8_t slot, const Descriptor &d);
  void keep(std::vector<ObjectPtr> *slots, uint8_t slot, const ObjectPtr &object);
  void destroy(Descriptor *d);
  void destroy(const ObjectPtr &object);
  bool destroy_one(std::vector<ObjectPtr> *slots, uint8_t from);
  // A forward descriptor of the same kind, another descriptor, or none.
  Descriptor make_hint(uint8_t kind, Pass pass, Variation variation, uint8_t how,
                       const Engine &engine);
  const Attr *pick_attr(uint8_t from) const;
  std::vector<const Descriptor *> pick_memories(uint8_t from, size_t n) const;
  void create_object(const ObjectPtr &object, const Both<const_mkldnn_primitive_desc_t> &pd);
  bool has_objects(int engine) const;

  const bool alone_;
  std::string difference_;
  std::array<long, kSteps> done_ = {};
  size_t step_ = 0;
  long foreign_destroys_ = 0;  // that this step must cause
  bool foreign_destroys_known_ = true;
  bool has_orphans_ = false;  // what ended threads left may be destroyed by whichever ends next
  size_t thread_ = 0;
  int pauses_ = 0;
  std::array<std::unique_ptr<workload::Worker>, kThreads> threads_;
  std::array<long, kThreads> lives_ = {};
  std::array<Descriptor, kDescriptors> descriptors_;
  std::vector<ObjectPtr> memories_, primitives_;
  std::array<Stream, kStreams> streams_;
  std::array<Iterator, kIterators> iterators_;
  std::array<Attr, kAttrs> attrs_;
  std::array<Engine, kEngines> engines_;
};

}  // namespace fuzz
