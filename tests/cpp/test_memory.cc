// The bound on memory: what is idle takes no more than it after any call, the least recently used
// goes first whatever it is, and what is live stays. The fake's objects take what they are told to.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "opcache.h"
#include "workload.h"

using namespace workload;

namespace {

const size_t kMiB = 1 << 20;

// What the library says is kept, in bytes.
double kept() {
  const Stats stats;
  return stats["memory/idle_bytes"] + stats["memory/descriptor_bytes"];
}

}  // namespace

CACHED_TEST(bounded_after_every_call, MEMORY(10M)) {
  fake_grow(kFakePrimitive, kMiB);
  for (int n = 4; n < 24; ++n) {
    for (const What w : known_kinds()) {
      call_right(engine, w, n);
      CHECK_TEXT(kept() <= 10 * kMiB, kept());
      CHECK_TEXT(fake_live(kFakePrimitive) <= 9, fake_live(kFakePrimitive));
    }
  }
  CHECK_EQ(fake_live(kFakePrimitive), 9);
  const Stats stats;
  CHECK_EQ(stats["memory/bound_bytes"], 10 * kMiB);
  CHECK_EQ(stats.text("memory/measured"), "true");
  CHECK_EQ(stats.text("estimate"), "null");
  CHECK_EQ(stats["memory/live_bytes"], 0);
  CHECK(stats["memory/idle_bytes"] > 9.0 * kMiB && stats["memory/idle_bytes"] < 9.5 * kMiB);
  CHECK(stats["memory/evictions"] >= 20 * kShuffle - 9);
  CHECK_EQ(stats["memory/evictions"], stats["totals/evictions"]);
}

CACHED_TEST(descriptors_count, MEMORY(10M), SCOPE("activation,forward")) {
  fake_grow(kFakeDescriptor, kMiB);
  const auto made = [&](int n) { return made_by_describing(engine, kReluForward, n); };
  for (int n = 4; n < 34; ++n) {
    CHECK_EQ(made(n), 1);
    CHECK_TEXT(kept() <= 10 * kMiB, kept());
  }
  CHECK_EQ(fake_live(kFakeDescriptor), 9);
  CHECK_EQ(made(25), 0);
  CHECK_EQ(made(4), 1);   // 26 goes
  CHECK_EQ(made(25), 0);  // and not this one
  CHECK_EQ(made(26), 1);
  // All that a caller holds stays; it goes when it is given back.
  {
    std::vector<Described> held = described(engine, kReluForward, 100, 130);
    CHECK(fake_live(kFakeDescriptor) >= 30);
    CHECK_EQ(made(110), 0);
  }
  CHECK_EQ(fake_live(kFakeDescriptor), 9);
  CHECK(kept() <= 10 * kMiB);
}

CACHED_TEST(least_recently_used_goes_first_across_operators, MEMORY(5M)) {
  fake_grow(kFakePrimitive, kMiB);
  const auto use = [&](What what) { return made_by_call(engine, what, 4); };
  for (What what : {kReluBackward, kReorder, kPoolingBackward, kLrnBackward}) {
    CHECK_EQ(use(what), 1);
  }
  CHECK_EQ(use(kReluBackward), 0);  // more recent now than all the others
  CHECK_EQ(use(kSoftmax), 1);       // the reorder goes
  for (const auto each : {kPoolingBackward, kLrnBackward, kReluBackward})
    CHECK_TEXT(use(each) == 0, each);
  CHECK_EQ(use(kReorder), 1);  // the softmax goes
  CHECK_EQ(use(kPoolingBackward), 0);
  CHECK_EQ(use(kSum), 1);  // the LRN goes
  for (const auto each : {kReluBackward, kReorder, kPoolingBackward, kSum})
    CHECK_TEXT(use(each) == 0, each);
  CHECK_EQ(fake_live(kFakePrimitive), 4);
  const Stats stats;
  for (const char *evicted : {"reorder", "softmax", "_backward_LRN"}) {
    CHECK_TEXT(stats[std::string("operators/") + evicted + "/evictions"] > 0, evicted);
  }
}

