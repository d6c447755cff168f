// Scope and capacity that change between two calls: what callers hold from before stays valid and
// right, and what is outside the new scope is passed through. One group of functions after another;
// the end of the process last.
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "opcache.h"
#include "workload.h"

using namespace workload;

namespace {

// Runs it where its caller's data are now, which are not where they were.
void move_and_run(Bound *bound, int first, uint64_t expected) {
  bound->move_to(first);
  bound->first = first;
  bound->run(expected);
}

// A cached primitive that ran elsewhere before, made anew from the cache: unless it is rebound, it
// reads what the earlier caller's memory objects pointed to.
std::unique_ptr<Bound> reused(mkldnn_engine_t engine, const Described &pd, int first) {
  Bound(engine, pd, first + 500).run();
  const long before = fake_created(kFakePrimitive);
  auto bound = std::make_unique<Bound>(engine, pd, first);
  CHECK_EQ(fake_created(kFakePrimitive), before);
  return bound;
}

}  // namespace

// Every way to switch off and on again, with a primitive held across it.
static void held_across(const std::function<void()> &off, const std::function<void()> &on) {
  with_engine([&](mkldnn_engine_t engine) {
    for (const What what : {kReluBackward, kConvolutionBackwardWeights, kReorder, kSum}) {
      const uint64_t expected = content(engine, what, 4);
      const Described pd(engine, what, 4);
      {
        auto cached = reused(engine, pd, 10);
        off();
        // Cached before: it still follows its data, here in a stream made since.
        move_and_run(cached.get(), 50, expected);
        // The canonical descriptor is good for a real primitive, which is really destroyed.
        const long live = fake_live(kFakePrimitive), made = fake_created(kFakePrimitive);
        {
          Bound passed(engine, pd, 100);
          CHECK_EQ(fake_created(kFakePrimitive), made + 1);
          move_and_run(&passed, 150, expected);
          cached->run(expected);
          on();
          move_and_run(&passed, 180, expected);
        }
        CHECK_EQ(fake_live(kFakePrimitive), live);
        move_and_run(cached.get(), 200, expected);
        off();
      }
      on();
      call(engine, what, 4, 300);
    }
  });
}

TEST(held_across_scope_off, ASSUME) {
  held_across([] { set_scope("off"); }, [] { set_scope("all"); });
}
TEST(held_across_another_scope, ASSUME) {
  held_across([] { set_scope("softmax"); }, [] { set_scope("all"); });
}
TEST(held_across_capacity_0, ASSUME) {
  held_across([] { mkldnn_opcache_set_capacity(0); }, [] { mkldnn_opcache_set_capacity(100); });
}
TEST(held_across_a_pause, ASSUME) {
  held_across([] { mkldnn_opcache_pause(); }, [] { mkldnn_opcache_resume(); });
}
TEST(held_across_a_clear, ASSUME) {
  const auto off = [] { mkldnn_opcache_clear(), set_scope("off"); };
  held_across(off, [] { set_scope("all"), mkldnn_opcache_clear(); });
}

// Released outside the scope it is kept as ever: a pause must not cost the cache. Without capacity
// it is destroyed.
CACHED_TEST(released_while_off) {
  const Described pd(engine, kReluBackward, 4);
  auto cached = reused(engine, pd, 10);
  mkldnn_opcache_pause();
  cached.reset();
  CHECK_EQ(fake_live(kFakePrimitive), 1);
  mkldnn_opcache_resume();
  cached = reused(engine, pd, 10);
  mkldnn_opcache_set_capacity(0);
  CHECK_EQ(fake_live(kFakePrimitive), 1);
  cached.reset();
  CHECK_EQ(fake_live(kFakePrimitive), 0);
}

