// Scope and capacity that change between two calls: what callers hold from before stays valid and
// right, and what is outside the new scope is passed through. One group of functions after another.
#include <array>
#include <memory>

#include "opcache.h"
#include "workload.h"

using namespace workload;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

namespace {

void set_scope(const char *text) { CHECK_EQ(mkldnn_opcache_set_scope(text, nullptr, 0), 0); }

// Runs it where its caller's data are now, which are not where they were.
void move_and_run(Bound *bound, int first, uint64_t expected) {
  for (size_t i = 0; i < bound->memories.size(); ++i) {
    bound->memories[i]->point_to(buffer(first + static_cast<int>(i)));
  }
  bound->first = first;
  bound->run(expected);
}

// A cached primitive that ran elsewhere before, made anew from the cache: unless it is rebound, it
// reads what the earlier caller's memory objects pointed to.
std::unique_ptr<Bound> reused(mkldnn_engine_t engine, const Described &pd, int first) {
  Bound(engine, pd.pd, first + 500).run();
  std::unique_ptr<Bound> bound;
  CHECK_EQ(primitives_made_by([&] { bound = std::make_unique<Bound>(engine, pd.pd, first); }), 0);
  return bound;
}

}  // namespace

// Every way to switch off and on again, with a primitive held across it.
static void held_across(const std::function<void()> &off, const std::function<void()> &on) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] {
    for (const What what : {kReluBackward, kConvolutionBackwardWeights, kReorder, kSum}) {
      const uint64_t expected = content(engine, what, 4);
      const Described pd(engine, what, 4);
      {
        auto cached = reused(engine, pd, 10);
        off();
        // Cached before: it still follows its data, here in a stream made since.
        move_and_run(cached.get(), 50, expected);
        // The canonical descriptor is good for a real primitive, which is really destroyed.
        const long live = fake_live(kFakePrimitive);
        {
          std::unique_ptr<Bound> passed;
          CHECK_EQ(
              primitives_made_by([&] { passed = std::make_unique<Bound>(engine, pd.pd, 100); }), 1);
          move_and_run(passed.get(), 150, expected);
          cached->run(expected);
          on();
          move_and_run(passed.get(), 180, expected);
        }
        CHECK_EQ(fake_live(kFakePrimitive), live);
        move_and_run(cached.get(), 200, expected);
        off();
      }
      on();
      call(engine, what, 4, 300);
    }
  });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
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
  held_across(
      [] {
        mkldnn_opcache_clear();
        set_scope("off");
      },
      [] {
        set_scope("all");
        mkldnn_opcache_clear();
      });
}

// Released outside the scope it is kept as ever: a pause must not cost the cache. Without capacity
// it is destroyed.
TEST(released_while_off, ASSUME) {
  Engine engine;
  on_thread([&] {
    const Described pd(engine.handle, kReluBackward, 4);
    auto cached = reused(engine.handle, pd, 10);
    mkldnn_opcache_pause();
    cached.reset();
    CHECK_EQ(fake_live(kFakePrimitive), 1);
    mkldnn_opcache_resume();
    cached = reused(engine.handle, pd, 10);
    mkldnn_opcache_set_capacity(0);
    CHECK_EQ(fake_live(kFakePrimitive), 1);
    cached.reset();
    CHECK_EQ(fake_live(kFakePrimitive), 0);
  });
  check_no_misuse();
}

// A stream made while the cache is off executes what the cache hands out later: eager, lazy, rerun.
TEST(stream_made_while_off, ASSUME, "MKLDNN_OPCACHE=off") {
  on_thread([] {
    Engine engine;
    Stream eager(mkldnn_eager), lazy(mkldnn_lazy);
    set_scope("all");
    const Described pd(engine.handle, kReluBackward, 4);
    Bound(engine.handle, pd.pd, 500).run();
    auto bound = reused(engine.handle, pd, 10);
    eager.submit(bound->handle);
    bound->check_log(10, 0);
    lazy.submit(bound->handle);
    for (int i = 0; i < 3; ++i) bound->memories[static_cast<size_t>(i)]->point_to(buffer(30 + i));
    lazy.wait();
    bound->check_log(30, 0);
    eager.wait();
    for (int i = 0; i < 3; ++i) bound->memories[static_cast<size_t>(i)]->point_to(buffer(60 + i));
    set_scope("off");
    for (const Stream *stream : {&eager, &lazy}) {
      CHECK_OK(mkldnn_stream_rerun(stream->handle, nullptr));
      bound->check_log(60, 0);
    }
  });
  check_no_misuse();
}