#ifndef API1  // of memory objects, which are MKL-DNN's alone in 1.0
// Primitives, memory objects and descriptors are in one order.
CACHED_TEST(one_order_for_all_kinds, MEMORY(8M)) {
  fake_grow(kFakeMemory, kMiB);
  { const Memory oldest(engine, image(100), buffer(0)); }
  { const Memory older(engine, image(101), buffer(0)); }
  CHECK_EQ(fake_live(kFakeMemory), 2);
  fake_grow(kFakeMemory, 0);
  fake_grow(kFakePrimitive, kMiB);
  for (int n = 4; n < 9; ++n) CHECK_EQ(made_by_call(engine, kReluBackward, n), 1);
  { const Memory used_again(engine, image(100), buffer(0)); }
  const auto made = [&](int n) {
    const long before = fake_created(kFakeMemory);
    const Memory memory(engine, image(n), buffer(0));
    return fake_created(kFakeMemory) - before;
  };
  // The eighth MiB: the one that was not used again goes, before any of the primitives.
  CHECK_EQ(made_by_call(engine, kReluBackward, 9), 1);
  for (int n = 4; n < 10; ++n) CHECK_EQ(made_by_call(engine, kReluBackward, n), 0);
  CHECK_EQ(made(100), 0);
  CHECK_EQ(made(101), 1);
  // And a primitive, before memory objects and descriptors that were used after it.
  CHECK_EQ(made(100), 0);
  CHECK_EQ(made_by_call(engine, kReluBackward, 10), 1);
  CHECK_EQ(made(100), 0);
  CHECK_EQ(made_by_call(engine, kReluBackward, 4), 1);
}

#endif

CACHED_TEST(live_ones_are_never_evicted, MEMORY(2M)) {
  fake_grow(kFakePrimitive, kMiB);
  fake_grow(kFakeDescriptor, kMiB / 4);
  live_ones_stay(engine, [] { CHECK(Stats()["memory/live_bytes"] >= 10.0 * kMiB); });
  CHECK_EQ(Stats()["memory/live_bytes"], 0);
  CHECK_TEXT(kept() <= 2 * kMiB, kept());
}

// Without that bound, one on what the library estimates: 16 KiB for these.
CACHED_TEST(bounded_by_estimates, ESTIMATE(200K), SCOPE("activation")) {
  call_all(engine, kReluBackward, 4, 100);
  const int cached = static_cast<int>(fake_live(kFakePrimitive));
  CHECK_TEXT(cached >= 10 && cached <= 12, cached);
  const Stats stats;
  CHECK_EQ(stats["estimate/bound_bytes"], 200 << 10);
  CHECK(stats["estimate/idle_bytes"] > 16 * 1024 * cached);
  CHECK(stats["estimate/idle_bytes"] <= 200 << 10);
  CHECK_EQ(stats["estimate/evictions"], 96 - cached);
  CHECK_EQ(stats["estimate/evictions"], stats["totals/evictions"]);
  for (int n = 100 - cached; n < 100; ++n) CHECK_EQ(made_by_call(engine, kReluBackward, n), 0);
  CHECK_EQ(made_by_call(engine, kReluBackward, 4), 1);
  mkldnn_opcache_clear();
  CHECK_EQ(Stats()["estimate/idle_bytes"], 0);
}

CACHED_TEST(estimates_take_no_live_ones, ESTIMATE(100K)) {
  live_ones_stay(engine, [] { CHECK(Stats()["totals/live_primitives"] >= 10); });
  CHECK(Stats()["estimate/idle_bytes"] <= 100 << 10);
}

CACHED_TEST(estimate_0_is_no_bound, ESTIMATE(0), SCOPE("activation")) {
  call_all(engine, kReluBackward, 4, 100);
  CHECK_EQ(fake_live(kFakePrimitive), 96);
  CHECK_EQ(Stats()["estimate/bound_bytes"], 0);
}

CACHED_TEST(smaller_than_anything, MEMORY(1)) {
  keeps_nothing(engine);
  CHECK_EQ(kept(), 0);
}

CACHED_TEST(memory_0_is_off, MEMORY(0)) {
  keeps_nothing(engine);
  CHECK_EQ(Stats().text("active"), "false");
  CHECK_EQ(Stats()["totals/descriptors_avoided"], 0);
}