// An iterator from before goes on through the same implementations, and caches no more.
CACHED_TEST(iterator_across_changes) {
  const operation::OpDesc relu = op_desc(kReluForward, 4);
  // Three implementations; the scope before the first and before each next one.
  const auto walk = [&](const std::array<const char *, 3> &scopes) {
    std::vector<uint64_t> contents;
    set_scope(scopes[0]);
    Iterator it(engine, relu);
    for (const char *text : scopes) {
      set_scope(text);
      if (!contents.empty()) CHECK_OK(it.next());
      const Described pd = it.fetch();
      contents.push_back(fake_content(pd));
      Bound(engine, pd, 0).run(contents.back());
    }
    CHECK_EQ(it.next(), mkldnn_iterator_ends);
    return contents;
  };
  const std::vector<uint64_t> expected = walk({"off", "off", "off"});
  CHECK_EQ(Stats()["totals/descriptors"], 0);
  CHECK(walk({"activation,forward", "off", "off"}) == expected);
  CHECK_EQ(Stats()["totals/descriptors"], 1);
  CHECK(walk({"off", "activation,forward", "activation,forward"}) == expected);
  CHECK(walk({"activation,forward", "off", "activation,forward"}) == expected);
  CHECK_EQ(Stats()["totals/descriptors"], 2);
  CHECK(walk({"all", "all", "all"}) == expected);
  const long made = fake_created(kFakeDescriptor);
  CHECK(walk({"all", "all", "all"}) == expected);
  CHECK_EQ(fake_created(kFakeDescriptor), made);
}

#ifndef API1  // of streams and memory objects that the library stands before

// A stream made while the cache is off executes what the cache hands out later: eager, lazy, rerun.
CACHED_TEST(stream_made_while_off, SCOPE("off")) {
  Stream eager(mkldnn_eager), lazy(mkldnn_lazy);
  set_scope("all");
  const Described pd(engine, kReluBackward, 4);
  Bound(engine, pd, 500).run();
  auto bound = reused(engine, pd, 10);
  eager.submit(*bound);
  bound->check_log(10);
  lazy.submit(*bound);
  bound->move_to(30);
  lazy.wait();
  bound->check_log(30);
  eager.wait();
  bound->move_to(60);
  set_scope("off");
  for (Stream *stream : {&eager, &lazy}) {
    stream->rerun();
    bound->check_log(60);
  }
}

// One stream for what was cached before, what is passed through and what is cached after.
CACHED_TEST(stream_across_changes) {
  const Described pd(engine, kReluBackward, 4);
  for (const mkldnn_stream_kind_t kind : {mkldnn_eager, mkldnn_lazy}) {
    Stream stream(kind);
    std::vector<Bound> bounds;
    const long before = fake_executions();
    for (int i = 0; i < 12; ++i) {
      set_scope(i % 2 == 0 ? "all" : "off");
      bounds.emplace_back(engine, pd, 10 * i);
      set_scope(i % 3 == 0 ? "all" : "off");
      stream.submit(bounds.back().handle);
    }
    stream.wait();
    stream.rerun();
    CHECK_EQ(fake_executions(), before + 24);
    for (int i = 0; i < 24; ++i) {
      CHECK_EQ(fake_execution(before + i).data[0], buffer(10 * (i % 12)));
    }
  }
  set_scope("all");
}

// A hint, inputs of a sum, and layouts, described on one side of a change and used on the other.
CACHED_TEST(descriptors_across_changes) {
  operation::OpDesc forward;
  CHECK_OK(operation_of(kPoolingBackward, 4).describe(operation::kForward, &forward));
  typedef std::pair<const char *, const char *> Scopes;
  for (const Scopes &scopes :
       {Scopes("all", "off"), {"off", "all"}, {"all", "off"}, {"off", "all"}}) {
    Described clone;
    {
      set_scope(scopes.first);
      const Described hint(engine, forward), first(engine, image(4));
      set_scope(scopes.second);
      const Described pooling(engine, op_desc(kPoolingBackward, 4), hint);
      CHECK_EQ(fake_content(pooling), content(engine, kPoolingBackward, 4));
      const Described second(engine, image(4));
      const float scales[] = {1.0f, 2.0f};
      const_mkldnn_primitive_desc_t inputs[] = {first, second};
      Described sum;
      CHECK_OK(mkldnn_sum_primitive_desc_create(&sum.handle, nullptr, 2, scales, inputs));
      CHECK_EQ(fake_content(sum), content(engine, kSum, 4));
      // A layout asked for on both sides; the clone outlives the descriptor.
      for (const char *text : {scopes.first, scopes.second, scopes.first}) {
        set_scope(text);
        const auto layout = mkldnn_primitive_desc_query_pd(hint, mkldnn_query_src_pd, 0);
        REQUIRE(layout != nullptr);
        CHECK_EQ(mkldnn_primitive_desc_query_memory_d(layout)->dims[2], 8);
        clone = Described::clone_of(layout);
      }
      set_scope(scopes.second);
    }
    mkldnn_opcache_clear();
    CHECK_EQ(mkldnn_primitive_desc_query_memory_d(clone)->dims[2], 8);
  }
}

