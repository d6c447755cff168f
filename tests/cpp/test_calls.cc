// Failures of the real library: every call that a long script leads to fails, once and for good,
// with a cold cache and with a warm one. A call of the program fails only when the function of its
// name failed, with that status, and then all that follows is as it is without the library when
// that call fails; nothing leaks, and afterwards everything works as ever.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>

#include "api0/real.h"
#include "judge.h"

using namespace workload;
using judge::Reference;
using scripted::Run;
using scripted::Step;

namespace {

// Not out of memory in shadow mode alone, where another status says that the cache is wrong.
mkldnn_status_t injected() {
  return getenv("MKLDNN_OPCACHE_SHADOW") != nullptr ? mkldnn_out_of_memory : mkldnn_try_again;
}

bool is(const std::string &function, const char *name) { return function == name; }

// Whether a step may fail because `function` did.
bool may_fail(const char *step, const std::string &function) {
  if (function == step) return true;
  const bool data_handle =
      is(function, "memory_get_data_handle") || is(function, "memory_set_data_handle");
  // The cached primitives are in the stream already: nothing else can take their place.
  if (data_handle && (is("stream_wait", step) || is("stream_rerun", step))) return true;
  // The real iterator is made when its first implementation that is not cached is asked for.
  return is(function, "primitive_desc_iterator_create_v2") &&
         is("primitive_desc_iterator_next", step);
}

void check_failed_step(const Step &s, const std::string &function, const std::string &when) {
  CHECK_TEXT(may_fail(s.function, function) && s.executions.empty() &&
                 (s.status == injected() || s.status == scripted::kNothing),
             when << ": " << s.function << " returns " << s.status << ", executions "
                  << s.executions.size());
}

// A single failure: the first step that differs failed for it, and from there on all is as without
// the library when that step fails.
void judge_once(const Run &got, mkldnn_engine_t engine, const Reference &reference, bool batched,
                const std::string &function, const std::string &when) {
  const size_t k = scripted::first_difference(got, reference.plain);
  if (k == reference.plain.steps.size()) return;
  check_failed_step(got.steps[k], function, when);
  const scripted::Arm arm = {k, got.steps[k].function, injected()};
  Run plain;
  on_thread([&] { plain = scripted::run(false, engine, batched, &arm); });
  judge::check_same(got, plain, when);
}

// True when a step did all it should, but for what could not be submitted before.
bool right(const Step &s, const Step &expected) {
  size_t at = 0;
  for (const FakeExecution &e : s.executions) {
    while (at < expected.executions.size() &&
           memcmp(&expected.executions[at], &e, sizeof(e)) != 0) {
      ++at;
    }
    if (at++ == expected.executions.size()) return false;
  }
  return s.status == expected.status;
}

// Failures for good: each step is right, is skipped, or failed for them.
void judge_for_good(const Run &got, const Reference &reference, const std::string &function,
                    const std::string &when) {
  bool waited = false;
  for (size_t i = 0; i < got.steps.size(); ++i) {
    const Step &s = got.steps[i], &expected = reference.plain.steps[i];
    if (is("stream_wait", s.function)) waited = s.status == mkldnn_success;
    if (right(s, expected) || s.status == scripted::kSkipped) continue;
    // Only what was waited for can be run again.
    if (is("stream_rerun", s.function) && !waited && s.status == mkldnn_invalid_arguments) continue;
    // The program's own moving of data fails too, and its steps from one implementation to the
    // next.
    const bool others_data =
        is(function, "memory_set_data_handle") || function.rfind("primitive_desc_iterator", 0) == 0;
    if (s.status == mkldnn_success && others_data) continue;
    check_failed_step(s, function, when);
  }
}

void every_call_fails(bool warm, bool batched) {
  scripted::prepare();
  Engine engine;
  const Reference reference = judge::make_reference(engine, batched);
  long total = 0;
#define FUNCTION(name) #name,
  const char *const kFunctions[] = {OPCACHE_REAL_FUNCTIONS(FUNCTION)};
#undef FUNCTION
  for (const char *function : kFunctions) {
    // The shadows make more calls than the script.
    const long all = !batched                     ? 8
                     : getenv("FEWER") != nullptr ? std::min(20L, judge::kAll)
                                                  : judge::kAll;
    long injections = 0;
    for (const bool for_good : {false, true}) {
      bool failed = true;
      for (long nth = 1; failed; nth = judge::after(nth, for_good ? 8 : all)) {
        const std::string when = std::string(function) + " fails at call " + std::to_string(nth) +
                                 (for_good ? " for good" : "") + (warm ? ", warm" : ", cold");
        on_thread([&] {
          if (warm) scripted::run(true, engine, batched);
          const long before = fake_failures();
          fake_fail(function, nth, for_good, injected());
          const Run got = scripted::run(true, engine, batched);
          fake_stop_failing();
          failed = fake_failures() > before;
          if (for_good) {
            judge_for_good(got, reference, function, when);
          } else {
            judge_once(got, engine, reference, batched, function, when);
          }
          judge::check_recovered(engine, reference, batched, when);
        });
        judge::check_nothing_left(when);
        injections += failed;
      }
    }
    total += injections;
    // For harness/reliability/faults.py.
    if (judge::per_function()) printf("injected: %ld of %s\n", injections, function);
  }
  if (!judge::per_function()) printf("%ld calls failed\n", total);
  engine.reset();
  check_all_gone();
}

}  // namespace

