// The bound: nothing beyond it is kept, the least recently used goes first, what is live stays.
#include <time.h>

#include <memory>

#include "workload.h"

using namespace workload;

CACHED_TEST(capacity_0_is_off, CAPACITY(0)) {
  keeps_nothing(engine);
  const Stats stats;
  CHECK_EQ(stats["active"], 0);
  CHECK_EQ(stats["recognised"], 1);
  CHECK_EQ(stats["capacity"], 0);
  CHECK_EQ(stats["totals/primitives_avoided"], 0);
  CHECK_EQ(stats["totals/descriptors_avoided"], 0);
  CHECK_EQ(stats["operators/_backward_Pooling/primitives_created"], 3);
}

CACHED_TEST(capacity_1_keeps_one, CAPACITY(1), SCOPE("activation")) {
  const Described a(engine, kReluBackward, 4), b(engine, kReluBackward, 5);
  const auto use = [&](const Described &d) { return made_by_running(engine, d); };
  CHECK_EQ(use(a), 1);
  CHECK_EQ(use(a), 0);
  CHECK_EQ(use(b), 1);
  CHECK_EQ(fake_live(kFakePrimitive), 1);
  CHECK_EQ(use(b), 0);
  CHECK_EQ(use(a), 1);
  CHECK_EQ(Stats()["operators/_backward_Activation/evictions"], 2);
}

CACHED_TEST(least_recently_used_primitive_goes_first, CAPACITY(3), SCOPE("activation")) {
  std::vector<Described> all = described(engine, kReluBackward, 4, 8);
  const auto use = [&](size_t i) { return made_by_running(engine, all[i]); };
  for (size_t i : {0, 1, 2}) CHECK_EQ(use(i), 1);
  CHECK_EQ(use(0), 0);  // 0 is now more recent than 1 and 2
  CHECK_EQ(use(3), 1);  // 1 goes
  for (const auto each : {2, 0, 3}) CHECK_TEXT(use(each) == 0, each);
  CHECK_EQ(use(1), 1);  // 2 goes
  for (const auto each : {0, 3, 1}) CHECK_TEXT(use(each) == 0, each);
  CHECK_EQ(use(2), 1);
  CHECK_EQ(fake_live(kFakePrimitive), 3);
}

CACHED_TEST(least_recently_used_descriptor_goes_first, CAPACITY(4), SCOPE("activation")) {
  // One call keeps two descriptors: the operation's and its hint's.
  const auto made = [&](int n) { return made_by_describing(engine, kReluBackward, n); };
  CHECK_EQ(made(4), 2);
  CHECK_EQ(made(5), 2);
  CHECK_EQ(made(4), 0);
  CHECK_EQ(made(6), 2);  // those of 5 go
  CHECK_EQ(made(4), 0);
  CHECK_EQ(made(6), 0);
  CHECK_EQ(made(5), 2);  // those of 4 go
  CHECK_EQ(made(6), 0);
  CHECK_EQ(made(4), 2);
  CHECK_EQ(fake_live(kFakeDescriptor), 4);
}

// From a capacity of 64 on, the order is kept once half of the room is taken.
CACHED_TEST(order_near_the_bound, CAPACITY(64), SCOPE("activation,forward")) {
  const auto made = [&](int n) { return made_by_describing(engine, kReluForward, n); };
  for (int n = 0; n < 40; ++n) CHECK_EQ(made(100 + n), 1);
  CHECK_EQ(made(100), 0);  // more recent now than all the others
  for (int n = 40; n < 65; ++n) CHECK_EQ(made(100 + n), 1);
  CHECK_EQ(fake_live(kFakeDescriptor), 64);
  CHECK_EQ(made(100), 0);
  CHECK_EQ(made(102), 0);
  CHECK_EQ(made(101), 1);  // it was the least recently used
  CHECK_EQ(made(103), 1);  // and then this one
  CHECK_EQ(made(100), 0);
  CHECK_EQ(made(102), 0);
}

CACHED_TEST(live_ones_are_never_evicted, CAPACITY(1), SCOPE("activation")) {
  live_ones_stay(engine, [] {});
  CHECK_EQ(fake_live(kFakePrimitive), 1);
  call(engine, kReluBackward, 50);
  CHECK(fake_live(kFakeDescriptor) <= 2);  // the operation's and its hint's, at the same time
}