// An input that is another primitive's output, on all four sides of a change.
CACHED_TEST(chains_across_changes) {
  const Described reorder(engine, kReorder, 4), relu(engine, kReluForward, 4);
  for (int round = 0; round < 8; ++round) {
    const int base = 100 * round;
    set_scope(round & 1 ? "all" : "off");
    Bound producer(engine, reorder, base);
    Memory out(engine, buffer(base + 50));
    set_scope(round & 2 ? "all" : "off");
    const Primitive consumer(relu, {{producer, 0}}, {out});
    set_scope(round & 4 ? "all" : "off");
    for (const int moved : {1, 20}) {
      producer.memories[1].point_to(buffer(base + moved));
      Stream stream(mkldnn_eager);
      stream.submit(producer);
      CHECK_EQ(last_execution().data[1], buffer(base + moved));
      stream.submit(consumer);
      CHECK_EQ(last_execution().data[0], buffer(base + moved));
      CHECK_EQ(last_execution().data[1], buffer(base + 50));
    }
  }
}

// Memory objects are cached too: those from before a change keep their data, new ones have none.
CACHED_TEST(memory_objects_across_changes) {
  for (int round = 0; round < 3; ++round) {
    for (const char *text : {"all", "off", "backward", "lrn"}) {
      set_scope(text);
      const Memory kept(engine, image(4), buffer(7));
      set_scope(round % 2 == 0 ? "off" : "all");
      const Memory fresh(engine, image(4));
      CHECK(fresh.data() == nullptr);
      CHECK_EQ(kept.data(), buffer(7));
    }
  }
  mkldnn_opcache_clear();
  CHECK_EQ(fake_live(kFakeMemory), 0);
}

#endif

namespace {

struct Ending {
  Engine engine;
  Pair relu;
};
Ending *g_ending;

// Calls of a thread that goes on; of the main one the fake remembers no executions any more.
void while_the_process_ends() {
  Engine &engine = g_ending->engine;
  const long asked = fake_calls("omp_get_max_threads");
  on_thread([&] {
    set_scope("all");  // cannot be put in force again
    for (const What what : known_kinds()) CHECK_EQ(made_by_call(engine, what, 4), 1);
    // What was cached before is good as ever.
    CHECK_EQ(made_by_running(engine, g_ending->relu.pd), 1);
    move_and_run(g_ending->relu.bound.get(), 50, content(engine, kReluBackward, 4));
    g_ending->relu.reset();
  });
  mkldnn_opcache_clear();
  on_thread([&] { keeps_nothing(engine); });
  CHECK_EQ(fake_calls("omp_get_max_threads"), asked);
  CHECK_EQ(Stats().text("active"), "true");  // in the report at exit
  engine.reset();
  check_end();
  if (check::failures() > 0) _exit(1);
}

}  // namespace

// The last function given to atexit runs first: the library's, given by its first call, before this
// one. What this one uses, other than the library, comes before it.
TEST(nothing_is_cached_while_the_process_ends, ASSUME) {
  g_ending = new Ending;
  const Engine &engine = g_ending->engine;
  for (const What what : known_kinds()) content(engine, what, 4);
  REQUIRE(atexit(while_the_process_ends) == 0);
  CHECK_EQ(made_by_call(engine, kReluBackward, 4), 1);
  CHECK_EQ(primitives_made_by([&] { g_ending->relu.make(engine, kReluBackward, 4, 0); }), 0);
}