SCENE(cold) { every_call_fails(false, true); }
SCENE(warm) { every_call_fails(true, true); }
SCENE(shadowed) { every_call_fails(true, false); }

// A description that cannot be read is like one that is not known: that may be said, once. In
// shadow mode what has no status looks like a difference, and is reported.
static void check_scene(const char *scene, const check::Environment &variables,
                        bool reports = false) {
  check::Environment environment = {ASSUME};
  environment.insert(environment.end(), variables.begin(), variables.end());
  const check::Outcome outcome = check::run_scene(scene, environment);
  CHECK_TEXT(
      outcome.exit_code == 0 && (reports || outcome.err == "" ||
                                 outcome.err == check::passing_through("unknown_description")),
      outcome.err);
  fputs(outcome.out.c_str(), stdout);
}

TEST(every_call_fails_cold) { check_scene("cold", {SCOPE("all")}); }
TEST(every_call_fails_warm) { check_scene("warm", {SCOPE("all")}); }
TEST(every_call_fails_scope_backward) { check_scene("warm", {SCOPE("backward"), "FEWER=1"}); }
TEST(every_call_fails_off) { check_scene("cold", {SCOPE("off"), "FEWER=1"}); }
TEST(every_call_fails_small_memory) { check_scene("warm", {MEMORY(40K), "FEWER=1"}); }
TEST(every_call_fails_small_capacity) { check_scene("warm", {CAPACITY(2)}); }
TEST(every_call_fails_shadow) { check_scene("shadowed", {SHADOW(1)}, true); }

// A creation that failed is not remembered: the status comes back each time, and then it works.
CACHED_TEST(failed_creation_is_not_remembered) {
  mkldnn_primitive_desc_t pd = nullptr;
  for (const What w : known_kinds()) {
    const char *const function = w == kReorder  ? "reorder_primitive_desc_create_v2"
                                 : w == kSum    ? "sum_primitive_desc_create"
                                 : w == kConcat ? "concat_primitive_desc_create"
                                                : "primitive_desc_create_v2";
    fake_fail(function, 1, 1, mkldnn_unimplemented);
    for (int round = 0; round < 3; ++round) {
      CHECK_EQ(describe(engine, w, 4, &pd), mkldnn_unimplemented);
      CHECK(pd == nullptr);
    }
    fake_stop_failing();
    Described(engine, w, 4);
    CHECK_EQ(descriptors_made_by([&] { call(engine, w, 4); }), 0);
  }
}

