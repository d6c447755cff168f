// Threads: a primitive belongs to the thread that made it, finds its way home when it is released
// elsewhere, and outlives its thread when somebody still holds it.
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "opcache.h"
#include "workload.h"

using namespace workload;

WORKER_TEST(threads_do_not_share_primitives) {
  for (const int made : {1, 0}) {
    for (Worker *worker : {&a, &b}) {
      worker->run([&] { CHECK_EQ(made_by_call(engine, kReluBackward, 4), made); });
    }
  }
}

WORKER_TEST(released_elsewhere_it_goes_home) {
  Described pd;
  std::unique_ptr<Bound> bound;
  a.run([&] { pd = Described(engine, kReluBackward, 4); });
  for (int round = 0; round < 5; ++round) {
    const long made = round == 0 ? 1 : 0;
    a.run([&] {
      CHECK_EQ(primitives_made_by([&] { bound = std::make_unique<Bound>(engine, pd, 10 * round); }),
               made);
      bound->run(content(engine, kReluBackward, 4));
    });
    b.run([&] { bound.reset(); });
    // It is not there for the thread that released it.
    b.run([&] { CHECK_EQ(made_by_call(engine, kReluBackward, 4), made); });
  }
  b.run([&] { pd.reset(); });
}

WORKER_TEST(executed_on_another_thread) {
  for (int round = 0; round < 3; ++round) {
    Pair relu;
    a.run([&] { relu.make(engine, kReluBackward, 4, 10 * round); });
    b.run([&] { relu->run(content(engine, kReluBackward, 4)); });
    b.run([&] { relu->memories[0].point_to(buffer(10 * round)); });
    a.run([&] { relu->run(content(engine, kReluBackward, 4)); });
    a.run([&] { relu.reset(); });
  }
}

// A descriptor from one thread, primitives of it on another: those are the other's own.
WORKER_TEST(descriptor_used_on_another_thread) {
  Described pd;
  a.run([&] { pd = Described(engine, kConvolutionForward, 4); });
  {
    Worker user;
    for (int round = 0; round < 3; ++round) {
      user.run([&] {
        CHECK_EQ(primitives_made_by([&] {
                   Bound(engine, pd, 10 * round).run(content(engine, kConvolutionForward, 4));
                 }),
                 round == 0 ? 1 : 0);
      });
    }
    // The user's own description finds the same.
    user.run([&] { CHECK_EQ(made_by_call(engine, kConvolutionForward, 4), 0); });
  }
  // The maker's descriptor survived the user's end.
  a.run([&] { Bound(engine, pd, 0).run(); });
  a.run([&] { pd.reset(); });
}

TEST(live_primitives_outlive_their_thread, ASSUME) {
  const Engine engine;
  std::vector<Bound> live;
  Described pd;
  on_thread([&] {
    pd = Described(engine, kReluBackward, 4);
    for (int i = 0; i < 3; ++i) live.emplace_back(engine, pd, 10 * i);
    call(engine, kPoolingBackward, 4);
  });
  CHECK_EQ(fake_live(kFakePrimitive), 3);  // the idle ones are gone
  for (int round = 0; round < 2; ++round) {
    for (Bound &bound : live) bound.run(content(engine, kReluBackward, 4));
  }
  // Destroyed for real, here and elsewhere, once nobody holds them.
  live.pop_back();
  CHECK_EQ(fake_live(kFakePrimitive), 2);
  on_thread([&] { live.pop_back(); });
  CHECK_EQ(fake_live(kFakePrimitive), 1);
  // The descriptor is still good for more, of this thread's own.
  Bound(engine, pd, 50).run(content(engine, kReluBackward, 4));
  live.clear();
  pd.reset();
  check_no_misuse();
}

// What ended threads left behind goes on this one: its idle primitives keep their scratchpad.
TEST(scratchpad_of_idle_primitives, ASSUME) {
  Engine engine;
  fake_count_scratchpads(1);
  on_thread([&] {
    for (const What what : {kConvolutionForward, kConvolutionBackwardWeights, kDeconvolutionForward,
                            kInnerProductBackwardData}) {
      Pair left;
      on_thread([&] { left.make(engine, what, 4, 0); });
      call_right(engine, what, 5);
      left.reset();
      CHECK_EQ(primitives_made_by([&] { call_right(engine, what, 5); }), 0);
      check_no_misuse();
    }
  });
  engine.reset();
  check_all_gone();
}