// One stream for what was cached before, what is passed through and what is cached after.
TEST(stream_across_changes, ASSUME) {
  on_thread([] {
    Engine engine;
    const Described pd(engine.handle, kReluBackward, 4);
    for (const mkldnn_stream_kind_t kind : {mkldnn_eager, mkldnn_lazy}) {
      Stream stream(kind);
      std::vector<std::unique_ptr<Bound>> bounds;
      const long before = fake_executions();
      for (int i = 0; i < 12; ++i) {
        set_scope(i % 2 == 0 ? "all" : "off");
        bounds.push_back(std::make_unique<Bound>(engine.handle, pd.pd, 10 * i));
        set_scope(i % 3 == 0 ? "all" : "off");
        stream.submit(bounds.back()->handle);
      }
      stream.wait();
      CHECK_OK(mkldnn_stream_rerun(stream.handle, nullptr));
      CHECK_EQ(fake_executions(), before + 24);
      for (int i = 0; i < 24; ++i) {
        CHECK_EQ(fake_execution(before + i).data[0], buffer(10 * (i % 12)));
      }
    }
    set_scope("all");
  });
  check_no_misuse();
}

// An iterator from before goes on through the same implementations, and caches no more.
TEST(iterator_across_changes, ASSUME) {
  on_thread([] {
    Engine engine;
    mkldnn_eltwise_desc_t relu;
    const mkldnn_memory_desc_t data = image(4);
    CHECK_OK(mkldnn_eltwise_forward_desc_init(&relu, mkldnn_forward_training, mkldnn_eltwise_relu,
                                              &data, 0, 0));
    // Three implementations; the scope before the first and before each next one.
    const auto walk = [&](const std::array<const char *, 3> &scopes) {
      std::vector<uint64_t> contents;
      mkldnn_primitive_desc_iterator_t it = nullptr;
      for (const char *text : scopes) {
        set_scope(text);
        if (it == nullptr) {
          CHECK_OK(mkldnn_primitive_desc_iterator_create(&it, &relu, engine.handle, nullptr));
        } else {
          CHECK_OK(mkldnn_primitive_desc_iterator_next(it));
        }
        const mkldnn_primitive_desc_t pd = mkldnn_primitive_desc_iterator_fetch(it);
        contents.push_back(fake_content(pd));
        Bound(engine.handle, pd, 0).run(contents.back());
        CHECK_OK(mkldnn_primitive_desc_destroy(pd));
      }
      CHECK_EQ(mkldnn_primitive_desc_iterator_next(it), mkldnn_iterator_ends);
      CHECK_OK(mkldnn_primitive_desc_iterator_destroy(it));
      return contents;
    };
    const std::vector<uint64_t> expected = walk({"off", "off", "off"});
    const double nothing = Stats()["totals/descriptors"];
    CHECK_EQ(nothing, 0);
    CHECK(walk({"activation,forward", "off", "off"}) == expected);
    CHECK_EQ(Stats()["totals/descriptors"], 1);
    CHECK(walk({"off", "activation,forward", "activation,forward"}) == expected);
    CHECK(walk({"activation,forward", "off", "activation,forward"}) == expected);
    CHECK_EQ(Stats()["totals/descriptors"], 2);
    CHECK(walk({"all", "all", "all"}) == expected);
    const long made = fake_created(kFakeDescriptor);
    CHECK(walk({"all", "all", "all"}) == expected);
    CHECK_EQ(fake_created(kFakeDescriptor), made);
  });
  check_no_misuse();
  CHECK_EQ(fake_live(kFakeIterator), 0);
}