CACHED_TEST(failed_primitive_is_not_remembered) {
  const Described relu(engine, kReluForward, 4);
  Memory in(engine, buffer(0)), out(engine, buffer(1));
  const mkldnn_primitive_at_t input = mkldnn_primitive_at(in.handle, 0);
  const_mkldnn_primitive_t output = out.handle;
  mkldnn_primitive_t p = nullptr;
  fake_fail("primitive_create", 1, 1, mkldnn_out_of_memory);
  for (int round = 0; round < 3; ++round) {
    CHECK_EQ(mkldnn_primitive_create(&p, relu, &input, &output), mkldnn_out_of_memory);
    CHECK(p == nullptr);
  }
  fake_stop_failing();
  CHECK_EQ(fake_live(kFakePrimitive), 0);
  CHECK_EQ(made_by_running(engine, relu), 1);
  CHECK_EQ(made_by_running(engine, relu), 0);
}

// What is cached needs no real creation, so a failing one does not matter.
CACHED_TEST(hits_survive_failures) {
  call(engine, kReluBackward, 4);
  for (const char *function :
       {"primitive_desc_create_v2", "primitive_create", "memory_primitive_desc_create"}) {
    fake_fail(function, 1, 1, mkldnn_out_of_memory);
    call(engine, kReluBackward, 4, 10);
    fake_stop_failing();
  }
}

// A real primitive over the caller's own memory objects runs instead; where the cached one is in a
// stream already, the status comes back and the next attempt binds again.
CACHED_TEST(failed_rebind_is_made_good) {
  const Described relu(engine, kReluBackward, 4);
  Bound bound(engine, relu, 0);
  bound.run();
  for (int nth = 1; nth < 4; ++nth) {
    const int first = 50 + 10 * nth;
    bound.move_to(first);
    const long before = fake_executions();
    Stream stream(mkldnn_eager);
    fake_fail("memory_set_data_handle", nth, 0, mkldnn_runtime_error);
    stream.submit(bound);
    fake_stop_failing();
    CHECK_EQ(fake_executions(), before + 1);
    bound.check_log(first);
  }
  Stream lazy(mkldnn_lazy);
  lazy.submit(bound);
  bound.move_to(150);
  const long before = fake_executions();
  fake_fail("memory_set_data_handle", 2, 0, mkldnn_runtime_error);
  CHECK_EQ(mkldnn_stream_wait(lazy, 1, nullptr), mkldnn_runtime_error);
  CHECK_EQ(fake_executions(), before);
  lazy.wait();
  bound.check_log(150);
}

// What is half made then leaks, with the library and without it.
#ifndef __SANITIZE_ADDRESS__

// The library has no C++ runtime, which would take another one's exception for its own: one of the
// real library finds its handler in the caller. The thread may pass through from then on.
TEST(exception_of_mkldnn_reaches_the_caller, ASSUME) {
  std::set_terminate([] {
    fputs("an exception found no handler\n", stderr);
    _exit(1);
  });
  const Engine engine;
  static std::atomic<int> countdown;
  int thrown = 0;
  for (bool reached = true; reached;) {
    countdown = thrown + 1;
    reached = false;
    on_thread([&] {
      fake_on_primitive_create([] {
        if (--countdown == 0) throw std::bad_alloc();
      });
      try {
        call(engine, kReluBackward, 4);
      } catch (const std::bad_alloc &) {
        reached = true;
      }
      fake_on_primitive_create(nullptr);
      call_right(engine, kReluBackward, 4);
      call_right(engine, kReluBackward, 4, 100);
    });
    thrown += reached;
  }
  CHECK(thrown >= 4);  // of memory objects and of the primitive itself
  check_no_misuse();
  on_thread([&] {
    CHECK_EQ(made_by_call(engine, kReluBackward, 4), 1);
    CHECK_EQ(made_by_call(engine, kReluBackward, 4), 0);
  });
}

#endif  // __SANITIZE_ADDRESS__