// Released on a thread that goes on, they do not pile up: each goes when the next thread ends.
TEST(orphans_go_when_a_thread_ends, ASSUME) {
  Engine engine;
  Pair left;
  for (int i = 0; i < 3; ++i) {
    on_thread([&] { left.make(engine, kConvolutionForward, 4, 0); });
    CHECK_EQ(fake_live(kFakePrimitive), 1);
    left.reset();
  }
  on_thread([&] { call(engine, kReluForward, 4); });
  engine.reset();
  check_all_gone();
}

// The thread's memory may be given to the next one: what outlived the first must not be taken for
// the second's.
TEST(next_thread_at_the_same_address, ASSUME) {
  Engine engine;
  for (int round = 0; round < 30; ++round) {
    Described pd;
    on_thread([&] { pd = Described(engine, kReluBackward, 4); });
    on_thread([&] {
      for (int i = 0; i < 3; ++i) {
        Bound(engine, pd, 10 * i).run(content(engine, kReluBackward, 4));
      }
      pd.reset();
      call_all(engine, kReluBackward, 4, 8);
    });
    check_none_lives();
  }
  engine.reset();
  check_all_gone();
}

TEST(a_thousand_threads_come_and_go, ASSUME) {
  Engine engine;
  Pair left;
  for (int i = 0; i < 1000; ++i) {
    on_thread([&] {
      call(engine, kReluBackward, 4 + i % 7);
      call(engine, kConvolutionBackwardWeights, 4);
      // Each leaves something behind for the next to release.
      left.make(engine, kPoolingBackward, 4, 0);
    });
    CHECK(fake_live(kFakePrimitive) <= 1);
    CHECK(fake_live(kFakeDescriptor) <= 2);
  }
  left.reset();
  const Stats stats;
  CHECK_EQ(stats["threads"], 1);
  CHECK_EQ(stats["operators/_backward_Activation/primitives_created"], 1000);
  for (const char *field : {"live_primitives", "idle_primitives", "descriptors"}) {
    CHECK_EQ(stats[std::string("totals/") + field], 0);
  }
  engine.reset();
  check_all_gone();
}

// Calls on a thread of its own; how many of `n` equal ones created a primitive.
static long made_on_thread(const Engine &engine, int n, What what = kPoolingBackward) {
  long made = 0;
  on_thread([&] {
    for (int i = 0; i < n; ++i) made += made_by_call(engine, what, 4);
  });
  return made;
}

// Threads in a row that end after `calls` different calls: after eight the next are on trial.
static void end_in_a_row(const Engine &engine, int threads = 8, int calls = 1) {
  for (int i = 0; i < threads; ++i) {
    on_thread([&] {
      for (int n = 0; n < calls; ++n) CHECK_EQ(made_by_call(engine, kPoolingBackward, 4 + n), 1);
    });
  }
}