// A hint, inputs of a sum, and layouts, described on one side of a change and used on the other.
TEST(descriptors_across_changes, ASSUME) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  const mkldnn_memory_desc_t md = image(4);
  mkldnn_pooling_desc_t forward, backward;
  const mkldnn_memory_desc_t big = image(8);
  const int twos[] = {2, 2}, zeros[] = {0, 0};
  CHECK_OK(mkldnn_pooling_forward_desc_init(&forward, mkldnn_forward_training, mkldnn_pooling_max,
                                            &big, &md, twos, twos, zeros, zeros,
                                            mkldnn_padding_zero));
  CHECK_OK(mkldnn_pooling_backward_desc_init(&backward, mkldnn_pooling_max, &big, &md, twos, twos,
                                             zeros, zeros, mkldnn_padding_zero));
  on_thread([&] {
    for (int round = 0; round < 2; ++round) {
      for (const auto &scopes : {std::pair<const char *, const char *>("all", "off"),
                                 std::pair<const char *, const char *>("off", "all")}) {
        mkldnn_primitive_desc_t hint = nullptr, pooling = nullptr, clone = nullptr, sum = nullptr,
                                inputs[2] = {nullptr, nullptr};
        set_scope(scopes.first);
        CHECK_OK(mkldnn_primitive_desc_create(&hint, &forward, engine, nullptr));
        CHECK_OK(mkldnn_memory_primitive_desc_create(&inputs[0], &md, engine));
        set_scope(scopes.second);
        CHECK_OK(mkldnn_primitive_desc_create(&pooling, &backward, engine, hint));
        CHECK_EQ(fake_content(pooling), content(engine, kPoolingBackward, 4));
        CHECK_OK(mkldnn_memory_primitive_desc_create(&inputs[1], &md, engine));
        const float scales[] = {1.0f, 2.0f};
        const_mkldnn_primitive_desc_t of[] = {inputs[0], inputs[1]};
        CHECK_OK(mkldnn_sum_primitive_desc_create(&sum, nullptr, 2, scales, of));
        CHECK_EQ(fake_content(sum), content(engine, kSum, 4));
        // A layout asked for on both sides; the clone outlives the descriptor.
        for (const char *text : {scopes.first, scopes.second, scopes.first}) {
          set_scope(text);
          const const_mkldnn_primitive_desc_t layout =
              mkldnn_primitive_desc_query_pd(hint, mkldnn_query_src_pd, 0);
          REQUIRE(layout != nullptr);
          CHECK_EQ(mkldnn_primitive_desc_query_memory_d(layout)->dims[2], 8);
          if (clone != nullptr) CHECK_OK(mkldnn_primitive_desc_destroy(clone));
          CHECK_OK(mkldnn_primitive_desc_clone(&clone, layout));
        }
        set_scope(scopes.second);
        for (mkldnn_primitive_desc_t pd : {pooling, hint, sum, inputs[0], inputs[1]}) {
          CHECK_OK(mkldnn_primitive_desc_destroy(pd));
        }
        mkldnn_opcache_clear();
        CHECK_EQ(mkldnn_primitive_desc_query_memory_d(clone)->dims[2], 8);
        CHECK_OK(mkldnn_primitive_desc_destroy(clone));
      }
    }
  });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}

// An input that is another primitive's output, on all four sides of a change.
TEST(chains_across_changes, ASSUME) {
  on_thread([] {
    Engine engine;
    const Described reorder(engine.handle, kReorder, 4), relu(engine.handle, kReluForward, 4);
    for (int round = 0; round < 8; ++round) {
      const int base = 100 * round;
      set_scope(round & 1 ? "all" : "off");
      Bound producer(engine.handle, reorder.pd, base);
      Memory out(engine.handle, buffer(base + 50));
      set_scope(round & 2 ? "all" : "off");
      const mkldnn_primitive_at_t input = mkldnn_primitive_at(producer.handle, 0);
      const_mkldnn_primitive_t output = out.handle;
      mkldnn_primitive_t consumer = nullptr;
      CHECK_OK(mkldnn_primitive_create(&consumer, relu.pd, &input, &output));
      set_scope(round & 4 ? "all" : "off");
      for (const int moved : {1, 20}) {
        producer.memories[1]->point_to(buffer(base + moved));
        Stream stream(mkldnn_eager);
        stream.submit(producer.handle);
        CHECK_EQ(fake_execution(fake_executions() - 1).data[1], buffer(base + moved));
        stream.submit(consumer);
        CHECK_EQ(fake_execution(fake_executions() - 1).data[0], buffer(base + moved));
        CHECK_EQ(fake_execution(fake_executions() - 1).data[1], buffer(base + 50));
      }
      CHECK_OK(mkldnn_primitive_destroy(consumer));
    }
  });
  check_no_misuse();
}

// Memory objects are cached too: those from before a change keep their data, new ones have none.
TEST(memory_objects_across_changes, ASSUME) {
  on_thread([] {
    Engine engine;
    for (int round = 0; round < 3; ++round) {
      for (const char *text : {"all", "off", "backward", "lrn"}) {
        set_scope(text);
        auto kept = std::make_unique<Memory>(engine.handle, image(4), buffer(7));
        set_scope(round % 2 == 0 ? "off" : "all");
        const mkldnn_memory_desc_t md = image(4);
        mkldnn_primitive_desc_t pd = nullptr;
        mkldnn_primitive_t fresh = nullptr;
        CHECK_OK(mkldnn_memory_primitive_desc_create(&pd, &md, engine.handle));
        CHECK_OK(mkldnn_primitive_create(&fresh, pd, nullptr, nullptr));
        void *data = buffer(9);
        CHECK_OK(mkldnn_memory_get_data_handle(fresh, &data));
        CHECK(data == nullptr);
        CHECK_OK(mkldnn_memory_get_data_handle(kept->handle, &data));
        CHECK_EQ(data, buffer(7));
        kept.reset();
        CHECK_OK(mkldnn_primitive_destroy(fresh));
        CHECK_OK(mkldnn_primitive_desc_destroy(pd));
      }
    }
    mkldnn_opcache_clear();
    CHECK_EQ(fake_live(kFakeMemory), 0);
  });
  check_no_misuse();
}