// The books say what there is, also after many came and went.
CACHED_TEST(what_goes_is_given_back, MEMORY(6M), SCOPE("activation")) {
  fake_grow(kFakePrimitive, kMiB);
  call_all(engine, kReluBackward, 4, 100);
  CHECK_EQ(fake_live(kFakePrimitive), 5);
  for (int n = 95; n < 100; ++n) CHECK_EQ(made_by_call(engine, kReluBackward, n), 0);
  const double before = kept();
  mkldnn_opcache_clear();
  CHECK_EQ(kept(), 0);
  CHECK_EQ(Stats()["memory/live_bytes"], 0);
  call_all(engine, kReluBackward, 4, 9);
  CHECK_EQ(fake_live(kFakePrimitive), 5);
  CHECK_TEXT(kept() <= before, kept() << " now, " << before << " before");
}

CACHED_TEST(both_bounds_hold, MEMORY(10M), CAPACITY(3), SCOPE("activation")) {
  std::vector<Described> held;
  const auto use = [&](int n) {
    held.emplace_back(engine, kReluBackward, n);
    Bound(engine, held.back(), 0).run();
  };
  for (int n = 4; n < 14; ++n) use(n);
  CHECK_EQ(fake_live(kFakePrimitive), 3);
  CHECK_EQ(Stats()["memory/evictions"], 0);
  fake_grow(kFakePrimitive, 6 * kMiB);
  for (int n = 20; n < 30; ++n) use(n);
  CHECK_EQ(fake_live(kFakePrimitive), 1);
  CHECK(Stats()["memory/evictions"] >= 9);
}

CACHED_TEST(changed_while_running, SCOPE("activation")) {
  fake_grow(kFakePrimitive, kMiB);
  CHECK_EQ(mkldnn_opcache_get_memory(), MKLDNN_OPCACHE_NO_MEMORY_BOUND);
  CHECK_EQ(Stats().text("memory"), "null");
  call_all(engine, kReluBackward, 4, 14);
  // What was made before is counted at its estimate, 16 KiB; the rest as it is.
  CHECK_EQ(mkldnn_opcache_set_memory(20 * kMiB), 0);
  CHECK_EQ(mkldnn_opcache_get_memory(), 20 * kMiB);
  const double unmeasured = Stats()["memory/idle_bytes"];
  CHECK_TEXT(unmeasured >= 10 * 16384 && unmeasured < 11 * 16384, unmeasured);
  call_all(engine, kReluBackward, 14, 24);
  CHECK_EQ(fake_live(kFakePrimitive), 20);
  CHECK(kept() > 10 * kMiB && kept() < 12 * kMiB);
  // The oldest of either sort go first.
  CHECK_EQ(mkldnn_opcache_set_memory(4 * kMiB), 0);
  CHECK_EQ(fake_live(kFakePrimitive), 3);
  for (int n = 21; n < 24; ++n) CHECK_EQ(made_by_call(engine, kReluBackward, n), 0);
  CHECK_EQ(mkldnn_opcache_set_memory(0), 0);
  CHECK_EQ(fake_live(kFakePrimitive), 0);
  CHECK_EQ(kept(), 0);
  CHECK_EQ(mkldnn_opcache_set_memory(MKLDNN_OPCACHE_NO_MEMORY_BOUND), 0);
  call_all(engine, kReluBackward, 4, 34);
  CHECK_EQ(fake_live(kFakePrimitive), 30);
  // More than can be asked for changes nothing.
  CHECK_EQ(mkldnn_opcache_set_memory((size_t(1) << 50) + 1), 1);
  CHECK_EQ(mkldnn_opcache_get_memory(), MKLDNN_OPCACHE_NO_MEMORY_BOUND);
  CHECK_EQ(mkldnn_opcache_set_memory(size_t(1) << 50), 0);
}