// Many threads at once, with primitives, descriptors and memory objects released on whichever
// thread comes by; addresses are reused at once. Everybody must find its own data and operation.
static void hammer(int threads, int steps, int in_a_row = 0) {
  fake_reuse_addresses(1);
  {
    Engine engine;
    end_in_a_row(engine, in_a_row, 25);
    std::atomic<int> started(0);
    struct Held : Pair {
      uint64_t expected;
    };
    std::mutex mutex;
    std::deque<Held> exchange;
    std::vector<std::vector<uint64_t>> contents(kShuffle);
    for (const What what : known_kinds()) {
      for (int n = 0; n < 4; ++n) {
        contents[static_cast<size_t>(what)].push_back(content(engine, what, 4 + n));
      }
    }
    const auto run = [&](unsigned seed) {
      std::mt19937 random(seed);
      std::vector<Held> own;
      // All start before one ends.
      call(engine, kPoolingBackward, 4);
      for (++started; started < threads; std::this_thread::yield()) continue;
      for (int step = 0; step < steps; ++step) {
        switch (random() % 4) {
          case 0: {
            const What what = static_cast<What>(random() % kShuffle);
            const int n = static_cast<int>(random() % 4);
            Held held;
            held.make(engine, what, 4 + n, static_cast<int>(random() % 1000));
            held.expected = contents[what][n];
            if (random() % 2 == 0) held.pd.reset();
            own.push_back(std::move(held));
            break;
          }
          case 1: {
            for (const Held &held : own) held->run(held.expected);
            // One more of a descriptor that may come from another thread.
            if (own.empty() || own.back().pd.handle == nullptr) break;
            Held another;
            another.bound =
                std::make_unique<Bound>(engine, own.back().pd, static_cast<int>(random() % 1000));
            another.expected = own.back().expected;
            own.push_back(std::move(another));
            break;
          }
          case 2:
            if (!own.empty()) own.erase(own.begin() + static_cast<long>(random() % own.size()));
            break;
          default: {
            std::lock_guard<std::mutex> lock(mutex);
            if (!own.empty()) {
              exchange.push_back(std::move(own.back()));
              own.pop_back();
            }
            if (random() % 2 == 0 && !exchange.empty()) {
              own.push_back(std::move(exchange.front()));
              exchange.pop_front();
            }
          }
        }
        if (own.size() > 6) own.erase(own.begin());
      }
    };
    // Two generations: the second meets what the first left behind.
    for (unsigned generation = 0; generation < 2; ++generation) {
      std::vector<std::thread> all;
      for (int i = 0; i < threads; ++i) {
        all.emplace_back(run, 100 * generation + static_cast<unsigned>(i));
      }
      for (std::thread &t : all) t.join();
    }
    on_thread([&] { exchange.clear(); });
  }
  check_all_gone();
}

TEST(many_threads, ASSUME) { hammer(4, 800); }
TEST(many_threads_small_capacity, ASSUME, CAPACITY(3)) { hammer(4, 800); }
TEST(many_threads_small_memory, ASSUME, MEMORY(60K)) { hammer(4, 800); }
TEST(many_threads_scope_backward, ASSUME, SCOPE("backward")) { hammer(4, 800); }
TEST(many_threads_on_trial, ASSUME, TRIAL(100)) {
  hammer(4, 800, 8);
  CHECK_EQ(Stats()["bypasses/trial"], 4);
}
TEST(many_threads_capacity_0, ASSUME, CAPACITY(0)) { hammer(4, 800); }

TEST(threads_that_end_soon_have_no_cache, ASSUME, TRIAL(1000)) {
  const Engine engine;
  for (int row = 0; row < 2; ++row) {
    end_in_a_row(engine, 7);
    CHECK_EQ(made_on_thread(engine, 2), 1);  // it avoided what it created: its cache has paid
    end_in_a_row(engine);
    CHECK_EQ(Stats()["bypasses/trial"], 4 * row);
    for (int i = 0; i < 3; ++i) CHECK_EQ(made_on_thread(engine, 1), 1);
    // Two calls pass, the third fills the cache, which has paid when the thread ends.
    CHECK_EQ(made_on_thread(engine, 400), 3);
    CHECK_EQ(Stats()["bypasses/trial"], 4 * row + 4);
  }
  check_no_misuse();
}

// Wherever in the row it stands.
TEST(trials_are_twice_as_long_as_the_longest, ASSUME, TRIAL(1000)) {
  const Engine engine;
  end_in_a_row(engine, 4);
  end_in_a_row(engine, 1, 3);
  end_in_a_row(engine, 3);
  CHECK_EQ(made_on_thread(engine, 9), 7);
  CHECK_EQ(made_on_thread(engine, 2), 1);
}

TEST(trials_end, ASSUME, TRIAL(1)) {
  const Engine engine;
  end_in_a_row(engine);
  CHECK_EQ(made_on_thread(engine, 2), 2);
  CHECK_EQ(made_on_thread(engine, 400), 2);
  check_no_misuse();
}

