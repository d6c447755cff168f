// How a sequence is run: threads, comparison after each step, the end; and the steps that change
// what the library is set to.
#include "fuzz_twin.h"

#include <mutex>

#include "opcache.h"

namespace fuzz {

bool Twin::Object::runnable() const {
  if (!alive) return false;
  for (const auto &input : inputs) {
    if (!input.first->runnable()) return false;
  }
  for (const ObjectPtr &output : outputs) {
    if (!output->runnable()) return false;
  }
  return true;
}

bool Twin::Stream::runnable() const {
  for (const ObjectPtr &object : submitted) {
    if (!object->runnable()) return false;
  }
  return true;
}

Twin::Twin(bool alone) : alone_(alone), memories_(kMemories), primitives_(kPrimitives) {
  for (int w = 0; w < kWorlds; ++w) world(w).fake.reuse_addresses(1);
}

Twin::~Twin() {}

void Twin::differ(const std::string &what) {
  if (difference_.empty()) difference_ = "step " + std::to_string(step_) + ": " + what;
}

void Twin::run(const Steps &steps) {
  for (size_t next = 0; same() && next < steps.size();) go(steps, &next);
  if (same()) finish();
}

// The steps up to the next that is about threads, on the thread whose turn it is.
void Twin::go(const Steps &steps, size_t *next) {
  const auto some = [&] {
    for (; same() && *next < steps.size(); ++*next) {
      const uint8_t what = steps[*next].what;
      if (alone_ && (what == k_go_to_thread || what == k_end_thread)) break;
      step_ = *next;
      step(steps[*next]);
    }
  };
  if (!alone_) return some();
  const uint8_t what = steps[*next].what;
  if (what == k_go_to_thread || what == k_end_thread) {
    step_ = *next;
    return step(steps[(*next)++]);
  }
  if (threads_[thread_] == nullptr) threads_[thread_] = std::make_unique<workload::Worker>();
  threads_[thread_]->run(some);
}

void Twin::step(const Step &step) {
  typedef bool (Twin::*Function)(Args);
  static const Function kFunctions[] = {
#define FUZZ_FUNCTION(name, weight) &Twin::name,
      FUZZ_STEPS(FUZZ_FUNCTION)
#undef FUZZ_FUNCTION
  };
  const long before = world(0).fake.foreign_destroys();
  foreign_destroys_ = 0;
  foreign_destroys_known_ = true;
  if ((this->*kFunctions[step.what])(step.arg)) ++done_[step.what];
  compare_executions();
  for (int w = kWorlds - 1; w >= 0; --w) {
    if (world(w).fake.misuses() > 0) {
      differ(std::string(w == 0 ? "with" : "without") + " the cache: " + world(w).fake.misuse());
    }
  }
  if (alone_ && foreign_destroys_known_) {
    compare("primitives destroyed on a thread that did not make them",
            world(0).fake.foreign_destroys() - before, foreign_destroys_);
  }
  if (!same()) difference_ += " (" + to_text(step) + ")";
}

// What was executed on this thread since it was last asked.
void Twin::compare_executions() {
  const long n = world(1).fake.executions();
  compare("executions", world(0).fake.executions(), n);
  for (long i = 0; same() && i < n; ++i) {
    const FakeExecution a = world(0).fake.execution(i), b = world(1).fake.execution(i);
    compare("kind executed", a.kind, b.kind);
    compare("operation executed", a.content, b.content);
    compare("inputs", a.inputs, b.inputs);
    compare("outputs", a.outputs, b.outputs);
    for (size_t d = 0; d < sizeof(a.data) / sizeof(a.data[0]); ++d) {
      compare("data", a.data[d], b.data[d]);
    }
  }
  for (int w = 0; w < kWorlds; ++w) world(w).fake.forget_executions();
}

// Destroys all that is left; alone, ends all threads too, and looks whether anything remains.
void Twin::finish() {
  if (!alone_) {
    destroy_everything();
    while (pauses_ > 0) resume(nullptr);
    return;
  }
  if (threads_[thread_] == nullptr) threads_[thread_] = std::make_unique<workload::Worker>();
  threads_[thread_]->run([this] { destroy_everything(); });
  while (pauses_ > 0) resume(nullptr);
  for (auto &thread : threads_) thread.reset();
  const std::string left = left_over();
  if (!left.empty()) differ(left);
}

std::string Twin::left_over() {
  // An engine may stay (destroy_engine in descriptors.cc).
  const std::string left = world(0).fake.left();
  if (!left.empty()) return left + " left";
  return world(0).fake.misuses() > 0 ? world(0).fake.misuse() : "";
}

void Twin::destroy_everything() {
  const uint8_t zeros[7] = {};
  for (size_t i = 0; i < kStreams; ++i) destroy_stream(zeros);
  for (std::vector<ObjectPtr> *slots : {&primitives_, &memories_}) {
    for (ObjectPtr &object : *slots) {
      if (object != nullptr) destroy(object);
      object.reset();
    }
  }
  for (size_t i = 0; i < kIterators; ++i) iterator_destroy(zeros);
  for (Descriptor &d : descriptors_) destroy(&d);
  for (size_t i = 0; i < kAttrs; ++i) attr_destroy(zeros);
  for (size_t i = 0; i < kEngines; ++i) destroy_engine(zeros);
}

// Threads

bool Twin::go_to_thread(Args a) {
  thread_ = a[0] % kThreads;
  return true;
}

bool Twin::end_thread(Args a) {
  const size_t thread = a[0] % kThreads;
  if (threads_[thread] == nullptr) return false;
  threads_[thread].reset();
  if (has_orphans_) foreign_destroys_known_ = false;
  ++lives_[thread];
  return true;
}

// Settings, which only the library has

bool Twin::change_scope(Args a) {
  static const char *const kScopes[] = {"all",
                                        "all",
                                        "all",
                                        "off",
                                        "backward",
                                        "reorder,pooling",
                                        "deconvolution,activation,forward",
                                        "convolution,lrn,sum,concat",
                                        "all"};
  return mkldnn_opcache_set_scope(kScopes[a[0] % 9], nullptr, 0) == 0;
}

bool Twin::change_capacity(Args a) {
  static const size_t kCapacities[] = {4096, 4096, 0, 1, 3, 10, 50, 4096};
  return mkldnn_opcache_set_capacity(kCapacities[a[0] % 8]) == 0;
}

bool Twin::change_memory(Args a) {
  const size_t none = MKLDNN_OPCACHE_NO_MEMORY_BOUND;
  const size_t kBytes[] = {none, none, 0, 1, 10000, 50000, 300000, none};
  return mkldnn_opcache_set_memory(kBytes[a[0] % 8]) == 0;
}

bool Twin::pause(Args) {
  mkldnn_opcache_pause();
  ++pauses_;
  return true;
}

bool Twin::resume(Args) {
  if (pauses_ == 0) return false;
  --pauses_;
  return mkldnn_opcache_resume() == 0;
}

bool Twin::clear(Args) {
  mkldnn_opcache_clear();
  return true;
}

bool Twin::statistics(Args a) {
  char text[256];
  mkldnn_opcache_stats_json(text, a[0]);
  if (a[1] == 0) mkldnn_opcache_reset_stats();
  return true;
}

// What the fake is set to

bool Twin::openmp_threads(Args a) {
  // An iterator of the fake describes when it is asked.
  if (!alone_ || pick(iterators_, 0) != nullptr) return false;
  for (int w = 0; w < kWorlds; ++w) world(w).fake.set_max_threads(1 + a[0] % 3);
  return true;
}

bool Twin::callbacks(Args a) {
  for (int w = 0; w < kWorlds; ++w) world(w).fake.call_back(a[0] % 2);
  return true;
}

// Engines

bool Twin::has_objects(int engine) const {
  const auto on_it = [=](const auto &slot) { return slot.engine == engine; };
  if (pick(descriptors_, 0, on_it) != nullptr || pick(iterators_, 0, on_it) != nullptr) return true;
  for (const auto *slots : {&memories_, &primitives_}) {
    for (const ObjectPtr &object : *slots) {
      if (object != nullptr && object->engine == engine) return true;
    }
  }
  return false;
}

bool Twin::make_engine(Args a) {
  Engine &engine = engines_[a[0] % kEngines];
  if (engine.used()) return false;
  // The fakes number engines in the order of their creation, which must be the same in both.
  static std::mutex order;
  const std::lock_guard<std::mutex> lock(order);
  BOTH(engine_create, &engine.at[i], mkldnn_cpu, 0);
  return true;
}

bool Twin::destroy_engine(Args a) {
  Engine *engine = pick(engines_, a[0]);
  if (engine == nullptr || has_objects(number_of(engine))) return false;
  BOTH(engine_destroy, engine->at[i]);
  *engine = Engine();
  return true;
}

}  // namespace fuzz