static void stays_bounded(mkldnn_engine_t engine, int capacity) {
  long most_primitives = 0, most_descriptors = 0;
  for (int n = 4; n < 104; ++n) {
    for (const What w : known_kinds()) {
      call_right(engine, w, n);
      most_primitives = std::max(most_primitives, fake_live(kFakePrimitive));
      most_descriptors =
          std::max(most_descriptors, fake_live(kFakeDescriptor) + fake_live(kFakeMemoryDescriptor));
    }
  }
  CHECK_TEXT(most_primitives <= capacity, most_primitives);
  // One call may hold a few handles of its own beyond that.
  CHECK_TEXT(most_descriptors <= capacity + 8, most_descriptors);
}

CACHED_TEST(bounded_at_2, CAPACITY(2)) { stays_bounded(engine, 2); }
CACHED_TEST(bounded_at_17, CAPACITY(17)) { stays_bounded(engine, 17); }

// A new primitive takes the place of an idle one before it is made, not after.
CACHED_TEST(room_is_made_first, CAPACITY(3), SCOPE("activation,forward")) {
  const Described a(engine, kReluForward, 4), b(engine, kReluForward, 5);
  { const Bound x(engine, a, 0), y(engine, a, 10), z(engine, a, 20); }
  CHECK_EQ(fake_live(kFakePrimitive), 3);
  const Bound other(engine, b, 0);
  CHECK_EQ(fake_live(kFakePrimitive), 3);
}

CACHED_TEST(idle_memory_objects_are_bounded, CAPACITY(5)) {
  for (int n = 4; n < 104; ++n) Memory(engine, image(n), buffer(0));
  CHECK(fake_live(kFakeMemory) <= 5);
  {
    std::vector<Memory> live;
    for (int i = 0; i < 30; ++i) {
      live.emplace_back(engine, image(200), buffer(i));
    }
    CHECK(fake_live(kFakeMemory) >= 30);
  }
  CHECK(fake_live(kFakeMemory) <= 5);
}

// A thread that filled the cache and sleeps must not leave the others nothing.
TEST(every_thread_has_its_share, ASSUME, CAPACITY(40), SCOPE("activation")) {
  Engine engine;
  call_all(engine, kReluBackward, 4, 104);
  CHECK(fake_live(kFakePrimitive) <= 40);
  on_thread([&] {
    for (int round = 0; round < 3; ++round) {
      for (int n = 4; n < 8; ++n) {
        CHECK_EQ(made_by_call(engine, kReluBackward, n), round == 0 ? 1 : 0);
      }
    }
  });
  check_no_misuse();
}

// Thread CPU nanoseconds of a miss beyond the bound, with so many descriptors held; the fastest of
// several, because other processes may come in between.
static double ns_per_miss(int held) {
  Engine engine;
  const std::vector<Described> all = described(engine, kReluForward, 4, 4 + held);
  double fastest = 1e18;
  int n = 1000000;
  for (int round = 0; round < 20; ++round) {
    const int misses = 200;
    timespec start, end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    for (int i = 0; i < misses; ++i) Described(engine, kReluForward, n++);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    const double ns = 1e9 * static_cast<double>(end.tv_sec - start.tv_sec) +
                      static_cast<double>(end.tv_nsec - start.tv_nsec);
    fastest = std::min(fastest, ns / misses);
  }
  return fastest;
}

static void check_misses() {
  on_thread([] {
    const double few = ns_per_miss(100), many = ns_per_miss(8000);
    CHECK_TEXT(many < 4 * few, many << " ns with 8000 held, " << few << " ns with 100");
  });
}

// MXNet holds descriptors for every shape it ever met: a miss must not pass over all of them.
TEST(miss_takes_as_long_however_many_are_held, ASSUME, CAPACITY(64), SCOPE("activation,forward")) {
  check_misses();
}
// The same where the bound is one on memory.
TEST(miss_beyond_the_bound_on_memory, ASSUME, MEMORY(16K), SCOPE("activation,forward")) {
  check_misses();
}

// A bounded look at those in use still finds those that nobody holds.
CACHED_TEST(unused_descriptors_are_found_between_used_ones, CAPACITY(64),
            SCOPE("activation,forward")) {
  const int held = 3000;
  std::vector<Described> all;
  for (int n = 0; n < held; ++n) {
    all.emplace_back(engine, kReluForward, 4 + n);
    Described(engine, kReluForward, 100000 + n);
  }
  for (int n = 0; n < 3 * held; ++n) Described(engine, kReluForward, 200000 + n);
  CHECK_TEXT(fake_live(kFakeDescriptor) <= held + held / 15 + 64, fake_live(kFakeDescriptor));
  all.clear();
  for (int n = 0; n < 1000; ++n) Described(engine, kReluForward, 80000 + n);
  CHECK_EQ(fake_live(kFakeDescriptor), 64);
}