// A cache that would pay is not left untried for ever.
TEST(one_in_so_many_is_not_on_trial, ASSUME, TRIAL(1000)) {
  const Engine engine;
  end_in_a_row(engine, 8, 50);
  for (int i = 0; i < 63; ++i) CHECK_EQ(made_on_thread(engine, 20), 20);
  for (int i = 0; i < 2; ++i) CHECK_EQ(made_on_thread(engine, 20), 1);
  CHECK_EQ(Stats()["bypasses/trial"], 63);
}

// One on trial has idle primitives later, whose scratchpad an orphan must not take.
TEST(orphans_released_on_trial, ASSUME, TRIAL(1000), CAPACITY(100)) {
  Engine engine;
  fake_count_scratchpads(1);
  Pair left;
  on_thread([&] { left.make(engine, kConvolutionForward, 4, 0); });
  end_in_a_row(engine);
  on_thread([&] {
    call(engine, kPoolingBackward, 4);
    left.reset();
    for (int i = 0; i < 4; ++i) call(engine, kPoolingBackward, 4);
    Pair live;
    live.make(engine, kConvolutionForward, 6, 0);
    for (int i = 0; i < 3; ++i) call_right(engine, kConvolutionForward, 5);
    live.reset();
    mkldnn_opcache_set_capacity(1);
    mkldnn_opcache_set_capacity(100);
    call_right(engine, kConvolutionForward, 6);
    check_no_misuse();
  });
  engine.reset();
  check_all_gone();
}

// Whatever else a thread creates; and one that does nothing else tells nothing.
TEST(what_is_out_of_scope_does_not_count, ASSUME, TRIAL(1000), SCOPE("pooling")) {
  const Engine engine;
  for (int i = 0; i < 8; ++i) {
    on_thread([&] {
      for (int n = 0; n < 20; ++n) call(engine, kReluBackward, 4);
      CHECK_EQ(made_by_call(engine, kPoolingBackward, 4), 1);
      CHECK_EQ(made_by_call(engine, kPoolingBackward, 4), 0);
    });
  }
  for (int i = 0; i < 8; ++i) {
    end_in_a_row(engine, 1);
    CHECK_EQ(made_on_thread(engine, 4, kReluBackward), 4);
  }
  CHECK_EQ(Stats()["bypasses/trial"], 1);  // the last of these
  CHECK_EQ(made_on_thread(engine, 2), 2);
}

TEST(what_passes_in_a_pause_does_not_count, ASSUME, TRIAL(1000)) {
  const Engine engine;
  for (int i = 0; i < 8; ++i) {
    mkldnn_opcache_pause();
    on_thread([&] {
      for (int n = 0; n < 9; ++n) CHECK_EQ(made_by_call(engine, kPoolingBackward, 4), 1);
      CHECK_EQ(mkldnn_opcache_resume(), 0);
      for (int n = 0; n < 3; ++n) call(engine, kPoolingBackward, 4);
    });
  }
  CHECK_EQ(made_on_thread(engine, 4), 1);
}

TEST(every_thread_caches, ASSUME, TRIAL(0)) {
  const Engine engine;
  for (int i = 0; i < 2; ++i) end_in_a_row(engine);
  CHECK_EQ(made_on_thread(engine, 2), 1);
  CHECK_EQ(Stats()["bypasses/trial"], 0);
}

// One thread describes what another makes primitives of, at the same time, both from the cache.
TEST(descriptor_in_use_on_two_threads, ASSUME) {
  for (const What what : {kConvolutionForward, kConvolutionBackwardWeights, kPoolingBackward}) {
    Engine engine;
    Worker maker;
    Described pd;
    maker.run([&] { pd = Described(engine, what, 4); });
    const uint64_t expected = content(engine, what, 4);
    std::thread user([&] {
      for (int i = 0; i < 300; ++i) Bound(engine, pd, i % 100).run(expected);
    });
    maker.run([&] {
      for (int i = 0; i < 300; ++i) {
        const Described again(engine, what, 4);
        CHECK_EQ(again, pd);
#ifdef API1
        mkldnn_primitive_desc_query_md(again, mkldnn_query_src_md, 0);
#else
        mkldnn_primitive_desc_query_pd(again, mkldnn_query_src_pd, 0);
#endif
      }
    });
    user.join();
    maker.run([&] { pd.reset(); });
  }
  check_no_misuse();
}
