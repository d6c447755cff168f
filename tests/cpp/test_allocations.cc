// Failures of the library's own memory: every allocation of a script fails, once and for good. What
// the caller sees, and what is executed on which data, is what it is without the library; nothing
// leaks, and afterwards everything is cached as ever.
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "allocations.h"
#include "judge.h"

using namespace workload;
using judge::Reference;

namespace {

std::string name_of(long nth, bool for_good, bool warm) {
  return "allocation " + std::to_string(nth) + " fails " + (for_good ? "for good" : "once") +
         (warm ? ", warm" : ", cold");
}

// One failure, and what comes after it, on a thread of its own; false: the script asks for memory
// less often than that.
bool fails_at(mkldnn_engine_t engine, const Reference &reference, bool warm, bool batched,
              bool for_good, long nth) {
  const std::string when = name_of(nth, for_good, warm);
  bool failed = false;
  on_thread([&] {
    if (warm) scripted::run(true, engine, batched);
    const long before = allocations::failed();
    allocations::fail(nth, for_good);
    judge::check_same(scripted::run(true, engine, batched), reference.plain, when);
    failed = allocations::failed() > before;
    allocations::stop();
    judge::check_recovered(engine, reference, batched, when);
  });
  judge::check_nothing_left(when);
  return failed;
}

void every_allocation_fails(bool batched = true) {
  scripted::prepare();
  REQUIRE(allocations::watch() > 5);
  Engine engine;
  const Reference reference = judge::make_reference(engine, batched);
  // The maps of handles have their tables by now, and keep them.
  const long alive = allocations::alive();
  long injections = 0;
  for (const bool warm : {false, true}) {
    for (const bool for_good : {false, true}) {
      long nth = 1;
      while (fails_at(engine, reference, warm, batched, for_good, nth)) {
        ++injections;
        nth = judge::after(nth, batched ? judge::kAll : 20);
      }
      CHECK_TEXT(allocations::alive() == alive,
                 allocations::alive() - alive << " blocks of the library's leak");
    }
  }
  engine.reset();
  check_all_gone();
  CHECK(injections >= 10);  // with nothing cached: streams
  judge::say(injections);
}

}  // namespace

TEST(every_allocation_fails, ASSUME) { every_allocation_fails(); }
TEST(every_allocation_fails_scope_backward, ASSUME, SCOPE("backward")) { every_allocation_fails(); }
TEST(every_allocation_fails_small_capacity, ASSUME, CAPACITY(2)) { every_allocation_fails(); }
TEST(every_allocation_fails_off, ASSUME, SCOPE("off")) { every_allocation_fails(); }
// Shadow mode executes one by one, and allocates for every hit.
TEST(every_allocation_fails_shadow, ASSUME, SHADOW(1)) { every_allocation_fails(false); }

// The maps of handles get their first tables in a new process only.
SCENE(fails_in_a_new_process) {
  scripted::prepare();
  REQUIRE(allocations::watch() > 5);
  Engine engine;
  const bool for_good = getenv("FOR_GOOD") != nullptr;
  const long nth = atol(getenv("NTH"));
  const std::string when = name_of(nth, for_good, false) + ", in a new process";
  on_thread([&] {
    const scripted::Run plain = scripted::run(false, engine, true);
    allocations::fail(nth, for_good);
    judge::check_same(scripted::run(true, engine, true), plain, when);
    CHECK(allocations::failed() > 0);
    allocations::stop();
    judge::check_same(scripted::run(true, engine, true), plain, when + ", the run after it");
  });
  judge::check_nothing_left(when);
}

TEST(every_allocation_fails_in_a_new_process) {
  for (int nth = 1; nth <= 12; ++nth) {
    for (const char *mode : {"ONCE=1", "FOR_GOOD=1"}) {
      check::run_well("fails_in_a_new_process", {ASSUME, "NTH=" + std::to_string(nth), mode});
    }
  }
  judge::say(24);
}

// What another thread creates in a primitive's place does not lower the owner's count of users: its
// idle primitives keep their scratchpad.
TEST(scratchpad_beside_substitutes, ASSUME) {
  REQUIRE(allocations::watch() > 5);
  Engine engine;
  fake_count_scratchpads(1);
  on_thread([&] {
    const auto other = [&] { call_right(engine, kConvolutionForward, 5); };
    other();
    for (int round = 0; round < 2; ++round) {
      Pair lent;
      lent.make(engine, kConvolutionForward, 4, 0);
      on_thread([&] {
        allocations::fail(1, true);
        lent->execute();
        allocations::stop();
      });
      lent.reset();
    }
    CHECK_EQ(primitives_made_by(other), 0);
    check_no_misuse();
  });
  engine.reset();
  check_all_gone();
}

// Its runtime asks for keys before there is anything to ask for the next definition with.
#ifndef __SANITIZE_THREAD__

// The system's keys are few; other libraries may have taken them all. This definition goes before
// the C library's.
extern "C" int pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) noexcept {
  if (getenv("NO_KEYS") != nullptr) return EAGAIN;
  static const auto next =
      reinterpret_cast<decltype(&pthread_key_create)>(dlsym(RTLD_NEXT, "pthread_key_create"));
  return next(key, destructor);
}

SCENE(without_a_key) {
  scripted::prepare();
  Engine engine;
  on_thread([&] {
    const scripted::Run plain = scripted::run(false, engine, true);
    judge::check_same(scripted::run(true, engine, true), plain, "no thread-specific key");
    const scripted::Run again = scripted::run(true, engine, true);
    judge::check_same(again, plain, "no thread-specific key, again");
    CHECK_EQ(again.primitives_made, plain.primitives_made);
    CHECK_EQ(Stats()["active"], 0);
  });
  engine.reset();
  check_all_gone();
}

TEST(no_thread_specific_key_is_left) {
  check::run_well(
      "without_a_key", {ASSUME, "NO_KEYS=1"},
      "opcache: the system has no thread-specific key left, or no memory; not caching\n");
}

#endif  // __SANITIZE_THREAD__
