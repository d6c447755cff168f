// Failures of the real library, beside test_failures.cc: every call that a long script leads to
// fails, once and for good. A call of the program fails only when the function of its name failed,
// with that status, and then all that follows is as it is without the library when that call fails.
#include <string.h>

#include "api0/real.h"
#include "judge.h"

using namespace workload;
using judge::Reference;
using scripted::Run;
using scripted::Step;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

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
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  const Reference reference = judge::make_reference(engine, batched);
  long total = 0;
#define FUNCTION(name) #name,
  const char *const kFunctions[] = {OPCACHE_REAL_FUNCTIONS(FUNCTION)};
#undef FUNCTION
  for (const char *function : kFunctions) {
    const long all = batched ? judge::kAll : 8;  // the shadows make more calls than the script
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
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}

}  // namespace

SCENE(cold) { every_call_fails(false, true); }
SCENE(warm) { every_call_fails(true, true); }
SCENE(shadowed) { every_call_fails(true, false); }

// A description that cannot be read is like one that is not known: that may be said, once. In
// shadow mode what has no status looks like a difference, and is reported.
static void check_scene(const char *scene, const char *variable, bool reports) {
  const check::Outcome outcome = check::run_scene(scene, {ASSUME, variable});
  const std::string line =
      "opcache: unknown_description: passing it through to MKL-DNN (said once; counted in the "
      "statistics)\n";
  CHECK_TEXT(outcome.exit_code == 0 && (reports || outcome.err == "" || outcome.err == line),
             outcome.err);
  fputs(outcome.out.c_str(), stdout);
}

TEST(every_call_fails_cold) { check_scene("cold", "MKLDNN_OPCACHE=all", false); }
TEST(every_call_fails_warm) { check_scene("warm", "MKLDNN_OPCACHE=all", false); }
TEST(every_call_fails_small_capacity) { check_scene("warm", "MKLDNN_OPCACHE_CAPACITY=2", false); }
TEST(every_call_fails_shadow) { check_scene("shadowed", "MKLDNN_OPCACHE_SHADOW=1", true); }