// All threads together stay within the bound, but that each may keep its share: one that filled the
// cache and sleeps leaves the others theirs, and gives up what is beyond its own at its next call.
WORKER_TEST(threads_share, MEMORY(12M), SCOPE("activation")) {
  fake_grow(kFakePrimitive, kMiB);
  const auto fill = [&] { call_all(engine, kReluBackward, 4, 34); };
  a.run(fill);
  CHECK_EQ(fake_live(kFakePrimitive), 11);
  b.run(fill);
  CHECK_EQ(fake_live(kFakePrimitive), 16);
  CHECK_TEXT(kept() < 18 * kMiB, kept());
  a.run([&] { call(engine, kReluBackward, 4); });
  CHECK_TEXT(kept() <= 12 * kMiB, kept());
  CHECK(fake_live(kFakePrimitive) >= 10);
  // A thread that ends leaves its room to the others.
  on_thread(fill);
  a.run(fill);
  on_thread([&] { CHECK_TEXT(kept() <= 12 * kMiB, kept()); });
}

// The same of estimates; of those, threads tell each other in steps of 256 KiB.
WORKER_TEST(threads_share_estimates, ESTIMATE(4M), SCOPE("activation")) {
  const auto fill = [&] { call_all(engine, kReluBackward, 4, 304); };
  a.run(fill);
  const long alone = fake_live(kFakePrimitive);
  CHECK_TEXT(alone > 200 && alone < 256, alone);
  b.run(fill);
  CHECK_TEXT(fake_live(kFakePrimitive) > alone + 100, fake_live(kFakePrimitive));
  a.run([&] { call(engine, kReluBackward, 4); });
  CHECK_TEXT(Stats()["estimate/idle_bytes"] <= 4.25 * kMiB, Stats()["estimate/idle_bytes"]);
}

// What is released elsewhere goes home, and counts there.
WORKER_TEST(released_on_another_thread, MEMORY(3M), SCOPE("activation")) {
  fake_grow(kFakePrimitive, kMiB);
  std::vector<Described> all;
  std::vector<Bound> live;
  a.run([&] {
    for (int n = 4; n < 14; ++n) {
      all.emplace_back(engine, kReluBackward, n);
      live.emplace_back(engine, all.back(), 0);
    }
  });
  b.run([&] {
    live.clear();
    // Of a's descriptor, which only the table of b holds here.
    for (const Described &pd : all) Bound(engine, pd, 0).run();
    all.clear();
  });
  CHECK(fake_live(kFakePrimitive) >= 10);
  for (Worker *worker : {&a, &b}) worker->run([&] { call(engine, kReluBackward, 50); });
  CHECK_TEXT(kept() <= 3 * kMiB, kept());
}

// A forked child counts what is its own, and keeps within the bound.
TEST(forked_child, ASSUME, MEMORY(6M), SCOPE("activation")) {
  fake_grow(kFakePrimitive, kMiB);
  Engine engine;
  Worker other;
  const auto fill = [&] { call_all(engine, kReluBackward, 4, 34); };
  fill();
  other.run(fill);
  check::in_child([&] {
    fill();
    CHECK_TEXT(kept() > 5 * kMiB && kept() <= 6 * kMiB, kept());
    CHECK_EQ(Stats()["memory/live_bytes"], 0);
  });
  fill();
  CHECK_EQ(fake_live(kFakePrimitive), 5);  // the other's two among them
  check_no_misuse();
}

// The real library calls exported functions in the middle of a creation.
CACHED_TEST(called_back, MEMORY(1)) {
  fake_call_back(1);
  keeps_nothing(engine);
}

// Where the system does not let libmkldnn's calls be counted, that is said once; estimates hold.
SCENE(not_measured) {
  // mprotect to PROT_READ | PROT_WRITE fails, as it may under a policy of the system's.
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_READ | PROT_WRITE, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const struct sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};
  CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
  fake_grow(kFakePrimitive, kMiB);
  Engine engine;
  call_all(engine, kReluBackward, 4, 34);
  const Stats stats;
  CHECK_EQ(stats.text("memory/measured"), "false");
  CHECK(kept() <= 1 * kMiB);
  // An estimate of 16 KiB, and of as much for each of two descriptors, not what it took.
  CHECK_TEXT(fake_live(kFakePrimitive) > 8 && fake_live(kFakePrimitive) < 24,
             fake_live(kFakePrimitive));
}

TEST(what_cannot_be_measured_is_estimated) {
  check::run_well("not_measured", {ASSUME, MEMORY(1M)},
                  "opcache: cannot measure how much memory " MKLDNN_LIBRARY
                  " takes: the system does "
                  "not allow it; MKLDNN_OPCACHE_MEMORY goes by estimates instead\n");
}
