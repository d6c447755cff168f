#include "fake_state.h"

#include <pthread.h>

// Of ThreadSanitizer's runtime, where there is one.
extern "C" {
__attribute__((weak)) void AnnotateIgnoreWritesBegin(const char *file, int line);
__attribute__((weak)) void AnnotateIgnoreWritesEnd(const char *file, int line);
}

namespace fake {

thread_local bool t_asking = false;

namespace {

// A program may still execute when its thread's variables are gone: in static destructors.
thread_local bool t_gone = false;
struct Log : std::vector<FakeExecution> {
  ~Log() { t_gone = true; }
};
thread_local Log t_executions;

const char *const kTypeNames[kFakeTypes + 1] = {
    "an engine",   "a memory descriptor", "a descriptor", "a memory object", "a primitive",
    "an iterator", "an attribute",        "post-ops",     "a stream",        "a part of an object"};

// Before the library under test registers its own handlers, so that its locks are taken first.
__attribute__((constructor)) void survive_fork() {
  pthread_atfork([] { State::get().mutex.lock(); }, [] { State::get().mutex.unlock(); },
                 [] { State::get().mutex.unlock(); });
}

}  // namespace

State &State::get() {
  static State *state = new State;  // outlives every thread and every destructor
  return *state;
}

mkldnn_status_t State::enter(const char *function) {
  ++calls[function];
  if (failure.countdown == 0 || failure.function != function) return mkldnn_success;
  if (failure.countdown > 1) {
    --failure.countdown;
    return mkldnn_success;
  }
  if (!failure.for_good) failure.countdown = 0;
  ++failures;
  return failure.status;
}

void *State::allocate(size_t bytes, std::vector<void *> *dead) {
  if (reuse && !dead->empty()) {
    void *memory = dead->back();
    dead->pop_back();
    return memory;
  }
  // To the sanitizer an allocation is a write by this thread. The block may become another thread's
  // under the fake's lock, which the sanitizer does not see.
  if (AnnotateIgnoreWritesBegin != nullptr) AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  void *memory = ::operator new(bytes);
  if (AnnotateIgnoreWritesEnd != nullptr) AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  return memory;
}

void State::born(void *object, FakeType type, std::vector<void *> *dead) {
  records_[object] = Record{type, true, std::this_thread::get_id(), dead};
  ++created[type];
  ++live[type];
}

void State::died(void *object) {
  Record &record = records_[object];
  record.alive = false;
  record.dead->push_back(object);
  --live[record.type];
  if (record.type == kFakePrimitive && record.creator != std::this_thread::get_id()) {
    ++foreign_destroys;
  }
}

void *State::checked(const char *function, void *object, FakeType a, FakeType b) {
  const auto found = records_.find(object);
  if (found == records_.end()) {
    misuse(std::string(function) + ": not a handle");
    return nullptr;
  }
  const Record &record = found->second;
  if (!record.alive) {
    misuse(std::string(function) + ": " + kTypeNames[record.type] + " that was destroyed");
    return nullptr;
  }
  // A layout that a descriptor settled on is a memory descriptor, though not the caller's own.
  const FakeType type = record.type == kFakeTypes ? kFakeMemoryDescriptor : record.type;
  if (type != a && type != b) {
    misuse(std::string(function) + ": " + kTypeNames[type] + ", not " + kTypeNames[a]);
    return nullptr;
  }
  return object;
}

FakeType State::type_of(const void *object) const { return records_.at(object).type; }

void State::misuse(const std::string &text) {
  if (misuses++ == 0) first_misuse = text;
}

namespace {

thread_local unsigned t_scratchpad_users = 0;
thread_local bool t_scratchpad = false;

bool uses_scratchpad(const Primitive &p) {
  const int kind = p.descriptor->kind;
  return State::get().scratchpads && (kind == mkldnn_convolution || kind == mkldnn_deconvolution ||
                                      kind == mkldnn_inner_product);
}

}  // namespace

void count_scratchpad(Primitive *p) {
  p->creator = std::this_thread::get_id();
  if (!uses_scratchpad(*p)) return;
  ++t_scratchpad_users;
  t_scratchpad = true;
}

void uncount_scratchpad(const Primitive &p) {
  if (uses_scratchpad(p) && --t_scratchpad_users == 0) t_scratchpad = false;
}

void need_scratchpad(const Primitive &p) {
  if (uses_scratchpad(p) && p.creator == std::this_thread::get_id() && !t_scratchpad) {
    State::get().misuse("execution: without a scratchpad");
  }
}

void log_execution(const FakeExecution &e) {
  if (!t_gone) t_executions.push_back(e);
}

}  // namespace fake

using namespace fake;

extern "C" {

// What a test asks or sets, under the lock; `s`: the state.
#define FAKE_TELL(Result, name, arguments, ...) \
  Result fake_##name arguments {                \
    State &s = State::get();                    \
    const Lock lock(s.mutex);                   \
    __VA_ARGS__;                                \
  }

FAKE_TELL(long, created, (FakeType type), return s.created[type])
FAKE_TELL(long, live, (FakeType type), return s.live[type])
FAKE_TELL(long, calls, (const char *function), return s.calls[function])
FAKE_TELL(long, misuses, (), return s.misuses)
FAKE_TELL(const char *, misuse, (), return s.first_misuse.c_str())
FAKE_TELL(long, foreign_destroys, (), return s.foreign_destroys)
FAKE_TELL(long, zero_paddings, (), return s.zero_paddings)
FAKE_TELL(void, fail, (const char *function, long nth, int for_good, mkldnn_status_t status),
          s.failure = {function, nth, for_good != 0, status})
FAKE_TELL(long, failures, (), return s.failures)
FAKE_TELL(void, reuse_addresses, (int on), s.reuse = on != 0)
FAKE_TELL(void, count_scratchpads, (int on), s.scratchpads = on != 0)
FAKE_TELL(void, set_max_threads, (int n), s.max_threads = n)
FAKE_TELL(void, set_in_parallel, (int on), s.in_parallel = on)
FAKE_TELL(void, grow, (FakeType type, size_t bytes), s.growth[type] = bytes)
FAKE_TELL(void, set_implementations, (int n), s.implementations = n)
FAKE_TELL(uint64_t, content, (const_mkldnn_primitive_desc_t descriptor),
          const Descriptor *d = s.check<Descriptor>("fake_content", descriptor, kFakeDescriptor,
                                                    kFakeMemoryDescriptor);
          return d != nullptr ? d->content : 0)

const char *fake_left(void) {
  static thread_local std::string text;
  text.clear();
  for (int type = 0; type < kFakeTypes; ++type) {
    const long n = fake_live(static_cast<FakeType>(type));
    if (n != 0 && type != kFakeEngine) {
      text += (text.empty() ? "" : ", ") + std::string(kTypeNames[type]) + ": " + std::to_string(n);
    }
  }
  return text.c_str();
}

void fake_stop_failing(void) { fake_fail("", 0, 0, mkldnn_success); }

void fake_call_back(int on) { State::get().calls_back = on != 0; }

void fake_on_primitive_create(void (*hook)(void)) { State::get().on_primitive_create = hook; }

long fake_executions(void) { return static_cast<long>(t_executions.size()); }

FakeExecution fake_execution(long index) { return t_executions.at(static_cast<size_t>(index)); }

void fake_forget_executions(void) { t_executions.clear(); }

}  // extern "C"
