// Failures of the library's own memory: every allocation of a script fails, once and for good. What
// the caller sees, and what is executed on which data, is what it is without the library; nothing
// leaks, and afterwards everything is cached as ever.
#include <stdlib.h>

#include <thread>

#include "allocations.h"
#include "scripted.h"
#include "workload.h"

using namespace workload;
using scripted::Run;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

namespace {

long g_injections = 0;

long live_objects() {
  long n = 0;
  for (int type = 0; type < kFakeTypes; ++type) {
    if (type != kFakeEngine) n += fake_live(static_cast<FakeType>(type));
  }
  return n;
}

void check_same(const Run &got, const Run &expected, const std::string &when) {
  const size_t i = scripted::first_difference(got, expected);
  CHECK_TEXT(i == expected.steps.size(), when << ": " << scripted::show(got, i)
                                              << "; without the library "
                                              << scripted::show(expected, i));
}

struct Reference {
  Run plain;             // past the library
  long warm_primitives;  // really created by a run that finds everything cached
};

// One failure, and what comes after it, on a thread of its own; false: the script asks for memory
// less often than that.
bool fails_at(mkldnn_engine_t engine, const Reference &reference, bool warm, bool batched,
              bool for_good, long nth) {
  const std::string when = "allocation " + std::to_string(nth) + " fails " +
                           (for_good ? "for good" : "once") + (warm ? ", warm" : ", cold");
  bool failed = false;
  on_thread([&] {
    if (warm) scripted::run(true, engine, batched);
    const long before = allocations::failed();
    allocations::fail(nth, for_good);
    check_same(scripted::run(true, engine, batched), reference.plain, when);
    failed = allocations::failed() > before;
    allocations::stop();
    check_same(scripted::run(true, engine, batched), reference.plain, when + ", the run after it");
    const Run last = scripted::run(true, engine, batched);
    check_same(last, reference.plain, when + ", the second run after it");
    CHECK_TEXT(last.primitives_made == reference.warm_primitives,
               when << ": " << last.primitives_made << " primitives created afterwards, "
                    << reference.warm_primitives << " expected");
    // What is left at MKL-DNN is what stays idle by intent.
    const Stats stats;
    CHECK_TEXT(
        stats["totals/live_primitives"] == 0 &&
            stats["totals/idle_primitives"] == static_cast<double>(fake_live(kFakePrimitive)),
        when << ": " << fake_live(kFakePrimitive) << " primitives, of which idle "
             << stats["totals/idle_primitives"]);
  });
  CHECK_TEXT(fake_misuses() == 0, when << ": " << fake_misuse());
  CHECK_TEXT(live_objects() == 0, when << ": " << live_objects() << " objects of MKL-DNN leak");
  if (check::failures() > 20) check::give_up();
  return failed;
}

Reference make_reference(mkldnn_engine_t engine, bool batched) {
  Reference reference;
  on_thread([&] {
    reference.plain = scripted::run(false, engine, batched);
    check_same(scripted::run(true, engine, batched), reference.plain, "no failure, cold");
    const Run warm = scripted::run(true, engine, batched);
    check_same(warm, reference.plain, "no failure, warm");
    reference.warm_primitives = warm.primitives_made;
  });
  return reference;
}

void every_allocation_fails(bool batched) {
  scripted::prepare();
  REQUIRE(allocations::watch() > 5);
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  const Reference reference = make_reference(engine, batched);
  // The maps of handles have their tables by now, and keep them.
  const long alive = allocations::alive();
  for (const bool warm : {false, true}) {
    for (const bool for_good : {false, true}) {
      for (long nth = 1; fails_at(engine, reference, warm, batched, for_good, nth); ++nth) {
        ++g_injections;
      }
      CHECK_TEXT(allocations::alive() == alive,
                 allocations::alive() - alive << " blocks of the library's leak");
    }
  }
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
  CHECK(g_injections >= 10);  // streams, where nothing else is kept
  printf("%ld allocations failed\n", g_injections);
}

}  // namespace

TEST(every_allocation_fails, ASSUME) { every_allocation_fails(true); }
TEST(every_allocation_fails_scope_backward, ASSUME, "MKLDNN_OPCACHE=backward") {
  every_allocation_fails(true);
}
TEST(every_allocation_fails_small_capacity, ASSUME, "MKLDNN_OPCACHE_CAPACITY=2") {
  every_allocation_fails(true);
}
TEST(every_allocation_fails_off, ASSUME, "MKLDNN_OPCACHE=off") { every_allocation_fails(true); }
